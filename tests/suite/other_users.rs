//! Inputs that only the daemon may read: nothing of them is shown or trained on for the user who named them.

use crate::harness::{Daemon, Setup, space, tempdir, trainers};
use crate::needs::{needs, skip};
use crate::stand_in::{Signal, checkout, copied, signal, until};
use neurosearch::control::client::Client;
use neurosearch::store::formats::nifti;
use serde_json::{Value, json};
use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Numbers of users and groups that nobody has.
const OWNER: u32 = 61_001;
const SERVICE: u32 = 61_005;
/// Of the secrets, and of the launch directories; the service is in both.
const SECRETS: u32 = 61_006;
const SHARED: u32 = 61_007;

const SECRET: &str = "TOPSECRET";
/// Of a mask that the owner may not read.
const SIZES: &str = "7 x 6 x 5";

const MASK: &str = "masks/roi_based/tpl-MNI152NLin2009cSym/tpl-MNI152NLin2009cSym_desc-Crop_res-1x1x1_roi-left_mask.nii.gz";
const IMAGE: &str =
    "subjects/sub-MNI0000/ses-M00/t1_linear/sub-MNI0000_ses-M00_T1w_space-MNI152NLin2009cSym_desc-Crop_res-1x1x1_T1w.nii.gz";

pub fn copy(from: &Path, to: &Path) {
    if !from.is_dir() {
        fs::copy(from, to).expect("copied");
        return;
    }
    fs::create_dir_all(to).expect("made");
    for entry in fs::read_dir(from).expect("listed") {
        let name = entry.expect("an entry").file_name();
        copy(&from.join(&name), &to.join(&name));
    }
}

/// Puts a link to `target` where something else was.
fn exchange(path: &Path, target: &Path) {
    fs::remove_file(path).expect("removed");
    symlink(target, path).expect("linked");
}

fn open_to_all(path: &Path) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("opened");
}

/// Data that everybody may read, a closed folder, and launch directories of [`OWNER`] that lead into it.
struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    /// The closed folder has the group `group` and its files and folders these modes.
    fn new(group: u32, mode: u32) -> Self {
        let place = Place { dir: tempdir() };
        open_to_all(place.dir.path());
        let closed = place.path("closed");
        for (name, from) in [("caps", "caps"), ("labels", "labels"), ("closed/labels", "labels")] {
            copy(&checkout("tests/fixtures/mni-quarter").join(from), &place.path(name));
        }
        fs::write(closed.join("notes"), format!("root:{SECRET}:19000\nmore\n")).expect("written");
        fs::write(closed.join("table.tsv"), format!("participant_id\tsession_id\tdiagnosis\n{SECRET}/\tses-M00\tAD\n"))
            .expect("written");
        fs::create_dir(closed.join("job")).expect("made");
        fs::write(closed.join("job/commandline.json"), format!("{{\"network_type\": \"{SECRET}\"}}")).expect("written");
        fs::write(closed.join("space.json"), format!("{{\"mode\": \"{SECRET}\"}}")).expect("written");
        nifti::write_f32(&closed.join("mask.nii.gz"), [7, 6, 5], &[1.0; 210]).expect("written");
        copy(&place.path("caps").join(IMAGE), &closed.join("image.nii.gz"));
        for name in ["notes", "table.tsv", "space.json", "mask.nii.gz", "image.nii.gz", "job/commandline.json"] {
            chown(closed.join(name), None, Some(group)).expect("given");
            fs::set_permissions(closed.join(name), fs::Permissions::from_mode(mode & 0o666)).expect("set");
        }
        chown(&closed, None, Some(group)).expect("given");
        fs::set_permissions(&closed, fs::Permissions::from_mode(mode)).expect("closed");
        fs::create_dir(place.path("root")).expect("made");
        place
    }

    fn path(&self, below: &str) -> PathBuf {
        self.dir.path().join(below)
    }

    /// A launch directory of the owner's, with a space over the open data but for these keys.
    fn launch(&self, name: &str, keys: Value) -> PathBuf {
        let launch = self.path("root").join(name);
        fs::create_dir(&launch).expect("made");
        let mut all = json!({"caps_dir": self.path("caps"), "tsv_path": self.path("labels")});
        all.as_object_mut().expect("an object").extend(keys.as_object().expect("an object").clone());
        let file = launch.join("random_search.json");
        fs::write(&file, space(1, 1, &all)).expect("written");
        for path in [&file, &launch] {
            chown(path, Some(OWNER), Some(SHARED)).expect("given");
        }
        fs::set_permissions(&launch, fs::Permissions::from_mode(0o2775)).expect("set");
        launch
    }

    /// Data of which the part `below` leads to `target` in the closed folder.
    fn data(&self, name: &str, from: &str, below: &str, target: &str) -> PathBuf {
        let data = self.path(name);
        copy(&self.path(from), &data);
        exchange(&data.join(below), &self.path("closed").join(target));
        data
    }

    /// Launch directories, none of which may come to a job at a daemon that is the user `daemon`.
    fn wanted(&self, daemon: u32) -> Vec<PathBuf> {
        let [first_line, cell] = [("first-line", "notes"), ("cell", "table.tsv")].map(|(name, target)| {
            let labels = self.data(&format!("labels-{name}"), "labels", "train/AD.tsv", target);
            self.launch(name, json!({"tsv_path": labels}))
        });
        symlink(self.path("closed/labels"), self.path("labels-link")).expect("linked");
        let labels = self.launch("labels", json!({"tsv_path": self.path("labels-link")}));
        let transfer = self.launch("transfer", json!({"transfer_learning_path": [self.path("closed/job")]}));
        let caps = self.data("caps-mask", "caps", MASK, "mask.nii.gz");
        let mask = self.launch("mask", json!({"caps_dir": caps, "mode": "roi", "roi_list": ["left"]}));
        let caps = self.data("caps-image", "caps", IMAGE, "image.nii.gz");
        let image = self.launch("image", json!({"caps_dir": caps}));
        let link = self.launch("space", json!({}));
        exchange(&link.join("random_search.json"), &self.path("closed/space.json"));
        // One of the daemon's own files, which the owner found in a directory of theirs and moved.
        let moved = self.launch("moved", json!({}));
        fs::copy(self.path("closed/space.json"), moved.join("random_search.json")).expect("copied");
        chown(moved.join("random_search.json"), Some(daemon), Some(SECRETS)).expect("given");
        fs::set_permissions(moved.join("random_search.json"), fs::Permissions::from_mode(0o600)).expect("set");
        vec![first_line, cell, labels, transfer, mask, image, link, moved]
    }
}

/// Every byte below a directory, but for the search space, which the owner put there.
fn everything(directory: &Path) -> Vec<u8> {
    let mut all = Vec::new();
    for entry in fs::read_dir(directory).expect("listed") {
        let path = entry.expect("an entry").path();
        match path.symlink_metadata().expect("looked").file_type() {
            kind if kind.is_dir() => all.extend(everything(&path)),
            kind if kind.is_file() && !path.ends_with("random_search.json") => all.extend(fs::read(&path).expect("read")),
            _ => {}
        }
    }
    all
}

/// Follows the searches of `place` at a daemon that may read everything in it, and is the user `daemon`.
fn assert_nothing_is_shown(place: &Place, client: &Client, log: &Path, daemon: u32) {
    let wanted = place.wanted(daemon);
    let twins =
        ["job", "gone"].map(|name| place.launch(&format!("twin-{name}"), json!({"caps_dir": place.path("closed").join(name)})));
    let hold = place.path("hold");
    let own = place.launch("own", json!({}));
    // The daemon's user may put a space into another's directory, who can read it there.
    chown(own.join("random_search.json"), Some(daemon), None).expect("given");
    let error = |launch: &Path| fs::read_to_string(launch.join("random_search.error")).unwrap_or_default();
    for launch in wanted.iter().chain(&twins) {
        until(&format!("{} is refused", launch.display()), || !error(launch).is_empty());
        let jobs = fs::read_dir(launch)
            .expect("listed")
            .filter(|entry| entry.as_ref().expect("an entry").path().join("commandline.json").exists());
        assert_eq!(jobs.count(), 0, "{}", launch.display());
        let refused = ["may not read it", "not a regular file"];
        assert!(refused.iter().any(|words| error(launch).contains(words)), "{}", error(launch));
        let verbs = ["status", "jobs"].map(|verb| {
            let answer = client.get::<Value>(&format!("/v1/{verb}"), &[("launch", launch.to_str().expect("UTF-8"))]);
            answer.map(|answer| answer.to_string()).unwrap_or_default()
        });
        let shown = [everything(launch), verbs.concat().into_bytes(), fs::read(log).expect("read")].concat();
        let shown = String::from_utf8_lossy(&shown);
        for secret in [SECRET, SIZES] {
            assert!(!shown.contains(secret), "{}: {shown}", launch.display());
        }
    }
    let [there, gone] = twins.map(|launch| error(&launch));
    assert_eq!(
        there.replace("twin-job", "x").replace("closed/job", "x"),
        gone.replace("twin-gone", "x").replace("closed/gone", "x")
    );
    // What the owner may read is trained on, by a trainer that is told whose rights count.
    let mut environment = Vec::new();
    until("a trainer runs", || {
        let pids = trainers(&place.path("root"));
        environment = pids.first().and_then(|pid| fs::read(format!("/proc/{pid}/environ")).ok()).unwrap_or_default();
        !environment.is_empty()
    });
    let told = format!("NEUROSEARCH_READS_AS={OWNER}\0");
    assert!(String::from_utf8_lossy(&environment).contains(&told), "{}", String::from_utf8_lossy(&environment));
    fs::remove_file(&hold).expect("let go");
    until("the owner's search is done", || {
        own.join("job-0/cnn_classification").exists() || own.join("job-0/fold-0/cnn_classification").exists()
    });
}

fn hold(place: &Place) -> String {
    let hold = place.path("hold");
    fs::write(&hold, "").expect("written");
    hold.to_str().expect("UTF-8").to_string()
}

#[test]
fn root_reads_for_a_launch_directorys_owner_what_the_owner_may_read() {
    if !rustix::process::geteuid().is_root() {
        return skip("root, who may read everything");
    }
    let place = Place::new(0, 0o700);
    let setup = Setup::default().with("STAND_IN_HOLD", hold(&place));
    let daemon = Daemon::start(place.dir.path(), &setup);
    assert_nothing_is_shown(&place, &daemon.client(), &place.path("daemon.log"), 0);
    assert!(daemon.log().contains("the daemon runs as root and should not"), "{}", daemon.log());
}

/// A daemon that runs as [`SERVICE`], killed on drop.
struct Service(Child, PathBuf);

impl Drop for Service {
    fn drop(&mut self) {
        signal(self.0.id(), Signal::KILL);
        let _ = self.0.wait();
        for trainer in trainers(&self.1) {
            signal(trainer, Signal::KILL);
        }
    }
}

#[test]
fn a_service_that_may_read_more_than_the_owner_reads_no_more_for_them() {
    let Some(setpriv) = needs("setpriv") else { return };
    if !rustix::process::geteuid().is_root() {
        return skip("root, who alone can become another user");
    }
    let place = Place::new(SECRETS, 0o750);
    let own = place.path("service");
    fs::create_dir(&own).expect("made");
    fs::write(own.join("no-gpus.json"), "[]").expect("written");
    chown(&own, Some(SERVICE), Some(SERVICE)).expect("given");
    let (log, root) = (own.join("log"), place.path("root"));
    let daemon = Command::new(setpriv)
        .args(["--reuid", &SERVICE.to_string(), "--regid", &SERVICE.to_string(), "--groups", &format!("{SECRETS},{SHARED}")])
        .arg(env!("CARGO_BIN_EXE_neurosearchd"))
        .args(["--rescan-seconds", "1", "--settle-milliseconds", "100", "--devices", "cpu", "--log", "debug"])
        .arg("--watch")
        .arg(&root)
        .arg("--socket")
        .arg(own.join("d.sock"))
        .env("HOME", &own)
        .env("NEUROSEARCH_TRAINER", copied(checkout("tests/programs/stand-in-trainer"), &own))
        .env("NEUROSEARCH_GPU_LISTING", own.join("no-gpus.json"))
        .env("STAND_IN_HOLD", hold(&place))
        .env_remove("NEUROSEARCHD_CONFIG")
        .stdout(Stdio::null())
        .stderr(File::create(&log).expect("made"))
        .spawn();
    let service = Service(daemon.expect("it runs"), root);
    let client = Client::new(own.join("d.sock"));
    until("the daemon answers", || client.get::<Value>("/v1/ping", &[]).is_ok());
    assert_nothing_is_shown(&place, &client, &log, SERVICE);
    drop(service);
}
