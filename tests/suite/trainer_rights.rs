//! A trainer that may read more than the user whom it trains for: none of what they may not read comes into a result.

use super::trainer_run::{Job, files};
use super::trainer_small::{Small, at, dots, probe};
use crate::needs::skip;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Output;

/// The number of a user that nobody has.
const OWNER: &str = "61001";

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("set");
}

/// Runs the job for a user, or for whoever runs the test, with one cache for all.
fn run(small: &Small, job: &Job, user: &str) -> Output {
    let mut command = job.command();
    command.env("NEUROSEARCH_READS_AS", user).env("NEUROSEARCH_CACHE_DIR", small.path("cache"));
    command.output().expect("the trainer starts")
}

/// Two patches an image, each extracted too, a mask, and a source of transfers.
fn data() -> Small {
    let small = Small::of_two_classes();
    mode(&small.path(""), 0o755);
    for name in ["ad0", "ad1", "ad2", "cn0", "cn1", "cn2"] {
        small.image(name, [2, 2, 4], &dots([2, 2, 4], &[([0; 3], 0.5)]));
        for item in 0..2 {
            small.tensor(&small.file(name, &small.caps.patch(at(name), 2, 2, item)), &[1, 2, 2, 2], &[0.5; 8]);
        }
    }
    small.mask("left", [2, 2, 4], &[1.0; 16]);
    small.source("source", "cnn", &[("best_loss", probe(2, 1.0))]);
    small
}

#[test]
fn what_the_user_may_not_read_is_not_trained_on_though_the_trainer_and_its_cache_have_it() {
    if !rustix::process::geteuid().is_root() {
        return skip("root, who may read everything");
    }
    let small = data();
    let patches = json!({ "mode": "patch", "patch_size": 2, "stride_size": 2, "use_extracted_patches": true });
    let image = |name| small.file(name, &small.caps.nifti(at(name))[0]);
    let autoencoder = json!({ "network_type": "autoencoder" });
    // Of the images, the check before the training reads only the first.
    let cases: [(&str, _, Value); 6] = [
        ("an image", image("cn1"), autoencoder.clone()),
        ("the first image", image("ad0"), autoencoder),
        ("an extracted item", small.file("cn1", &small.caps.patch(at("cn1"), 2, 2, 1)), patches),
        ("a mask", small.caps.mask("left", small.names), json!({ "mode": "roi", "roi_list": ["left"] })),
        ("a table of labels", small.path("labels/validation/CN_baseline.tsv"), json!({})),
        (
            "a model",
            small.path("source/fold-0/models/best_loss/model_best.pth.tar"),
            json!({ "transfer_learning_path": small.path("source") }),
        ),
    ];
    for (what, path, changes) in cases {
        mode(&path, 0o600);
        let job = small.job(changes.clone());
        assert!(run(&small, &job, "").status.success(), "{what} is read for oneself, and an image is in the cache then");
        let job = small.job(changes.clone());
        let output = run(&small, &job, OWNER);
        let (said, end) = (String::from_utf8_lossy(&output.stderr).into_owned(), job.end());
        assert_eq!((&end["ended"], &end["class"]), (&json!("failed"), &json!("bad_data")), "{what}: {said}");
        let sentence = end["sentence"].as_str().expect("a sentence");
        assert!(sentence.contains("user 61001") && sentence.contains("may not read it"), "{what}: {sentence}");
        let volumes = files(&job.folder).into_iter().filter(|(path, _)| path.to_string_lossy().contains(".nii"));
        assert_eq!(volumes.count(), 0, "{what}");
        mode(&path, 0o644);
        let job = small.job(changes);
        let output = run(&small, &job, OWNER);
        assert!(output.status.success(), "{what}: {}", String::from_utf8_lossy(&output.stderr));
    }
}
