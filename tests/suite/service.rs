//! The systemd units, held against systemd's own judgement and against what the daemon relies on.

use super::needs::needs;
use crate::harness::tempdir;
use std::path::{Path, PathBuf};
use std::process::Command;

const UNITS: [&str; 3] = ["neurosearchd.service", "neurosearch-gpu.service", "user/neurosearchd.service"];
/// The highest exposure that the system's service may have, on systemd's scale from 0 to 10.
const EXPOSURE: f64 = 2.0;

fn unit(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The unit's settings, without comments and sections, in order.
fn settings(name: &str) -> Vec<String> {
    let kept = |line: &&str| line.contains('=') && !line.starts_with('#');
    unit(name).lines().filter(kept).map(str::to_string).collect()
}

/// A copy of the unit that names the built programs, since systemd refuses a program that is not installed.
fn copy(name: &str, dir: &Path) -> PathBuf {
    let built = Path::new(env!("CARGO_BIN_EXE_neurosearchd")).parent().expect("a program lies in a directory");
    let text = unit(name).replace("/usr/bin/neurosearch", &format!("{}/neurosearch", built.display()));
    let path = dir.join(Path::new(name).file_name().expect("a unit has a name"));
    std::fs::write(&path, text).expect("written");
    path
}

fn verify(names: &[&str], arguments: &[&str]) {
    let Some(analyze) = needs("systemd-analyze") else { return };
    let dir = tempdir();
    let copies: Vec<PathBuf> = names.iter().map(|name| copy(name, dir.path())).collect();
    // A person's units are verified in a runtime directory, which a build machine need not have.
    let output = Command::new(analyze)
        .args(["verify", "--man=no"])
        .args(arguments)
        .args(&copies)
        .env("XDG_RUNTIME_DIR", dir.path())
        .output()
        .expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr);
    let ours: Vec<&str> = said.lines().filter(|line| line.contains("neurosearch")).collect();
    assert!(output.status.success() && ours.is_empty(), "{}: {said}", output.status);
}

#[test]
fn the_systems_units_are_verified_by_systemd() {
    verify(&UNITS[..2], &[]);
}

#[test]
fn the_unit_for_one_person_is_verified_by_systemd() {
    verify(&UNITS[2..], &["--user"]);
}

#[test]
fn the_service_is_no_more_exposed_than_it_may_be() {
    let Some(analyze) = needs("systemd-analyze") else { return };
    let dir = tempdir();
    let output = Command::new(analyze)
        .args(["security", "--offline=true", "--no-pager"])
        .arg(copy(UNITS[0], dir.path()))
        .output()
        .expect("it runs");
    let table = String::from_utf8_lossy(&output.stdout);
    let last = table.lines().find(|line| line.contains("Overall exposure level")).unwrap_or_else(|| panic!("{table}"));
    let level: f64 = last.rsplit_once(": ").unwrap().1.split(' ').next().unwrap().parse().unwrap();
    assert!(level <= EXPOSURE, "{last}\n{table}");
}

#[test]
fn hardening_leaves_the_gpu_and_libtorch_usable() {
    let settings = settings(UNITS[0]);
    for forbidden in ["PrivateDevices=", "MemoryDenyWriteExecute=", "ProcSubset=", "PrivateUsers=", "RemoveIPC="] {
        assert!(!settings.iter().any(|line| line.starts_with(forbidden)), "{forbidden}");
    }
    assert!(settings.iter().any(|line| line == "DeviceAllow=char-nvidia* rw"));
}

#[test]
fn both_services_leave_trainers_alone_and_watch_the_daemon() {
    for name in [UNITS[0], UNITS[2]] {
        let settings = settings(name);
        for needed in ["Type=notify", "KillMode=process", "OOMPolicy=continue", "Restart=on-failure"] {
            assert!(settings.iter().any(|line| line == needed), "{name}: {needed}");
        }
        for key in ["WatchdogSec=", "ExecReload=", "TimeoutStopSec=", "StartLimitBurst="] {
            assert!(settings.iter().any(|line| line.starts_with(key)), "{name}: {key}");
        }
    }
    let system = settings(UNITS[0]);
    assert!(system.iter().any(|line| line == "User=neurosearch") && system.iter().any(|line| line == "Group=neurosearch"));
}
