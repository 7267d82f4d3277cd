//! Decides how a trainer ended if it left no record of that.

use crate::domain::job::{Ended, FailureClass};
use crate::executor::trainer_exit_code::Exit;
use signal_hook::consts::{SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGSYS, SIGTRAP};
use signal_hook::low_level::signal_name;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

/// The end of a run that left no record, judged by its exit status. `memory_ran_out`: the kernel's counters rose while it ran
/// (`OomKills::rose_since`).
pub fn verdict(status: ExitStatus, memory_ran_out: bool) -> Ended {
    if status.code() == Some(i32::from(Exit::Disk.code())) {
        let sentence = "the disk did not let the trainer go on, and took no record of its end";
        return Ended::Interrupted { sentence: Some(sentence.to_string()) };
    }
    let (class, sentence) = match status.signal() {
        Some(signal) if !from_inside(signal) && memory_ran_out => {
            (FailureClass::OutOfMemory, format!("the trainer was killed by {} while the machine ran out of memory", name(signal)))
        }
        Some(signal) if from_inside(signal) => (FailureClass::Crashed, format!("the trainer crashed with {}", name(signal))),
        Some(signal) => (FailureClass::Killed, format!("the trainer was killed from outside by {}", name(signal))),
        None => {
            let code = status.code().map_or_else(|| "an unknown status".to_string(), |code| format!("exit status {code}"));
            let class = status.code().map_or(FailureClass::Crashed, Exit::class);
            (class, format!("the trainer ended with {code}"))
        }
    };
    Ended::Failed { class, sentence }
}

/// Signals that a program causes itself.
const fn from_inside(signal: i32) -> bool {
    matches!(signal, SIGILL | SIGTRAP | SIGABRT | SIGBUS | SIGFPE | SIGSEGV | SIGSYS)
}

/// The signal's name in the manuals. A real-time signal has only its number.
fn name(signal: i32) -> String {
    signal_name(signal).map_or_else(|| format!("signal {signal}"), str::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(raw: i32, memory_ran_out: bool) -> (FailureClass, String) {
        match verdict(ExitStatus::from_raw(raw), memory_ran_out) {
            Ended::Failed { class, sentence } => (class, sentence),
            other => panic!("{other:?} is said of a trainer without an end record"),
        }
    }

    #[test]
    fn an_end_without_a_word_is_a_failure_even_with_exit_status_0() {
        assert_eq!(class(0, false).0, FailureClass::Crashed);
        assert_eq!(class(3 << 8, false).0, FailureClass::Crashed);
        assert_eq!(class(11 << 8, false).0, FailureClass::BadData);
        assert_eq!(class(12 << 8, false).0, FailureClass::OutOfMemory);
        assert!(class(3 << 8, true).1.contains("exit status 3"));
        assert!(class(9, true).1.contains("SIGKILL"), "{}", class(9, true).1);
    }

    #[test]
    fn a_trainer_that_could_not_even_write_its_last_word_is_no_failed_job() {
        let ended = verdict(ExitStatus::from_raw(i32::from(Exit::Disk.code()) << 8), false);
        assert!(matches!(&ended, Ended::Interrupted { sentence: Some(why) } if why.contains("took no record")), "{ended:?}");
    }

    #[test]
    fn a_signal_from_outside_is_a_kill_and_with_memory_gone_an_out_of_memory() {
        for signal in [9, 15, 1, 2] {
            assert_eq!(class(signal, false).0, FailureClass::Killed);
            assert_eq!(class(signal, true).0, FailureClass::OutOfMemory);
        }
    }

    #[test]
    fn a_signal_is_told_by_its_name_and_one_without_a_name_by_its_number() {
        assert!(class(15, false).1.ends_with("SIGTERM"), "{}", class(15, false).1);
        assert!(class(40, false).1.ends_with("signal 40"), "{}", class(40, false).1);
    }

    #[test]
    fn a_programs_own_fault_is_a_crash_whatever_memory_did() {
        for signal in [4, 6, 7, 8, 11] {
            assert_eq!(class(signal, true).0, FailureClass::Crashed);
        }
    }
}
