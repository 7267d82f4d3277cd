//! How an attempt ended, and what follows from it: the retry rules in one place.

use crate::domain::job::{Ended, FailureClass};
use crate::domain::missing_input::Input;
use crate::domain::space::SearchSpace;
use std::path::Path;

/// Everything known about the end of one attempt.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The trainer's own word about this very attempt, else what its exit status tells, or None if nobody saw it end.
    pub ended: Option<Ended>,
    /// Checkpoints of the job, over all attempts.
    pub checkpoints: u64,
    /// Bytes that must be free before another attempt has a chance, where this one found no room.
    pub room_wanted: u64,
    /// It was an input that the disk did not give, and the file system gives others.
    pub input_alone: bool,
    /// That input, where the file system gives no others either, or a directory of the data that is gone.
    pub out_of_reach: Option<Input>,
}

/// What the end of an attempt amounts to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    Done,
    /// It was asked to stop and did.
    Interrupted,
    /// Died while nobody watched: goes on at once, and does not count.
    Lost,
    /// The disk did not take a result or give an input, for this reason: no fault of the job, and not counted.
    Disk(String),
    /// One input cannot be read, for this reason, as on a bad place of a disk that gives the others.
    Unread(String),
    Failed(FailureClass, String),
}

/// Judges the end of an attempt; `asked`: we had asked it to stop, so any end but success is that stop.
pub fn judge(outcome: &Outcome, asked: bool) -> Verdict {
    match &outcome.ended {
        Some(Ended::Done) => Verdict::Done,
        _ if asked => Verdict::Interrupted,
        Some(Ended::Failed { class, sentence }) => Verdict::Failed(*class, sentence.clone()),
        Some(Ended::Interrupted { sentence: Some(sentence) }) if outcome.input_alone => {
            Verdict::Unread(format!("{sentence}, while its file system gives other files"))
        }
        Some(Ended::Interrupted { sentence: Some(sentence) }) => Verdict::Disk(sentence.clone()),
        Some(Ended::Interrupted { sentence: None }) => {
            Verdict::Failed(FailureClass::Killed, "somebody other than the daemon sent the trainer SIGTERM".to_string())
        }
        None => Verdict::Lost,
    }
}

/// The outcome of a job that failed for want of a whole directory of its data: an input is out of reach where the directory is
/// one of the search's, so that every other job would fail like it; a job whose data lie elsewhere has failed. `space`: the one
/// that is accepted now, where there is one.
pub fn excused(outcome: Outcome, space: Option<&SearchSpace>) -> Outcome {
    let Some(Ended::Failed { class: FailureClass::BadData, .. }) = outcome.ended else { return outcome };
    let own = |directory: &Path| {
        space.is_none_or(|space| [&space.caps_dir, &space.tsv_path].into_iter().any(|own| directory.starts_with(own)))
    };
    match &outcome.out_of_reach {
        Some(input @ Input::Directory(directory)) if own(directory) => {
            let sentence = Some(format!("an input is out of reach: {input}"));
            Outcome { ended: Some(Ended::Interrupted { sentence }), ..outcome }
        }
        _ => Outcome { out_of_reach: None, ..outcome },
    }
}

/// How many attempts in a row that one input cannot be read end a job as `bad_data`.
pub const UNREAD: u32 = 5;

/// How many counted failures in a row end a job of this class; 0 for a class that is never retried.
pub const fn limit(class: FailureClass) -> u32 {
    match class {
        FailureClass::Killed => 20,
        FailureClass::Crashed | FailureClass::Stalled | FailureClass::Device | FailureClass::Lost => 5,
        FailureClass::OutOfMemory | FailureClass::TooLarge | FailureClass::BadData | FailureClass::BadOptions => 0,
    }
}

/// Seconds to wait before the attempt after `failures` failures in a row: 0, 1, 2, 4 and so on up to 60.
pub const fn pause(failures: u32) -> u64 {
    match failures {
        0 | 1 => 0,
        2..=7 => 1 << (failures - 2),
        _ => 60,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::space;

    fn outcome(ended: Option<Ended>) -> Outcome {
        Outcome { ended, ..Outcome::default() }
    }

    #[test]
    fn an_end_is_what_the_trainer_says_unless_we_had_asked_it_to_stop() {
        let failed = Ended::Failed { class: FailureClass::BadData, sentence: "an image is missing".into() };
        let verdict = Verdict::Failed(FailureClass::BadData, "an image is missing".into());
        assert_eq!(judge(&outcome(Some(failed.clone())), false), verdict);
        assert_eq!(judge(&outcome(Some(Ended::Done)), true), Verdict::Done);
        let full = Ended::Interrupted { sentence: Some("full".into()) };
        assert_eq!(judge(&outcome(Some(full.clone())), false), Verdict::Disk("full".into()));
        let alone = Outcome { input_alone: true, ..outcome(Some(full.clone())) };
        assert_eq!(judge(&alone, false), Verdict::Unread("full, while its file system gives other files".into()));
        assert_eq!(judge(&alone, true), Verdict::Interrupted);
        for ended in [Some(failed), Some(full), Some(Ended::Interrupted { sentence: None }), None] {
            assert_eq!(judge(&outcome(ended), true), Verdict::Interrupted);
        }
    }

    #[test]
    fn a_stop_that_we_did_not_ask_for_is_killed_and_an_end_that_nobody_saw_is_lost() {
        let verdict = judge(&outcome(Some(Ended::Interrupted { sentence: None })), false);
        assert!(matches!(verdict, Verdict::Failed(FailureClass::Killed, _)), "{verdict:?}");
        assert_eq!(judge(&outcome(None), false), Verdict::Lost);
    }

    #[test]
    fn pauses_are_0_1_2_4_and_so_on_up_to_60() {
        let pauses: Vec<u64> = (1..=10).map(pause).collect();
        assert_eq!(pauses, [0, 1, 2, 4, 8, 16, 32, 60, 60, 60]);
    }

    #[test]
    fn a_job_is_excused_only_for_a_directory_of_its_search_that_is_gone() {
        let failed = |class| Some(Ended::Failed { class, sentence: "an image is missing".into() });
        let bad_data = || failed(FailureClass::BadData);
        let directory = |path: &str| Some(Input::Directory(path.into()));
        let file = |path: &str| Some(Input::File(path.into()));
        let interrupted = Some(Ended::Interrupted { sentence: None });
        let space = space(Path::new("/launch"), "/caps", "labels");
        // Whether the search's space is known, the end, what is out of reach; whether the job is excused, what then is.
        for (known, ended, gone, excuse, still_gone) in [
            (true, bad_data(), directory("/caps/subjects"), true, directory("/caps/subjects")),
            (true, bad_data(), directory("/launch/labels/train"), true, directory("/launch/labels/train")),
            (true, bad_data(), directory("/caps"), true, directory("/caps")),
            (true, bad_data(), directory("/caps-of-others"), false, None),
            (true, bad_data(), directory("/elsewhere"), false, None),
            (false, bad_data(), directory("/elsewhere"), true, directory("/elsewhere")),
            (true, bad_data(), file("/caps/image.nii"), false, None),
            (false, bad_data(), file("/caps/image.nii"), false, None),
            (false, bad_data(), None, false, None),
            (true, failed(FailureClass::Crashed), directory("/caps"), false, directory("/caps")),
            (true, interrupted, file("/caps/image.nii"), false, file("/caps/image.nii")),
            (true, Some(Ended::Done), directory("/caps"), false, directory("/caps")),
            (true, None, directory("/caps"), false, directory("/caps")),
        ] {
            let outcome = Outcome { ended, out_of_reach: gone, checkpoints: 3, ..Outcome::default() };
            let sentence = outcome.out_of_reach.as_ref().map(|input| format!("an input is out of reach: {input}"));
            let ended = if excuse { Some(Ended::Interrupted { sentence }) } else { outcome.ended.clone() };
            let expected = Outcome { ended, out_of_reach: still_gone, ..outcome.clone() };
            assert_eq!(excused(outcome.clone(), known.then_some(&space)), expected, "{known}, {outcome:?}");
        }
    }
}
