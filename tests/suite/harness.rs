//! A daemon for one test: the real program on its own configuration, with the stand-in trainer, ended with the test.

use crate::stand_in::{SOON, Signal, checkout, signal, until};
use neurosearch::control::client::Client;
use neurosearch::control::reply::{Counts, Jobs, Search, Status};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A pipe at `path`, whose other end nobody opens.
pub fn pipe(path: &Path) {
    mknodat(CWD, path, FileType::Fifo, Mode::from_raw_mode(0o666), 0).expect("a pipe");
}

/// A directory that goes with the value.
pub fn tempdir() -> TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

/// A running daemon that watches `<dir>/root`. Dropping it kills the daemon, and then every trainer that it left.
pub struct Daemon {
    pub dir: PathBuf,
    pub root: PathBuf,
    child: Child,
}

/// What a test's daemon is told besides its directories; the defaults make it quick.
#[derive(Debug, Clone)]
pub struct Setup {
    /// More lines of TOML.
    pub config: String,
    /// More variables, as the stand-in trainer reads them.
    pub environment: Vec<(&'static str, String)>,
}

impl Default for Setup {
    fn default() -> Self {
        Setup { config: "devices = \"cpu\"\nrescan_seconds = 1\nsettle_milliseconds = 100".to_string(), environment: Vec::new() }
    }
}

impl Setup {
    /// With one more variable in the daemon's environment, which its trainers inherit.
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.environment.push((name, value.into()));
        self
    }
}

impl Daemon {
    /// Starts a daemon in `dir`, and waits until it answers.
    pub fn start(dir: &Path, setup: &Setup) -> Self {
        let root = dir.join("root");
        fs::create_dir_all(&root).expect("made");
        let daemon = Daemon { dir: dir.to_path_buf(), root, child: spawn(dir, setup) };
        daemon.wait_until_it_answers();
        daemon
    }

    pub fn wait_until_it_answers(&self) {
        until("the daemon answers", || self.client().get::<serde_json::Value>("/v1/ping", &[]).is_ok());
    }

    pub fn client(&self) -> Client {
        Client::new(self.dir.join("d.sock"))
    }

    /// What the socket answers to these very bytes, until the daemon ends the connection.
    pub fn answer(&self, request: impl AsRef<[u8]>) -> String {
        let mut stream = UnixStream::connect(self.dir.join("d.sock")).expect("connected");
        // The daemon may have had enough before everything is sent.
        let _ = stream.write_all(request.as_ref());
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// A launch directory below the watched root, still without a space file.
    pub fn launch(&self, name: &str) -> PathBuf {
        let launch = self.root.join(name);
        fs::create_dir_all(&launch).expect("made");
        launch
    }

    pub fn status(&self) -> Status {
        self.client().get("/v1/status", &[]).expect("a status")
    }

    /// What the daemon shows of one launch directory; none where it knows none.
    pub fn search(&self, launch: &Path) -> Option<Search> {
        self.status().searches.into_iter().find(|search| Path::new(&search.launch) == launch)
    }

    pub fn counts(&self, launch: &Path) -> Counts {
        self.search(launch).map(|search| search.counts).unwrap_or_default()
    }

    pub fn jobs(&self, launch: &Path) -> Jobs {
        self.client().get("/v1/jobs", &[("launch", launch.to_str().expect("UTF-8"))]).expect("jobs")
    }

    /// Waits until the counts are as asked for; fails with the log.
    pub fn wait_for(&self, what: &str, launch: &Path, wanted: impl Fn(&Counts) -> bool) {
        let deadline = Instant::now() + SOON;
        while !wanted(&self.counts(launch)) {
            let state = || format!("{:#?}\n{}", self.search(launch), self.log());
            assert!(Instant::now() < deadline, "waited in vain: {what}\n{}", state());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Everything the daemons of this test have logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.join("daemon.log")).unwrap_or_default()
    }

    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("asked").is_none()
    }

    /// Ends the daemon at once, as a crash would.
    pub fn kill(&mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("reaped");
    }

    /// Whether the daemon has ended by itself; fails when it ended badly.
    pub fn has_ended(&mut self) -> bool {
        let status = self.child.try_wait().expect("asked");
        status.is_some_and(|status| {
            assert!(status.success(), "{status}\n{}", self.log());
            true
        })
    }

    /// Asks the daemon to stop, and gives the time that took; fails when it ends badly.
    pub fn terminate(&mut self) -> Duration {
        let begun = Instant::now();
        signal(self.pid(), Signal::TERM);
        loop {
            if let Some(status) = self.child.try_wait().expect("asked") {
                assert!(status.success(), "{status}\n{}", self.log());
                return begun.elapsed();
            }
            assert!(begun.elapsed() < SOON, "it does not stop\n{}", self.log());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Starts the daemon again without waiting until it answers.
    pub fn start_unseen(&mut self, setup: &Setup) {
        self.child = spawn(&self.dir, setup);
    }

    /// Starts the daemon again, in the place of one that has ended.
    pub fn start_again(&mut self, setup: &Setup) {
        self.start_unseen(setup);
        self.wait_until_it_answers();
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        for trainer in trainers(&self.root) {
            signal(trainer, Signal::KILL);
        }
    }
}

fn spawn(dir: &Path, setup: &Setup) -> Child {
    let config = dir.join("neurosearchd.toml");
    fs::write(&config, format!("watch = [\"root\"]\nsocket = \"d.sock\"\n{}\n", setup.config)).expect("written");
    let log = File::options().create(true).append(true).open(dir.join("daemon.log")).expect("a log");
    let no_gpus = dir.join("no-gpus.json");
    fs::write(&no_gpus, "[]").expect("written");
    let mut command = Command::new(env!("CARGO_BIN_EXE_neurosearchd"));
    command
        .current_dir(dir)
        .arg("--config")
        .arg(config)
        .env("NEUROSEARCHD_LOG", "debug")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log);
    command.env("NEUROSEARCH_TRAINER", checkout("tests/programs/stand-in-trainer"));
    command.env("NEUROSEARCH_GPU_LISTING", no_gpus).env("XDG_CACHE_HOME", dir.join("cache-home"));
    command.env_remove("NEUROSEARCH_SOCKET");
    for (name, value) in &setup.environment {
        command.env(name, value);
    }
    command.spawn().expect("the daemon starts")
}

/// Pids of the trainers that still live, by what they wrote into the job folders below `root`.
pub fn trainers(root: &Path) -> Vec<u32> {
    let below = |path: &Path| fs::read_dir(path).map(|entries| entries.flatten().map(|e| e.path()).collect()).unwrap_or_default();
    let launches: Vec<PathBuf> = below(root);
    let jobs = launches.iter().flat_map(|launch| -> Vec<PathBuf> { below(launch) });
    jobs.filter_map(|job| {
        let record = job.join(".neurosearch/trainer.json");
        let text = fs::read_to_string(record).ok()?;
        let pid = serde_json::from_str::<serde_json::Value>(&text).ok()?["run"]["process"]["pid"].as_u64()?;
        let pid = u32::try_from(pid).ok()?;
        let command = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        String::from_utf8_lossy(&command).contains("-trainer").then_some(pid)
    })
    .collect()
}

/// A space over the quarter-size CAPS for `n_jobs` jobs of `epochs` epochs, with more keys if any.
pub fn space(n_jobs: u64, epochs: u64, more: &serde_json::Value) -> String {
    let mut space = serde_json::json!({
        "mode": "image",
        "network_type": "cnn",
        "caps_dir": checkout("tests/fixtures/mni-quarter/caps"),
        "tsv_path": checkout("tests/fixtures/mni-quarter/labels"),
        "preprocessing": "t1-linear",
        "diagnoses": ["AD", "CN"],
        "epochs": epochs,
        "n_convblocks": [1, 3],
        "first_conv_width": [2, 4],
        "n_fcblocks": [1, 2],
        "use_cpu": true,
        "neurosearch": { "n_jobs": n_jobs, "seed": 7 },
    });
    let map = space.as_object_mut().expect("an object");
    map.extend(more.as_object().cloned().unwrap_or_default());
    serde_json::to_string_pretty(&space).expect("JSON")
}

/// Puts a space file into a launch directory as a careful program does: under another name first.
pub fn drop_space(launch: &Path, text: &str) {
    let temporary = launch.join("random_search.json.new");
    fs::write(&temporary, text).expect("written");
    fs::rename(temporary, launch.join("random_search.json")).expect("renamed");
}
