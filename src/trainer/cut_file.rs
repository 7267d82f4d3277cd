//! The last words of a trainer under which a file that it maps is cut short: the kernel ends it by SIGBUS, at any instruction.

use neurosearch::executor::last_words;
use neurosearch::store::data::volume_cache::CachePlace;
use std::ffi::c_void;
use std::sync::OnceLock;
use std::{io, mem, ptr};

/// The line, made beforehand: little may be done when the signal comes.
static WORDS: OnceLock<Vec<u8>> = OnceLock::new();

/// From now on the end by SIGBUS leaves a line in the log.
///
/// # Errors
/// The system's.
pub fn tell(cache: Option<&CachePlace>) -> io::Result<()> {
    let where_from =
        cache.map_or_else(String::new, |place| format!(", perhaps an entry of the cache {}", place.folder.display()));
    let words = format!("a file that is mapped into memory was cut short or cannot be read{where_from}");
    let _ = WORDS.set(last_words::line(format_args!("{words}")).into_bytes());
    let handler: extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut c_void) = on_bus_error;
    // SAFETY: an all-zero sigaction is a valid one; its fields are set before it is given to the system.
    let mut action: libc::sigaction = unsafe { mem::zeroed() };
    action.sa_sigaction = handler as libc::sighandler_t;
    // Not for one signal alone: a second thread that comes to such a place would end the process before the first has written.
    action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
    // SAFETY: the handler calls nothing that a signal handler may not.
    match unsafe { libc::sigaction(libc::SIGBUS, &raw const action, ptr::null_mut()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

extern "C" fn on_bus_error(signal: libc::c_int, info: *mut libc::siginfo_t, _: *mut c_void) {
    // SAFETY: the system passes a valid siginfo_t, and all calls are allowed in a signal handler. One that somebody sent says
    // nothing of a file. Raised again, the signal ends the process when this returns, whoever sent it.
    unsafe {
        if (*info).si_code > 0
            && let Some(words) = WORDS.get()
        {
            libc::write(libc::STDERR_FILENO, words.as_ptr().cast(), words.len());
        }
        libc::signal(signal, libc::SIG_DFL);
        libc::raise(signal);
    }
}
