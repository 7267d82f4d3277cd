//! Figures of a running daemon: how soon it starts a trainer, what it weighs while idle, how soon it answers.

use super::report::{Figure, Limit, Report, say, timed};
use super::{NEUROSEARCH, run};
use neurosearch::store::records::layout::{JobDir, LaunchDir};
use serde_json::json;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const NEUROSEARCHD: &str = env!("CARGO_BIN_EXE_neurosearchd");
/// Nothing here takes longer, unless it is broken.
const PATIENCE: Duration = Duration::from_secs(600);
const DROPS: usize = 5;

pub fn measure(dir: &Path, report: &mut Report) -> Result<(), String> {
    let daemon = Daemon::start(&dir.join("daemon"), "")?;
    report.add(daemon.memory("daemon's memory while idle", 40.0)?);
    report.add(daemon.status("neurosearch status", 0.02)?);
    report.add(daemon.idle("idle daemon, part of a core", Duration::from_secs(10))?);
    if Path::new(NEUROSEARCHD).with_file_name("neurosearch-trainer").exists() {
        drop(daemon);
        report.add(drops(dir)?);
    } else {
        report.leave_out("drop to first trainer started: there is no trainer beside the daemon");
    }
    Ok(())
}

/// A daemon of our own; stopped when dropped, its trainers with it.
pub struct Daemon {
    dir: PathBuf,
    child: Child,
}

impl Daemon {
    /// In `dir`, watching the directory `watched` there, with `more` lines of configuration.
    pub fn start(dir: &Path, more: &str) -> Result<Self, String> {
        let fail = |e: std::io::Error| format!("{}: {e}", dir.display());
        fs::create_dir_all(dir.join("watched")).map_err(fail)?;
        let settings = "watch = [\"watched\"]\nsocket = \"socket\"\ndevices = \"cpu\"\ncache_dir = \"cache\"\n";
        fs::write(dir.join("neurosearchd.toml"), format!("{settings}{more}")).map_err(fail)?;
        let log = File::create(dir.join("log")).map_err(fail)?;
        let mut command = Command::new(NEUROSEARCHD);
        command.arg("--config").arg(dir.join("neurosearchd.toml")).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let child = command.spawn().map_err(|e| format!("{NEUROSEARCHD}: {e}"))?;
        let daemon = Daemon { dir: dir.to_path_buf(), child };
        until("the daemon answers", || run(&mut daemon.ask()).is_ok())?;
        Ok(daemon)
    }

    pub fn socket(&self) -> PathBuf {
        self.dir.join("socket")
    }

    fn ask(&self) -> Command {
        let mut command = Command::new(NEUROSEARCH);
        command.args(["status", "--socket"]).arg(self.socket());
        command
    }

    pub fn status(&self, name: &'static str, limit: f64) -> Result<Figure, String> {
        let values = (0..31).map(|_| run(&mut self.ask())).collect::<Result<_, _>>()?;
        Ok(Figure { name, unit: "s", values, limit: Limit::Below(limit) })
    }

    /// The part of a core that it takes while nothing happens.
    pub fn idle(&self, name: &'static str, time: Duration) -> Result<Figure, String> {
        let before = self.computed()?;
        std::thread::sleep(time);
        let values = vec![(self.computed()? - before) / time.as_secs_f64()];
        Ok(Figure { name, unit: "", values, limit: Limit::Below(0.001) })
    }

    /// Seconds on a processor so far, its own and the kernel's for it; to the nanosecond, as the ticks in /proc are not.
    fn computed(&self) -> Result<f64, String> {
        let (mut clock, mut time) = (0, libc::timespec { tv_sec: 0, tv_nsec: 0 });
        // SAFETY: both calls write to the one place that they are given, which outlives them.
        let read = unsafe {
            libc::clock_getcpuclockid(self.child.id() as libc::pid_t, &raw mut clock) == 0
                && libc::clock_gettime(clock, &raw mut time) == 0
        };
        let seconds = time.tv_sec as f64 + time.tv_nsec as f64 / 1e9;
        if read { Ok(seconds) } else { Err("the daemon's time on a processor is not told".to_string()) }
    }

    /// Resident memory, with nothing to do.
    pub fn memory(&self, name: &'static str, limit: f64) -> Result<Figure, String> {
        Ok(Figure { name, unit: "MB", values: vec![self.resident()?], limit: Limit::Below(limit) })
    }

    /// Megabytes of it that are in memory.
    pub fn resident(&self) -> Result<f64, String> {
        let path = format!("/proc/{}/status", self.child.id());
        let text = fs::read_to_string(&path).map_err(|e| format!("{path}: {e}"))?;
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("VmRSS is not told")?;
        let kib: f64 = line.trim().trim_end_matches("kB").trim().parse().map_err(|_| "VmRSS is not a number")?;
        Ok(kib * 1024.0 / 1e6)
    }

    /// From the rename that makes a random_search.json appear to the trainer's own record of itself.
    fn drop_one(&self) -> Result<f64, String> {
        let launch = LaunchDir::new(self.dir.join("watched/search"));
        let fail = |e: std::io::Error| format!("{}: {e}", launch.path().display());
        fs::create_dir(launch.path()).map_err(fail)?;
        let half = launch.path().join("half");
        fs::write(&half, space().to_string()).map_err(fail)?;
        let job = JobDir::new(launch.path().join("job-0"));
        let seconds = timed(|| {
            fs::rename(&half, launch.space()).map_err(fail)?;
            until("the trainer has started", || job.trainer_record().exists())
        })?;
        until("the job has ended", || job.end().exists())?;
        Ok(seconds)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // SIGTERM, so that it lets go of its socket; it leaves trainers alone, but none runs between two drops.
        let stopped = Command::new("kill").arg(self.child.id().to_string()).status();
        if !stopped.is_ok_and(|status| status.success()) {
            say("bench: the daemon could not be told to stop");
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
    }
}

/// Each before a daemon of its own: after its first job, trainers wait for the next ones.
fn drops(dir: &Path) -> Result<Figure, String> {
    let values = (0..DROPS).map(|number| Daemon::start(&dir.join(format!("drop-{number}")), "")?.drop_one());
    let values = values.collect::<Result<_, _>>()?;
    Ok(Figure { name: "drop to first trainer started", unit: "s", values, limit: Limit::Below(1.0) })
}

/// One short job over the quarter-size volumes.
fn space() -> serde_json::Value {
    let quarter = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/mni-quarter");
    json!({
        "mode": "image", "network_type": "cnn", "caps_dir": quarter.join("caps"), "tsv_path": quarter.join("labels"),
        "preprocessing": "t1-linear", "diagnoses": ["AD", "CN"], "epochs": 1, "use_cpu": true, "nproc": 0,
        "n_convblocks": 2, "first_conv_width": 4, "n_fcblocks": 1, "neurosearch": {"n_jobs": 1, "seed": 1},
    })
}

pub fn until(what: &str, mut holds: impl FnMut() -> bool) -> Result<(), String> {
    let start = Instant::now();
    while !holds() {
        if start.elapsed() > PATIENCE {
            return Err(format!("waited {} s in vain until {what}", PATIENCE.as_secs()));
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    Ok(())
}
