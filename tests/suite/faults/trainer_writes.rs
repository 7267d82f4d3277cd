//! Every durable write of the real trainer: failing once with ENOSPC and EIO, cut off by SIGKILL at every step, and not given back by the disk.

use super::counts::{count, figure};
use super::trainer_job::{assert_ended_as, assert_sound, autoencoder, cnn, command, multicnn, train};
use crate::trainer_run::Job;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

const ACTIONS: [&str; 3] = ["ENOSPC", "EIO", "kill"];

/// What a training is known to write, below the job's folder and as failpoints name it.
const WRITTEN: [&str; 14] = [
    "create:environment.txt",
    "rename:.neurosearch%trainer.json",
    "sync:.neurosearch%progress.json",
    "remove:.neurosearch%end.json",
    "write:.neurosearch%end.json",
    "write:.neurosearch%fold-#%checkpoint-#",
    "remove:.neurosearch%fold-#",
    "rename:fold-#%tensorboard_logs%cnn-#%training.tsv",
    "directory:fold-#%models%cnn-#%best_loss%model_best.pth.tar",
    "create:fold-#%cnn_classification",
    "write:fold-#%cnn_classification%best_loss%train_patch_level_prediction.tsv",
    "rename:fold-#%cnn_classification",
    "rename:fold-#%autoencoder_reconstruction",
    "write:fold-#%autoencoder_reconstruction%train%output-#.nii.gz",
];

/// The trainer with failures armed in a folder beside the job's.
fn armed(job: &Job) -> (PathBuf, Command) {
    let failpoints = job.launch.path().join("failpoints");
    fs::create_dir_all(&failpoints).expect("made");
    let mut command = command(job);
    command.env("NEUROSEARCH_FAILPOINTS", &failpoints);
    (failpoints, command)
}

/// A training that nobody disturbs, and every step of its writes, `point:path below the job's folder`.
fn traced(changes: Value) -> (Job, BTreeSet<String>) {
    let job = Job::new(changes);
    let (failpoints, mut command) = armed(&job);
    let trace = failpoints.join("trace");
    fs::write(&trace, "").expect("written");
    assert!(command.output().expect("the trainer starts").status.success());
    let text = fs::read_to_string(trace).expect("read");
    let below = |line: &str| {
        let (point, path) = line.split_once(':')?;
        path.split_once("%job-#%").map(|(_, path)| format!("{point}:{path}"))
    };
    (job, text.lines().filter_map(below).collect())
}

/// A failure at one step of a job's writes.
struct Case<'a> {
    changes: Value,
    whole: &'a Job,
    step: &'a str,
    action: &'static str,
}

impl Case<'_> {
    fn run(&self) {
        let what = format!("{}={}", self.step, self.action);
        let job = Job::new(self.changes.clone());
        let (failpoints, mut command) = armed(&job);
        let (point, path) = self.step.split_once(':').expect("a point and a path");
        let failure = failpoints.join(format!("{point}:job-#%{path}={}", self.action));
        fs::write(&failure, "").expect("armed");
        let output = command.output().expect("the trainer starts");
        assert!(!failure.exists(), "{what} did not come to pass");
        assert_eq!(self.action == "kill", output.status.code().is_none(), "{what}: {:?}", output.status);
        // A report is worth no failure; everything else ends the attempt.
        let survived = path.ends_with("progress.json") && self.action != "kill";
        assert_eq!(survived, output.status.success(), "{what}: {}", String::from_utf8_lossy(&output.stderr));
        assert_sound(&job, self.whole, &what);
        train(&job);
        assert_ended_as(&job, self.whole, &what);
    }
}

#[test]
fn every_write_of_the_trainer_may_fail_and_the_next_attempt_ends_as_if_none_had() {
    let (classifier, of_classifier) = traced(multicnn());
    let (reconstructor, of_reconstructor) = traced(autoencoder());
    let seen: BTreeSet<&String> = of_classifier.union(&of_reconstructor).collect();
    for step in WRITTEN {
        assert!(seen.contains(&step.to_string()), "{step} was not seen: {seen:#?}");
    }
    let of_both = of_classifier.iter().map(|step| (multicnn(), &classifier, step));
    let own = of_reconstructor.difference(&of_classifier).map(|step| (autoencoder(), &reconstructor, step));
    let every = count("EVERY_TRAINER_WRITE", 0) == 1;
    let mut cases = Vec::new();
    for (index, (changes, whole, step)) in of_both.chain(own).enumerate() {
        // One action each, in turn, where not all are asked for.
        let actions = ACTIONS.into_iter().enumerate().filter(|(action, _)| every || index % ACTIONS.len() == *action);
        cases.extend(actions.map(|(_, action)| Case { changes: changes.clone(), whole, step, action }));
    }
    let next = AtomicUsize::new(0);
    let workers = std::thread::available_parallelism().map_or(2, usize::from).min(8);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    case.run();
                }
            });
        }
    });
    figure("steps of the real trainer's writes", seen.len());
    figure("failures and kills at them, each gone on from bit for bit", cases.len());
}

#[test]
fn a_lost_checkpoint_costs_an_epoch() {
    let whole = Job::new(cnn());
    train(&whole);
    let job = Job::new(cnn());
    let (failpoints, mut command) = armed(&job);
    let failure = failpoints.join("create:job-#%fold-#%cnn_classification=ENOSPC");
    fs::write(&failure, "").expect("armed");
    assert_eq!(command.output().expect("the trainer starts").status.code(), Some(5));
    // Once: it is the last checkpoint, which is read first.
    fs::write(failpoints.join("read:fold-#%checkpoint-#=EIO"), "").expect("armed");
    let output = command.output().expect("the trainer starts");
    assert!(String::from_utf8_lossy(&output.stderr).contains("checkpoint 3 of"), "it says what it does not use");
    assert_eq!((output.status.code(), &job.end()["ended"]), (Some(0), &json!("done")));
    assert_ended_as(&job, &whole, "one bad checkpoint");
}
