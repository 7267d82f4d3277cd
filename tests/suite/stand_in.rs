//! What tests of the starters share: the programs, the stand-in trainer, and launch directories over the small CAPS.

use rustix::io::Errno;
pub use rustix::process::Signal;
use rustix::process::{Pid, kill_process};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output};
use std::time::{Duration, Instant};

/// How long anything that should happen at once may take on a busy machine.
pub const SOON: Duration = Duration::from_secs(60);

/// A copy of a program in `folder`, for a user to whom the checkout may be closed.
pub fn copied(program: impl AsRef<Path>, folder: &Path) -> PathBuf {
    let to = folder.join(program.as_ref().file_name().expect("a name"));
    std::fs::copy(program, &to).expect("copied");
    std::fs::set_permissions(&to, PermissionsExt::from_mode(0o755)).expect("opened");
    to
}

/// A file or folder of the checkout.
pub fn checkout(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The command line on a machine without GPUs, with the stand-in trainer.
pub fn neurosearch(dir: &Path) -> Command {
    let gpus = dir.join("no-gpus.json");
    std::fs::write(&gpus, "[]").expect("written");
    let mut command = Command::new(env!("CARGO_BIN_EXE_neurosearch"));
    command.env("NEUROSEARCH_TRAINER", checkout("tests/programs/stand-in-trainer"));
    command.env("NEUROSEARCH_GPU_LISTING", gpus).env("XDG_CACHE_HOME", dir.join("cache-home"));
    command.env_remove("CUDA_VISIBLE_DEVICES");
    command
}

/// A launch directory over the quarter-size CAPS, in `dir`, with `more` keys besides the mandatory ones.
pub fn launch(dir: &Path, more: serde_json::Value) -> PathBuf {
    let launch = dir.join("launch");
    std::fs::create_dir(&launch).expect("made");
    let mut space = serde_json::json!({
        "mode": "image",
        "network_type": "cnn",
        "caps_dir": checkout("tests/fixtures/mni-quarter/caps"),
        "tsv_path": checkout("tests/fixtures/mni-quarter/labels"),
        "preprocessing": "t1-linear",
        "diagnoses": ["AD", "CN"],
        "epochs": 3,
        "n_convblocks": [1, 3],
        "first_conv_width": [2, 4],
        "n_fcblocks": [1, 2],
        "use_cpu": true,
    });
    let map = space.as_object_mut().expect("an object");
    map.extend(more.as_object().expect("an object").clone());
    std::fs::write(launch.join("random_search.json"), space.to_string()).expect("written");
    launch
}

/// The JSON in a file.
pub fn json(path: &Path) -> serde_json::Value {
    let text = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// What the program said and how it ended, for assertions that fail.
pub fn said(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    format!("{}\n{}{}", output.status, text(&output.stdout), text(&output.stderr))
}

/// Asks until the answer is yes; fails, with what was waited for, when it takes longer than [`SOON`].
pub fn until(what: &str, mut answer: impl FnMut() -> bool) {
    let deadline = Instant::now() + SOON;
    while !answer() {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Ends the program with the test.
pub struct Ended(pub Child);

impl Drop for Ended {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Sends a signal; a process that is gone is no failure. Not through the program `kill`, which a minimal system lacks.
pub fn signal(pid: u32, signal: Signal) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).expect("a process id");
    match kill_process(pid, signal) {
        Ok(()) | Err(Errno::SRCH) => {}
        Err(error) => panic!("{signal:?} to {pid:?}: {error}"),
    }
}
