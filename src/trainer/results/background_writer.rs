//! Writes what an epoch leaves on the disk: beside a GPU by a thread of its own while the next epoch computes, on the CPU at once.

use crate::stderr::note;
use crate::stop::TrainingStop;
use neurosearch::domain::job::FailureClass;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How long a write may go on beside the next epoch. Computing further would only make more of what a kill loses.
const BESIDE: Duration = Duration::from_secs(10);

/// At most one write at a time.
///
/// A finished write tells how many checkpoints the job has, and every call here sets `checkpoints` to that. A write that failed
/// or panicked is reported once, by the first call after it.
#[derive(Debug)]
pub struct BackgroundWriter {
    beside: bool,
    under_way: Option<(JoinHandle<Result<u64, TrainingStop>>, Instant)>,
}

impl BackgroundWriter {
    /// `beside`: by a thread of its own, beside the computation.
    pub const fn new(beside: bool) -> Self {
        BackgroundWriter { beside, under_way: None }
    }

    /// Whether what is handed over may still be read after that, and so must not change.
    pub const fn is_beside(&self) -> bool {
        self.beside
    }

    /// Writes, once the write before it is over.
    pub fn hand(
        &mut self,
        checkpoints: &mut u64,
        write: impl FnOnce() -> Result<u64, TrainingStop> + Send + 'static,
    ) -> Result<(), TrainingStop> {
        self.wait(checkpoints)?;
        if !self.beside {
            *checkpoints = write()?;
            return Ok(());
        }
        let fail = |e| TrainingStop::failed(FailureClass::Crashed, format!("cannot start a thread to write with: {e}"));
        let thread = thread::Builder::new().name("writer".to_string()).spawn(write).map_err(fail)?;
        self.under_way = Some((thread, Instant::now()));
        Ok(())
    }

    /// Tells of a write that is over, and waits for one alone that takes too long.
    pub fn look(&mut self, checkpoints: &mut u64) -> Result<(), TrainingStop> {
        self.look_at(checkpoints, Instant::now())
    }

    fn look_at(&mut self, checkpoints: &mut u64, now: Instant) -> Result<(), TrainingStop> {
        match &self.under_way {
            Some((thread, since)) if thread.is_finished() || now.duration_since(*since) >= BESIDE => self.wait(checkpoints),
            _ => Ok(()),
        }
    }

    /// Everything that was handed over is on the disk when this returns, or the error says why not.
    pub fn wait(&mut self, checkpoints: &mut u64) -> Result<(), TrainingStop> {
        if let Some((thread, _)) = self.under_way.take() {
            *checkpoints = thread.join().unwrap_or_else(|panic| Err(TrainingStop::panicked(panic.as_ref())))?;
        }
        Ok(())
    }
}

impl Drop for BackgroundWriter {
    /// After a panic of the training too, the epoch before it is kept.
    fn drop(&mut self) {
        if let Err(stop) = self.wait(&mut 0) {
            note(format_args!("the last epoch is not kept: {stop:?}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{Receiver, Sender, channel};
    use std::sync::{Arc, Mutex};

    /// A write that waits until it is let go, and then notes its number.
    fn held(
        number: u64,
        noted: &Arc<Mutex<Vec<u64>>>,
    ) -> (Sender<()>, impl FnOnce() -> Result<u64, TrainingStop> + Send + 'static) {
        let (go, gone): (Sender<()>, Receiver<()>) = channel();
        let noted = Arc::clone(noted);
        let write = move || {
            gone.recv().expect("let go");
            noted.lock().expect("nobody panicked").push(number);
            Ok(number)
        };
        (go, write)
    }

    fn full() -> Result<u64, TrainingStop> {
        Err(TrainingStop::Disk("a result could not be written: no space".to_string(), None))
    }

    fn is_full(told: &Result<(), TrainingStop>) -> bool {
        matches!(told, Err(TrainingStop::Disk(sentence, None)) if sentence == "a result could not be written: no space")
    }

    /// Polls until the write that is under way is over, whatever `look` says of it.
    fn looked(writer: &mut BackgroundWriter, checkpoints: &mut u64) -> Result<(), TrainingStop> {
        while writer.under_way.is_some() {
            writer.look(checkpoints)?;
            thread::yield_now();
        }
        Ok(())
    }

    #[test]
    fn a_write_in_the_background_counts_once_it_is_over_and_before_the_next() {
        let noted = Arc::default();
        let (mut writer, mut checkpoints) = (BackgroundWriter::new(true), 6);
        let (go, write) = held(7, &noted);
        writer.hand(&mut checkpoints, write).expect("handed over");
        writer.look(&mut checkpoints).expect("under way");
        assert_eq!((checkpoints, noted.lock().expect("whole").len()), (6, 0));
        go.send(()).expect("waited for");
        let (go, write) = held(8, &noted);
        writer.hand(&mut checkpoints, write).expect("the first one is over");
        assert_eq!((checkpoints, &*noted.lock().expect("whole")), (7, &vec![7]));
        go.send(()).expect("waited for");
        looked(&mut writer, &mut checkpoints).expect("over");
        assert_eq!((checkpoints, &*noted.lock().expect("whole")), (8, &vec![7, 8]));
        writer.wait(&mut checkpoints).expect("nothing to wait for");
        assert_eq!(checkpoints, 8);
    }

    #[test]
    fn a_write_that_takes_long_is_waited_for() {
        let noted = Arc::default();
        let (mut writer, mut checkpoints) = (BackgroundWriter::new(true), 6);
        let (go, write) = held(7, &noted);
        writer.hand(&mut checkpoints, write).expect("handed over");
        let since = writer.under_way.as_ref().expect("under way").1;
        writer.look_at(&mut checkpoints, since + BESIDE / 2).expect("under way");
        assert_eq!(checkpoints, 6);
        let looking = thread::spawn(move || writer.look_at(&mut checkpoints, since + BESIDE).map(|()| checkpoints));
        go.send(()).expect("waited for");
        assert!(matches!(looking.join().expect("looked"), Ok(7)));
    }

    #[test]
    fn without_a_thread_a_write_is_over_at_once_and_so_comes_its_error() {
        let (mut writer, mut checkpoints) = (BackgroundWriter::new(false), 6);
        let here = thread::current().id();
        writer
            .hand(&mut checkpoints, move || {
                assert_eq!(thread::current().id(), here);
                Ok(7)
            })
            .expect("written");
        assert!(is_full(&writer.hand(&mut checkpoints, full)));
        assert_eq!(checkpoints, 7);
        writer.wait(&mut checkpoints).expect("it was told");
    }

    #[test]
    fn a_background_writes_error_is_told_once_by_the_next_call() {
        type Call = fn(&mut BackgroundWriter, &mut u64) -> Result<(), TrainingStop>;
        let calls: [Call; 3] = [looked, |writer, count| writer.wait(count), |writer, count| writer.hand(count, || Ok(9))];
        for call in calls {
            let (mut writer, mut checkpoints) = (BackgroundWriter::new(true), 6);
            writer.hand(&mut checkpoints, full).expect("handed over");
            assert!(is_full(&call(&mut writer, &mut checkpoints)));
            writer.wait(&mut checkpoints).expect("it was told, and nothing else was begun");
            assert_eq!(checkpoints, 6);
        }
    }

    #[test]
    fn a_panic_beside_the_computation_is_a_crash_with_its_words() {
        let (mut writer, mut checkpoints) = (BackgroundWriter::new(true), 6);
        writer.hand(&mut checkpoints, || panic!("a table without columns")).expect("handed over");
        let Err(TrainingStop::Failed(failure)) = writer.wait(&mut checkpoints) else { panic!("it went on") };
        assert_eq!(failure.class, FailureClass::Crashed);
        assert!(failure.sentence.contains("a table without columns"), "{failure}");
        assert_eq!(checkpoints, 6);
    }

    #[test]
    fn what_was_handed_over_is_written_though_nobody_waits_for_it() {
        let noted = Arc::default();
        let mut writer = BackgroundWriter::new(true);
        let (go, write) = held(7, &noted);
        writer.hand(&mut 0, write).expect("handed over");
        let dropping = thread::spawn(move || drop(writer));
        go.send(()).expect("waited for");
        dropping.join().expect("dropped");
        assert_eq!(*noted.lock().expect("whole"), [7]);
    }
}
