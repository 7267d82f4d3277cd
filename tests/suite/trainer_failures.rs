//! What cannot be trained ends as a failure of the right class, with a sentence that names the cause.

use super::trainer_run::{Job, fixtures};
use crate::stand_in::until;
use neurosearch::store::formats::nifti;
use neurosearch::store::records::attempt_log;
use serde_json::json;
use signal_hook::consts::SIGBUS;
use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::Stdio;

/// A copy of the images of the first eight participants, to spoil.
fn copied_caps(job: &Job) -> PathBuf {
    let caps = job.launch.path().join("caps");
    for participant in 0..8 {
        let below = format!("subjects/sub-MNI{participant:04}/ses-M00/t1_linear");
        let name = image(participant);
        fs::create_dir_all(caps.join(&below)).expect("made");
        fs::copy(fixtures().join("mni-quarter/caps").join(&below).join(&name), caps.join(&below).join(&name)).expect("copied");
    }
    caps
}

fn image(participant: usize) -> String {
    format!("sub-MNI{participant:04}_ses-M00_T1w_space-MNI152NLin2009cSym_desc-Crop_res-1x1x1_T1w.nii.gz")
}

fn image_in(caps: &std::path::Path, participant: usize) -> PathBuf {
    caps.join(format!("subjects/sub-MNI{participant:04}/ses-M00/t1_linear")).join(image(participant))
}

/// A job over spoilt copies of the images.
fn spoilt(spoil: impl FnOnce(&std::path::Path)) -> Job {
    let job = Job::new(json!({}));
    let caps = copied_caps(&job);
    spoil(&caps);
    let mut options = super::trainer_run::json_of(&job.folder.join("commandline.json"));
    options["caps_dir"] = json!(caps);
    job.write(options);
    job
}

#[test]
fn a_missing_image_and_a_truncated_one_are_bad_data_and_named() {
    for spoil in ["missing", "truncated", "text"] {
        let job = spoilt(|caps| {
            let path = image_in(caps, 6);
            match spoil {
                "missing" => fs::remove_file(path).expect("removed"),
                "truncated" => {
                    let bytes = fs::read(&path).expect("read");
                    fs::write(&path, &bytes[..bytes.len() / 2]).expect("written");
                }
                _ => fs::write(path, "no image").expect("written"),
            }
        });
        let (class, sentence) = job.failure();
        assert_eq!(class, "bad_data", "{spoil}");
        assert!(sentence.contains("sub-MNI0006"), "{spoil}: {sentence}");
    }
}

#[test]
fn an_image_of_another_size_is_named() {
    let job = spoilt(|caps| nifti::write_f32(&image_in(caps, 5), [4, 5, 6], &[1.0; 120]).expect("written"));
    let (class, sentence) = job.failure();
    assert_eq!(class, "bad_data");
    assert!(sentence.contains("sub-MNI0005"), "{sentence}");
}

#[test]
fn an_image_of_one_value_is_bad_data_and_named() {
    for value in [7.0, f32::NAN] {
        let job = spoilt(|caps| nifti::write_f32(&image_in(caps, 3), [42, 52, 45], &[value; 42 * 52 * 45]).expect("written"));
        let (class, sentence) = job.failure();
        assert!(class == "bad_data" && sentence.contains("sub-MNI0003") && sentence.contains("shows nothing"), "{sentence}");
    }
}

#[test]
fn a_participant_on_both_sides_is_a_leak_and_named() {
    let job = Job::new(json!({}));
    job.labels(&[2, 3, 6, 7], &[0, 1, 2, 5]);
    let (class, sentence) = job.failure();
    assert_eq!(class, "bad_data");
    assert!(sentence.contains("sub-MNI0002"), "{sentence}");
}

#[test]
fn a_class_without_participants_is_an_error_for_a_cnn_and_fine_for_an_autoencoder() {
    for (network_type, fails) in [("cnn", true), ("autoencoder", false)] {
        let job = Job::new(json!({ "network_type": network_type, "epochs": 1 }));
        job.labels(&[2, 6], &[0, 1]);
        if fails {
            assert_eq!(job.failure().0, "bad_data");
        } else {
            job.train();
        }
    }
}

#[test]
fn a_checkpoint_that_the_disk_refuses_is_no_failure_and_the_job_goes_on() {
    let job = Job::new(json!({ "epochs": 2 }));
    let failpoints = job.launch.path().join("failpoints");
    fs::create_dir(&failpoints).expect("made");
    let run = || job.command().env("NEUROSEARCH_FAILPOINTS", &failpoints).output().expect("the trainer starts");
    let mut armed = failpoints.join("none");
    fs::write(&armed, "").expect("written");
    for error in ["ENOSPC", "EIO"] {
        let next = failpoints.join(format!("write:%checkpoint-#={error}+"));
        fs::rename(&armed, &next).expect("armed");
        armed = next;
        assert_eq!(run().status.code(), Some(5), "{error}");
        let end = job.end();
        assert_eq!((&end["ended"], &end["unread"]), (&json!("interrupted"), &json!(null)), "{end}");
        assert!(
            end["sentence"].as_str().is_some_and(|why| why.contains("could not be written") && why.contains("checkpoint-")),
            "{end}"
        );
    }
    fs::rename(&armed, failpoints.join("write:*=EIO+")).expect("armed");
    assert_eq!(run().status.code(), Some(5), "without a last word too");
    fs::remove_dir_all(&failpoints).expect("disarmed");
    job.train();
}

#[test]
fn an_image_out_of_reach_is_no_failure_and_the_job_goes_on_later() {
    let job = spoilt(|_| ());
    let caps = job.launch.path().join("caps");
    // The first image is looked at before the training, all are read in it.
    for participant in [2, 6] {
        let (path, kept) = (image_in(&caps, participant), caps.join("kept"));
        fs::rename(&path, &kept).expect("renamed");
        // A regular file whose first byte cannot be read: EIO.
        symlink("/proc/self/mem", &path).expect("linked");
        assert_eq!(job.command().output().expect("the trainer starts").status.code(), Some(5), "{participant}");
        let end = job.end();
        assert_eq!(end["ended"], "interrupted", "{end}");
        let name = format!("sub-MNI{participant:04}");
        assert!(end["sentence"].as_str().is_some_and(|why| why.contains(&name) && why.contains("os error 5")), "{end}");
        assert_eq!(end["unread"].as_str(), path.to_str(), "{end}");
        fs::rename(&kept, &path).expect("back");
    }
    job.train();
}

#[test]
fn a_log_beyond_its_bound_loses_its_middle_while_nothing_is_reported() {
    let job = Job::new(json!({}));
    let log = job.folder.join(".neurosearch/attempt-1.log");
    fs::create_dir_all(job.folder.join(".neurosearch")).expect("made");
    let failpoints = job.launch.path().join("failpoints");
    fs::create_dir(&failpoints).expect("made");
    let held = failpoints.join("write:%environment.txt=wait+");
    fs::write(&held, "").expect("armed");
    let mut output = fs::OpenOptions::new().create(true).append(true).open(&log).expect("opened");
    writeln!(output, "first").expect("written");
    let errors = output.try_clone().expect("cloned");
    let mut trainer = job.command().env("NEUROSEARCH_FAILPOINTS", &failpoints).stderr(errors).spawn().expect("it starts");
    until("it is held before its first report", || job.folder.join(".neurosearch/trainer.json").exists());
    for _ in 0..2 {
        output.write_all("a warning\n".repeat(attempt_log::LARGEST as usize / 10 + 1).as_bytes()).expect("written");
        until("the log is cut", || fs::metadata(&log).is_ok_and(|log| log.len() < attempt_log::LARGEST));
    }
    assert!(!job.folder.join(".neurosearch/progress.json").exists());
    fs::remove_file(held).expect("disarmed");
    assert!(trainer.wait().expect("reaped").success());
    let text = fs::read_to_string(&log).expect("read");
    assert!(text.starts_with("first\n") && text.contains("was left out"), "its beginning, and a word of what is gone");
    assert!(text.contains("computing waited"), "what the trainer said at the end");
}

#[test]
fn options_that_cannot_be_read_are_bad_options() {
    let job = Job::empty();
    fs::write(job.folder.join("commandline.json"), "{ \"mode\": ").expect("written");
    let (class, sentence) = job.failure();
    assert_eq!(class, "bad_options");
    assert!(sentence.contains("commandline.json"), "{sentence}");
}

#[test]
fn without_a_gpu_a_job_that_wants_one_fails_with_class_device() {
    let job = Job::new(json!({ "use_cpu": false }));
    let output = job.command().env("NEUROSEARCH_DEVICE", "cpu").output().expect("the trainer starts");
    assert_eq!(output.status.code(), Some(13));
    assert_eq!(job.end()["class"], "device");
}

#[test]
fn a_lock_that_cannot_be_taken_is_told_by_a_last_word_in_the_log() {
    let job = Job::new(json!({}));
    fs::create_dir(job.folder.join(".neurosearch")).expect("made");
    let elsewhere = job.launch.path().join("elsewhere");
    fs::write(&elsewhere, "").expect("written");
    symlink(&elsewhere, job.folder.join(".neurosearch/lock")).expect("linked");
    let output = job.run();
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{words}");
    assert!(
        words.lines().any(|line| line.starts_with("neurosearch-trainer: ends: ") && line.contains("it is a link")),
        "{words}"
    );
}

#[test]
fn a_cache_entry_that_is_cut_short_under_the_trainer_has_the_last_word() {
    let job = Job::new(json!({ "epochs": 500 }));
    let child = job.start();
    until("an epoch is done", || job.folder.join(".neurosearch/fold-0/checkpoint-1").exists());
    let entries: Vec<PathBuf> = entries(&job.launch.path().join("cache-home/neurosearch"));
    assert_eq!(entries.len(), 8);
    for entry in entries {
        fs::File::options().write(true).open(entry).and_then(|file| file.set_len(128)).expect("cut");
    }
    let output = child.wait_with_output().expect("reaped");
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.signal(), Some(SIGBUS), "{words}");
    let word = words.lines().find(|line| line.starts_with("neurosearch-trainer: ends: ")).expect("a last word");
    assert!(word.contains("cut short") && word.contains("cache-home/neurosearch"), "{word}");
}

fn entries(folder: &std::path::Path) -> Vec<PathBuf> {
    fs::read_dir(folder).expect("listed").map(|entry| entry.expect("an entry").path()).collect()
}

#[test]
fn a_failure_without_a_record_of_it_is_told_by_the_log_and_the_exit_code() {
    let job = spoilt(|caps| fs::write(image_in(caps, 6), "no image").expect("written"));
    // The trainer removes an earlier record; held there, it finds this name taken again when it ends.
    let failpoints = job.launch.path().join("failpoints");
    fs::create_dir(&failpoints).expect("made");
    let held = failpoints.join("create:environment.txt=wait+");
    fs::write(&held, "").expect("armed");
    let child = job.command().env("NEUROSEARCH_FAILPOINTS", &failpoints).stderr(Stdio::piped()).spawn().expect("it starts");
    until("it has begun", || job.folder.join(".neurosearch/trainer.json").exists());
    fs::create_dir_all(job.folder.join(".neurosearch/end.json/below")).expect("made");
    fs::remove_file(&held).expect("let go");
    let output = child.wait_with_output().expect("reaped");
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(11), "{words}");
    let last = words.lines().rfind(|line| line.starts_with("neurosearch-trainer: ends: ")).expect("a last word");
    assert!(last.contains("failed (bad_data)") && last.contains("sub-MNI0006"), "{words}");
}

#[test]
fn an_absent_seed_is_drawn_and_recorded() {
    let job = Job::new(json!({ "seed": null, "epochs": 1 }));
    job.train();
    let options = super::trainer_run::json_of(&job.folder.join("commandline.json"));
    assert!(options["seed"].is_u64(), "{options}");
}

#[test]
fn a_folder_that_is_not_there_and_a_relative_one_are_a_wrong_command_line() {
    for folder in ["/no/such/folder", "job-0"] {
        let status = std::process::Command::new(env!("CARGO_BIN_EXE_neurosearch-trainer")).arg(folder).status().expect("starts");
        assert_eq!(status.code(), Some(2), "{folder}");
    }
}
