//! Keeps the attempt's log within bounds for as long as the trainer lives, whatever it is doing.

use super::stderr::note;
use neurosearch::store::fs::owned_path::Below;
use neurosearch::store::records::attempt_log;
use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

/// Between two looks, each one system call where the log is small: what is written meanwhile may go beyond the bound.
const INTERVAL: Duration = Duration::from_millis(250);

/// Begins to keep `log`, if that is where standard error goes. Without a thread of its own, libraries that write warnings
/// without end between two reports would fill the disk.
///
/// # Errors
/// When there can be no further thread.
pub fn keep(log: Below) -> io::Result<()> {
    keep_output(log, io::stderr())
}

fn keep_output(log: Below, output: impl AsFd + Send + 'static) -> io::Result<()> {
    let watch = move || {
        let mut told = false;
        loop {
            if let Err(error) = attempt_log::bound(&log, &output)
                && !std::mem::replace(&mut told, true)
            {
                note(format_args!("this log may grow without bounds: {error}"));
            }
            std::thread::sleep(INTERVAL);
        }
    };
    std::thread::Builder::new().name("log".to_string()).spawn(watch).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::tempdir;
    use neurosearch::store::fs::open;
    use neurosearch::store::records::layout::JobDir;
    use std::fs;
    use std::io::Write;
    use std::time::Instant;

    #[test]
    fn a_log_is_cut_again_and_again_without_a_word_from_whoever_writes_it() {
        let dir = tempdir();
        let job = JobDir::new(dir.path());
        fs::create_dir(job.private()).expect("made");
        let log = job.attempt_log(1);
        let mut output = open::append(&log).expect("opened");
        keep_output(log.clone(), output.try_clone().expect("cloned")).expect("a thread");
        let size = || fs::metadata(&log).expect("there").len();
        for _ in 0..2 {
            output.write_all(&vec![b'x'; attempt_log::LARGEST as usize + 1]).expect("written");
            let deadline = Instant::now() + Duration::from_secs(60);
            while size() > attempt_log::LARGEST {
                assert!(Instant::now() < deadline, "{} bytes stay", size());
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    }
}
