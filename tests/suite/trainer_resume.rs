//! A training that is killed, interrupted or damaged and goes on ends exactly as one that never stopped.

use super::event_files::curve;
use super::harness::pipe;
use super::stand_in::{Signal, signal};
use super::trainer_run::{Job, assert_same, json_of, table, wait_until};
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;

/// Every option that draws random numbers, and inner evaluations.
fn lively() -> Value {
    json!({
        "epochs": 5, "dropout": 0.3, "sampler": "weighted", "data_augmentation": ["Noise", "Erasing", "CropPad", "Smoothing"],
        "evaluation_steps": 1
    })
}

fn multicnn() -> Value {
    json!({ "epochs": 3, "mode": "patch", "network_type": "multicnn", "patch_size": 20, "stride_size": 22, "dropout": 0.2 })
}

fn autoencoder() -> Value {
    json!({ "epochs": 4, "network_type": "autoencoder", "data_augmentation": ["Noise"] })
}

fn checkpoint(job: &Job, number: u32) -> PathBuf {
    job.folder.join(format!(".neurosearch/fold-0/checkpoint-{number}"))
}

/// Kills a training as soon as each of these checkpoints is there, and lets the last attempt end.
fn killed_at(changes: Value, numbers: &[u32]) -> Job {
    let job = Job::new(changes);
    for number in numbers {
        let mut child = job.start();
        wait_until("the checkpoint", || checkpoint(&job, *number).exists() || !matches!(child.try_wait(), Ok(None)));
        signal(child.id(), Signal::KILL);
        let status = child.wait().expect("reaped");
        assert!(!status.success(), "it was over before it could be killed");
        assert!(!job.folder.join(".neurosearch/end.json").exists());
    }
    job.train();
    assert!(!job.folder.join(".neurosearch/fold-0").exists(), "a finished fold keeps no checkpoints");
    job
}

#[test]
fn a_training_killed_at_several_epochs_ends_bit_for_bit_as_one_that_never_stopped() {
    let whole = Job::new(lively());
    whole.train();
    let killed = killed_at(lively(), &[0, 1, 3]);
    assert_same(&killed.fold(0), &whole.fold(0));
    assert_eq!(whole.losses().len(), 1 + 5 * 3, "two batches an epoch: two inner rows and one at the end");
}

#[test]
fn a_killed_multicnn_goes_on_with_the_network_it_was_at() {
    let whole = Job::new(multicnn());
    whole.train();
    let killed = killed_at(multicnn(), &[1, 3, 5]);
    assert_same(&killed.fold(0), &whole.fold(0));
}

#[test]
fn a_killed_autoencoder_ends_as_one_that_never_stopped() {
    let whole = Job::new(autoencoder());
    whole.train();
    assert_same(&killed_at(autoencoder(), &[1]).fold(0), &whole.fold(0));
}

#[test]
fn time_goes_on_over_a_resume_and_tensorboards_steps_stand_once() {
    let job = killed_at(lively(), &[1]);
    let training = table(&job.fold(0).join("training.tsv"));
    let time = training.column("time").expect("times");
    let times: Vec<f64> = training.rows.iter().map(|row| row.cells[time].parse().expect("a number")).collect();
    assert!(times.is_sorted(), "{times:?}");
    // Two batches an epoch, evaluated after each and at the end.
    let steps: Vec<i64> = (0..5).flat_map(|epoch| [2 * epoch, 2 * epoch + 1, 2 * epoch + 2]).collect();
    for set in ["train", "validation"] {
        let curve = curve(&job.fold(0).join("tensorboard_logs").join(set), "loss");
        assert_eq!(curve.iter().map(|(step, _)| *step).collect::<Vec<_>>(), steps);
    }
}

#[test]
fn one_that_goes_on_reports_at_once_where_it_is_and_what_was_measured_last() {
    let job = Job::new(json!({ "epochs": 50 }));
    let mut child = job.start();
    wait_until("the checkpoint", || checkpoint(&job, 1).exists());
    signal(child.id(), Signal::KILL);
    child.wait().expect("reaped");
    let report = job.folder.join(".neurosearch/progress.json");
    fs::remove_file(&report).expect("the killed attempt's");
    // Held where it writes the fold's files anew, before it trains.
    let failpoints = job.launch.path().join("failpoints");
    fs::create_dir(&failpoints).expect("made");
    fs::write(failpoints.join("create:training.tsv=wait+"), "").expect("armed");
    let mut child = job.command().env("NEUROSEARCH_FAILPOINTS", &failpoints).spawn().expect("the trainer starts");
    wait_until("its report", || report.exists() && json_of(&report)["epoch"] != json!(0));
    let shown = json_of(&report);
    signal(child.id(), Signal::KILL);
    child.wait().expect("reaped");
    // A killed attempt may have kept an epoch that the table does not show yet.
    let training = table(&job.fold(0).join("training.tsv"));
    let epoch = shown["epoch"].as_u64().expect("a number") as usize;
    assert!(epoch >= 2 && shown["batches_done"] == json!(0), "{shown}");
    for name in ["loss_train", "loss_valid", "balanced_accuracy_train", "balanced_accuracy_valid"] {
        let column = training.column(name).expect(name);
        let measured = training.rows.get(epoch - 1).map(|row| row.cells[column].parse::<f64>().expect("a number"));
        assert!(shown[name].is_f64() && measured.is_none_or(|measured| shown[name] == json!(measured)), "{name}: {shown}");
    }
}

#[test]
fn sigterm_ends_at_the_next_batch_as_interrupted_and_keeps_the_last_epoch() {
    let whole = Job::new(lively());
    whole.train();
    let job = Job::new(lively());
    let mut child = job.start();
    wait_until("the checkpoint", || checkpoint(&job, 1).exists());
    signal(child.id(), Signal::TERM);
    assert_eq!(child.wait().expect("reaped").code(), Some(4));
    assert_eq!(job.end()["ended"], "interrupted");
    assert!(checkpoint(&job, 1).exists());
    job.train();
    assert_same(&job.fold(0), &whole.fold(0));
}

#[test]
fn a_damaged_checkpoint_is_noticed_and_the_one_before_it_used() {
    let job = Job::new(lively());
    let mut child = job.start();
    wait_until("the checkpoint", || checkpoint(&job, 2).exists());
    signal(child.id(), Signal::KILL);
    child.wait().expect("reaped");
    let latest = [4, 3, 2].into_iter().map(|number| checkpoint(&job, number)).find(|path| path.exists()).expect("one");
    let mut bytes = fs::read(&latest).expect("read");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&latest, bytes).expect("written");
    let output = job.run();
    assert!(output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("checksum"), "{}", String::from_utf8_lossy(&output.stderr));
    let whole = Job::new(lively());
    whole.train();
    assert_same(&job.fold(0), &whole.fold(0));
}

/// Starts the training and kills it once the checkpoint is there.
fn kill_at(job: &Job, number: u32) {
    let mut child = job.start();
    wait_until("the checkpoint", || checkpoint(job, number).exists() || !matches!(child.try_wait(), Ok(None)));
    signal(child.id(), Signal::KILL);
    assert!(!child.wait().expect("reaped").success(), "it was over before it could be killed");
}

#[test]
fn a_checkpoint_under_another_networks_or_epochs_name_is_not_used() {
    let whole = Job::new(multicnn());
    whole.train();
    // Three epochs a network: 2 is the last of the first one, 3 to 5 are the second one's.
    for (from, to, why) in [
        (2, 5, "it was made after epoch 2 of network 0 in fold 0"),
        (2, 4, "it was made after epoch 2 of network 0 in fold 0"),
        (3, 5, "it was made after epoch 0 of network 1 in fold 0"),
    ] {
        let job = Job::new(multicnn());
        kill_at(&job, 3);
        fs::copy(checkpoint(&job, from), checkpoint(&job, to)).expect("copied");
        let output = job.run();
        let log = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success() && log.contains(&format!("checkpoint {to} of ")) && log.contains(why), "{log}");
        assert_same(&job.fold(0), &whole.fold(0));
    }
}

#[test]
fn what_is_no_file_at_a_checkpoints_name_is_passed_over_and_keeps_nobody_waiting() {
    let whole = Job::new(lively());
    whole.train();
    for kind in ["folder", "pipe", "link"] {
        let job = Job::new(lively());
        kill_at(&job, 1);
        let place = checkpoint(&job, 4);
        match kind {
            "folder" => fs::create_dir_all(place.join("below")).expect("made"),
            "pipe" => pipe(&place),
            _ => std::os::unix::fs::symlink(checkpoint(&job, 1), &place).expect("linked"),
        }
        let output = job.run();
        let log = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success() && log.contains("checkpoint 4 of "), "{kind}: {log}");
        assert_same(&job.fold(0), &whole.fold(0));
    }
}

#[test]
fn a_finished_fold_with_another_networks_results_is_trained_anew() {
    let job = Job::new(multicnn());
    job.train();
    let whole = Job::new(multicnn());
    whole.train();
    let below = |kind: &str, network: u32| job.fold(0).join(kind).join(format!("cnn-{network}"));
    let aside = job.launch.path().join("aside");
    for kinds in [&["models"][..], &["models", "tensorboard_logs"]] {
        for kind in kinds {
            fs::rename(below(kind, 0), &aside).expect("moved");
            fs::rename(below(kind, 1), below(kind, 0)).expect("moved");
            fs::rename(&aside, below(kind, 1)).expect("moved");
        }
        let output = job.run();
        let log = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success() && log.contains("fold-0 is trained anew"), "{kinds:?}: {log}");
        assert_same(&job.fold(0), &whole.fold(0));
    }
    // One that an earlier version finished has no record.
    fs::remove_file(job.folder.join(".neurosearch/fold-0.json")).expect("a record");
    let model = job.fold(0).join("models/cnn-0/best_loss/model_best.pth.tar");
    fs::copy(job.fold(0).join("models/cnn-1/best_loss/model_best.pth.tar"), &model).expect("copied");
    let log = String::from_utf8_lossy(&job.run().stderr).into_owned();
    assert!(!log.contains("anew"), "{log}");
}

#[test]
fn a_checkpoint_of_other_options_is_not_used_and_the_log_says_so() {
    for (key, changed) in [("batch_size", json!(2)), ("epochs", json!(2))] {
        let job = Job::new(json!({ "epochs": 9 }));
        let mut child = job.start();
        wait_until("the checkpoint", || checkpoint(&job, 3).exists());
        signal(child.id(), Signal::KILL);
        child.wait().expect("reaped");
        let mut options = json_of(&job.folder.join("commandline.json"));
        options[key] = changed;
        job.write(options);
        let output = job.run();
        let log = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success() && log.contains("is not used: it is of other options"), "{key}: {log}");
    }
}

#[test]
fn the_second_trainer_on_a_folder_says_who_holds_it() {
    let job = Job::new(lively());
    let mut first = job.start();
    wait_until("the record", || job.folder.join(".neurosearch/trainer.json").exists());
    let second = job.run();
    assert_eq!(second.status.code(), Some(3));
    let words = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(words.contains(&first.id().to_string()), "{words}");
    assert!(first.wait().expect("reaped").success(), "the first goes on undisturbed");
}

#[test]
fn an_earlier_attempts_last_word_is_gone_once_the_next_one_runs() {
    let job = Job::new(lively());
    fs::create_dir(job.folder.join(".neurosearch")).expect("made");
    let end = job.folder.join(".neurosearch/end.json");
    fs::write(&end, r#"{"version":1,"ended":"interrupted","attempt":1}"#).expect("written");
    let mut child = job.start();
    wait_until("the record", || job.folder.join(".neurosearch/trainer.json").exists());
    assert!(!end.exists());
    signal(child.id(), Signal::KILL);
    child.wait().expect("reaped");
}

#[test]
fn a_finished_fold_is_left_as_it_is_and_the_threads_of_the_first_attempt_are_kept() {
    let job = Job::new(json!({ "epochs": 1 }));
    job.train();
    let models = job.fold(0).join("models/best_loss/model_best.pth.tar");
    let before = fs::metadata(&models).expect("there").modified().expect("a time");
    let again = job.command().env("NEUROSEARCH_THREADS", "1").output().expect("the trainer starts");
    assert!(again.status.success());
    assert_eq!(fs::metadata(&models).expect("there").modified().expect("a time"), before);
    let trainer = json_of(&job.folder.join(".neurosearch/trainer.json"));
    assert_eq!((&trainer["threads"], &trainer["attempt"]), (&json!(2), &json!(2)));
}
