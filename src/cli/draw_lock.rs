//! Takes turns at drawing: one `generate` at a time, from the look at which indices are used until its own job's folder is there.

use super::exit::{Exit, Failure};
use super::job_folder;
use super::output::out;
use crate::store::fs::error::StoreError;
use crate::store::fs::lock::{self, Lock, Locking};
use crate::store::records::layout::LaunchDir;
use std::time::{Duration, Instant};

/// How long the others of a whole job array may take together; each needs no longer than a look at its images' headers.
const PATIENCE: Duration = Duration::from_secs(600);

/// A wait of which somebody at a terminal would ask what it is for.
const NOTICEABLE: Duration = Duration::from_secs(1);

/// Between two looks at the lock, which may lie on a network file system.
const PAUSE: Duration = Duration::from_millis(50);

/// The turn to draw in `launch`, which lasts until it is dropped; says whom it waits for.
///
/// # Errors
/// The directory takes no lock, or another draws for longer than anybody should.
pub fn turn(launch: &LaunchDir) -> Result<Lock, Failure> {
    let own = job_folder::holder()?;
    let (begun, mut said) = (Instant::now(), false);
    loop {
        let other = match taken(launch, &own)? {
            Locking::Held(lock) => return Ok(lock),
            Locking::Busy { holder } => lock::who(&holder),
        };
        let (place, minutes) = (launch.drawing(), PATIENCE.as_secs() / 60);
        if begun.elapsed() >= PATIENCE {
            let sentence = format!(
                "{}: after {minutes} minutes still held by {other}, which draws a job; see what it does",
                place.display()
            );
            return Err(Failure::new(Exit::Failed, sentence));
        }
        if !said && begun.elapsed() >= NOTICEABLE {
            out::note(format_args!("waiting for {other} to draw its job in {}", launch.path().display()));
            said = true;
        }
        std::thread::sleep(PAUSE);
    }
}

/// The lock as it is now. One that a colleague made, and that we may only read, keeps order as well.
fn taken(launch: &LaunchDir, own: &str) -> Result<Locking, StoreError> {
    let place = launch.drawing();
    let denied = match lock::take(&place, own) {
        Err(e) if e.is_denied() => e,
        taken => return taken,
    };
    match lock::take_free(&place)? {
        Some(lock) => Ok(Locking::Held(lock)),
        None if place.exists() => Ok(Locking::Busy { holder: lock::holder(&place)?.unwrap_or_default() }),
        None => Err(denied),
    }
}
