//! Reads the result of an attempt from its folder after its trainer has ended.

use crate::check;
use crate::domain::job::{Ended, FailureClass};
use crate::domain::missing_input::Input;
use crate::engine::outcome::{Outcome, excused};
use crate::executor::{Executor, Run, TrainerStatus, last_words, trainer_status, trainer_status_after_end};
use crate::store::fs::disk_fault;
use crate::store::fs::rights::Rights;
use crate::store::records::job_records::{EndRecord, read_options};
use crate::store::records::layout::JobDir;
use crate::store::records::{finished_folds, free_space, progress, sweep};
use std::path::Path;
use tracing::warn;

/// What the folder shows once the trainer is gone.
pub enum AttemptResult {
    Over(Outcome),
    /// The job belonged to another trainer all along. A daemon started it and died before it could record that.
    Another(Box<dyn Run>),
    Unclear(String),
}

/// Reads what the trainer of attempt `attempt` left, and cleans up after it. `followed`: a trainer was seen and is gone. `seen`:
/// how it ended, as far as the executor knows.
pub fn what_is_left(executor: &dyn Executor, job: &JobDir, attempt: u32, followed: bool, seen: Option<Ended>) -> AttemptResult {
    let status = if followed { trainer_status_after_end(executor, job) } else { trainer_status(executor, job) };
    // Read once the trainer is gone, so it changes no more.
    let checkpoints = progress::checkpoints(job);
    let own_word = EndRecord::of_attempt(job, attempt);
    let unread = own_word.as_ref().and_then(|end| end.unread.clone());
    let over = |ended: Option<Ended>| {
        let ended = ended.map(|ended| finished_folds::hold_to_results(ended, job));
        let gone = ended.as_ref().and_then(|ended| gone(job, ended));
        // A killed trainer leaves temporary files, and perhaps no other attempt will sweep them. Files that remain now go with
        // the next sweep, or do no harm.
        if let Err(e) = sweep::after_end(job) {
            warn!(job = ?job.path(), error = e.to_string(), "leftovers stay");
        }
        let hindered = matches!(&ended, Some(Ended::Interrupted { sentence: Some(_) }));
        let room_wanted = if hindered && unread.is_none() { free_space::wanted(job) } else { 0 };
        let input = unread.as_deref().map(Path::new).filter(|_| hindered);
        let rights = job.path().parent().and_then(|launch| Rights::of_owner(launch).ok());
        let input_alone = input.zip(rights).is_some_and(|(input, rights)| rights.read(|| disk_fault::otherwise(input)));
        let file = input.filter(|_| !input_alone).map(|file| Input::File(file.to_path_buf()));
        let out_of_reach = gone.or(file);
        AttemptResult::Over(Outcome { ended, checkpoints, room_wanted, input_alone, out_of_reach })
    };
    match (status, seen) {
        (TrainerStatus::Alive(run, _), _) => AttemptResult::Another(run),
        (TrainerStatus::Unknown(why), _) => AttemptResult::Unclear(why),
        (_, Some(seen)) => over(Some(own_word.map_or_else(|| last_words::added(seen, job, attempt), |end| end.ended))),
        (TrainerStatus::Ended(end), None) => over(Some(end.ended)),
        (TrainerStatus::Gone, None) => over(None),
    }
}

/// The missing data directory that may explain why the job failed. Its daemon checked the directories before the start.
fn gone(job: &JobDir, ended: &Ended) -> Option<Input> {
    let Ended::Failed { class: FailureClass::BadData, .. } = ended else { return None };
    let options = read_options(&job.commandline()).ok()?.0;
    Rights::of_owner(job.path().parent()?).ok()?.read(|| check::gone(&options))
}

/// The last record of a trainer that nobody followed, read before a space is accepted.
pub fn unwatched(job: &JobDir, ended: Ended) -> Option<Ended> {
    let ended = finished_folds::hold_to_results(ended, job);
    let out_of_reach = gone(job, &ended);
    excused(Outcome { ended: Some(ended), out_of_reach, ..Outcome::default() }, None).ended
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::device::Device;
    use crate::executor::found_devices::FoundDevices;
    use crate::executor::{Assignment, FoundRun, Identity, NotStarted, Processes};
    use crate::store::records::job_records::TrainerRecord;
    use crate::store::records::record;
    use crate::store::records::run_id::RunId;
    use crate::testing::tempdir;
    use std::fs;

    /// The result of a job that reports bad data, given the data that exist.
    fn left(dir: &Path) -> Outcome {
        let job = JobDir::new(dir.join("job-0"));
        fs::create_dir_all(job.private()).expect("made");
        let options = include_str!("../../benches/options-1.json").trim_end().trim_end_matches('}');
        let places = format!(
            r#"{options}, "caps_dir": {:?}, "tsv_path": {:?}, "preprocessing": "t1-linear", "diagnoses": ["AD", "CN"]}}"#,
            dir.join("caps"),
            dir.join("labels")
        );
        fs::write(job.commandline(), places).expect("written");
        let own = Identity::own().expect("found");
        let dead = Identity { start_time: own.start_time + 1, ..own };
        let dead = TrainerRecord {
            version: TrainerRecord::VERSION,
            run: dead.run().expect("a name"),
            device: "cpu".to_string(),
            threads: 1,
            precision: crate::domain::network::precision::Precision::Fp32,
            attempt: 1,
        };
        record::write(&job.trainer_record(), &dead).expect("written");
        let ended = Ended::Failed { class: FailureClass::BadData, sentence: "the image of sub-1 is not there".to_string() };
        record::write(&job.end(), &EndRecord { version: 1, ended, attempt: 1, unread: None }).expect("written");
        match what_is_left(&Processes::default(), &job, 1, true, None) {
            AttemptResult::Over(outcome) => outcome,
            AttemptResult::Another(_) | AttemptResult::Unclear(_) => panic!("it is over"),
        }
    }

    #[test]
    fn bad_data_are_out_of_reach_where_a_whole_directory_is_gone() {
        let dir = tempdir();
        let (subjects, labels) = (dir.path().join("caps/subjects"), dir.path().join("labels"));
        let excused = || excused(left(dir.path()), None);
        fs::create_dir_all(labels.join("train")).expect("made");
        let outcome = excused();
        assert_eq!(outcome.out_of_reach, Some(Input::Directory(subjects.clone())));
        let Some(Ended::Interrupted { sentence: Some(said) }) = &outcome.ended else { panic!("{outcome:?}") };
        assert!(said.contains("caps/subjects is not there"), "{said}");
        assert_eq!((outcome.room_wanted, outcome.input_alone), (0, false));
        fs::create_dir_all(&subjects).expect("mounted");
        let outcome = excused();
        assert!(matches!(outcome.ended, Some(Ended::Failed { class: FailureClass::BadData, .. })), "{outcome:?}");
        fs::remove_dir(labels.join("train")).expect("an empty mount point");
        assert_eq!(excused().out_of_reach, Some(Input::Directory(labels.join("train"))));
    }

    /// A trainer says its last word while it is looked for, and is gone.
    #[derive(Debug)]
    struct EndsMeanwhile(EndRecord);

    impl Executor for EndsMeanwhile {
        fn check(&self) -> Result<(), String> {
            Ok(())
        }
        fn devices(&self, _: bool) -> FoundDevices {
            FoundDevices::default()
        }
        fn room(&self, _: &Device, _: u32) -> Option<u64> {
            None
        }
        fn start(&self, _: &Assignment) -> Result<Box<dyn Run>, NotStarted> {
            Err(NotStarted::Job("nothing is started here".to_string()))
        }
        fn find(&self, job: &JobDir, _: &RunId) -> std::io::Result<FoundRun> {
            record::write(&job.end(), &self.0).expect("written");
            Ok(FoundRun::Over)
        }
    }

    #[test]
    fn a_last_word_is_read_after_the_trainer_is_gone() {
        let dir = tempdir();
        left(dir.path());
        let job = JobDir::new(dir.path().join("job-0"));
        fs::remove_file(job.end()).expect("removed");
        let image = dir.path().join("image.nii.gz");
        fs::write(&image, "").expect("written");
        let ended = Ended::Interrupted { sentence: Some("the image cannot be read".to_string()) };
        let unread = Some(image.display().to_string());
        let ends = EndsMeanwhile(EndRecord { version: 1, ended: ended.clone(), attempt: 1, unread });
        let AttemptResult::Over(outcome) = what_is_left(&ends, &job, 1, false, None) else { panic!("it is over") };
        assert_eq!(outcome.ended, Some(ended));
        assert!(outcome.input_alone || outcome.out_of_reach.is_some(), "the input is the reason: {outcome:?}");
    }

    #[test]
    fn what_ended_while_no_daemon_watched_is_excused_alike() {
        let dir = tempdir();
        let Some(ended) = left(dir.path()).ended else { panic!("no end") };
        let job = JobDir::new(dir.path().join("job-0"));
        let unwatched = || unwatched(&job, ended.clone());
        assert!(matches!(unwatched(), Some(Ended::Interrupted { sentence: Some(_) })));
        for folder in ["caps/subjects", "labels/train"] {
            fs::create_dir_all(dir.path().join(folder)).expect("made");
        }
        assert_eq!(unwatched(), Some(ended.clone()));
    }
}
