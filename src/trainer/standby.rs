//! Waits, loaded, to be told which job it is for: libtorch takes longer to load than a small network takes to train.

use neurosearch::executor::assignment::variable;
use neurosearch::executor::local::process_identity::field;
use neurosearch::executor::local::warm_trainer::{OrderInput, READY, StandbyAssignment};
use neurosearch::executor::trainer_exit_code::Exit;
use neurosearch::store::fs::open;
use neurosearch::store::records::layout::JobDir;
use std::fs::{self, File};
use std::io::{self, BufReader, Write};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Says that it is loaded, and waits for a job. It then becomes the process that would have been started for that job, with
/// the same environment, output and command line. `None` if nobody needs it any more.
///
/// # Errors
/// What to exit with where the attempt's log cannot be opened, which is all that could be told of it.
pub fn wait() -> Result<Option<JobDir>, Exit> {
    let gone = |_| Exit::Crashed;
    let mut output = io::stdout();
    output.write_all(READY).and_then(|()| output.flush()).map_err(gone)?;
    let mut input = BufReader::new(OrderInput::of(io::stdin()));
    let Some(order) = StandbyAssignment::read(&mut input).map_err(gone)? else { return Ok(None) };
    for (name, value) in &order.variables {
        // SAFETY: no other thread has been started that might read the environment.
        unsafe { std::env::set_var(name, value) };
    }
    let job = JobDir::new(&order.folder);
    let attempt = std::env::var(variable::ATTEMPT).ok().and_then(|attempt| attempt.parse().ok()).ok_or(Exit::Usage)?;
    let log = open::append(&job.attempt_log(attempt)).map_err(|error| Exit::unwritten(&error))?;
    // The job's lock, as for one that was started for the job.
    let input = input.get_mut().file.take().map_or_else(|| File::open("/dev/null"), Ok).map_err(gone)?;
    redirect(&input, libc::STDIN_FILENO).map_err(gone)?;
    redirect(&log, libc::STDOUT_FILENO).and_then(|()| redirect(&log, libc::STDERR_FILENO)).map_err(gone)?;
    show(&order.folder);
    Ok(Some(job))
}

fn redirect(file: &File, standard: i32) -> io::Result<()> {
    // SAFETY: both are open descriptors, and nobody holds the standard one by an owner that would close it.
    if unsafe { libc::dup2(file.as_raw_fd(), standard) } < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Puts the folder into the process's command line, where `ps` and `pgrep` find it; one that finds no room is left out.
fn show(folder: &Path) {
    let Some((begin, end)) = arguments() else { return };
    // SAFETY: the kernel put the arguments there, one after the other, for as long as the process lives; nothing but this
    // writes to them, no other thread runs, and whoever still reads them finds terminated strings.
    let words = unsafe { std::slice::from_raw_parts_mut(begin as *mut u8, end - begin) };
    let Some(first) = words.iter().position(|byte| *byte == 0).map(|end| end + 1) else { return };
    let name = folder.as_os_str().as_bytes();
    if words.len() - first > name.len() {
        words[first..].fill(0);
        words[first..first + name.len()].copy_from_slice(name);
    }
}

/// Where the process's arguments begin and end in its memory: fields 48 and 49 of its `stat`.
fn arguments() -> Option<(usize, usize)> {
    let stat = fs::read("/proc/self/stat").ok()?;
    let place = |number| field(&stat, number)?.parse().ok();
    let (begin, end): (usize, usize) = (place(48)?, place(49)?);
    (0 < begin && begin < end).then_some((begin, end))
}
