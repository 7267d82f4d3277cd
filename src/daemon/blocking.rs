//! Runs blocking work on separate threads, with a limit for each directory. A dead file system therefore delays only its own
//! work.

use std::collections::HashMap;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Semaphore;
use tokio::task::{JoinError, spawn_blocking};

/// Most pieces of work at once in one directory. Launch directories below one watched directory share them.
const AT_ONCE: usize = 12;

/// Cheap to clone; all clones share the places.
#[derive(Debug, Clone, Default)]
pub struct Workshop(Arc<Mutex<HashMap<PathBuf, Arc<Semaphore>>>>);

impl Workshop {
    /// Runs `work`, which concerns the directory `place`, once there is room for it.
    pub fn run<T, W>(&self, place: &Path, work: W) -> impl Future<Output = Result<T, JoinError>> + use<T, W>
    where
        T: Send + 'static,
        W: FnOnce() -> T + Send + 'static,
    {
        let place = self.place(place);
        async move {
            // Never closed, so this never fails.
            let permit = place.acquire_owned().await.ok();
            spawn_blocking(move || {
                // Kept until the work ends, even if nobody waits for it any more.
                let _permit = permit;
                work()
            })
            .await
        }
    }

    fn place(&self, place: &Path) -> Arc<Semaphore> {
        // A panic ends the process, so a poisoned lock is never seen; its content would still be whole.
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        places.entry(place.to_path_buf()).or_insert_with(|| Arc::new(Semaphore::new(AT_ONCE))).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn work_in_a_dead_place_waits_for_itself_and_for_nobody_else() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let workshop = Workshop::default();
        let (begun, seen) = mpsc::channel();
        let mut ends = Vec::new();
        runtime.block_on(async {
            for _ in 0..AT_ONCE * 3 {
                let (end, dead) = mpsc::channel::<()>();
                let begun = begun.clone();
                tokio::spawn(workshop.run(Path::new("/dead"), move || {
                    begun.send(()).expect("heard");
                    // Ends with its sender.
                    let _ = dead.recv();
                }));
                ends.push(end);
            }
            for _ in 0..AT_ONCE * 3 {
                assert_eq!(workshop.run(Path::new("/alive"), || 7).await.expect("done"), 7);
            }
        });
        assert!(seen.try_iter().count() <= AT_ONCE);
        ends.clear();
    }
}
