//! The daemon's configuration from file, variables and flags, and what the real program says of its faults.

use crate::harness::tempdir;
use neurosearch::store::settings::keys::KEYS;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

/// A value of each key, by flag and by variable.
const VALUES: &[(&str, &str)] = &[
    ("watch", "/a:/b"),
    ("socket", "/s"),
    ("allowed_hosts", "lab.example,[2001:db8::7]"),
    ("devices", "GPU-1,cpu"),
    ("exclude_devices", "GPU-2,GPU-3"),
    ("slots_per_device", "3"),
    ("cache", "false"),
    ("cache_dir", "/c"),
    ("cache_gigabytes", "11"),
    ("precision", "tf32"),
    ("rescan_seconds", "7"),
    ("settle_milliseconds", "70"),
    ("stop_grace_seconds", "8"),
    ("stall_seconds", "9"),
    ("on_too_large", "redraw"),
    ("log", "warn,neurosearch=debug"),
    ("search.n_jobs", "5"),
    ("search.seed", "6"),
];

/// No key takes this.
const BAD: &str = "~/x=loud";

/// The daemon in a directory of its own, in which nothing that it is told here may be found.
fn neurosearchd(dir: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_neurosearchd"));
    for key in KEYS {
        command.env_remove(key.variable);
    }
    command.args(arguments).envs(variables.iter().copied()).current_dir(dir).output().expect("it runs")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn every_keys_flag_and_variable_take_its_values_and_refuse_others() {
    assert_eq!(VALUES.iter().map(|(name, _)| *name).collect::<Vec<_>>(), KEYS.iter().map(|key| key.name).collect::<Vec<_>>());
    let dir = tempdir();
    let help = String::from_utf8(neurosearchd(dir.path(), &["--help"], &[]).stdout).expect("UTF-8");
    let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
    for (key, (_, value)) in KEYS.iter().zip(VALUES) {
        let flag = format!("--{}", key.flag);
        assert!(help.contains(&format!("{flag} <{}>", key.value)) && help.contains(&format!("[env: {}", key.variable)), "{help}");
        let check = |arguments: &[&str], variables: &[(&str, &str)]| {
            let output = neurosearchd(dir.path(), &[&["--check-config"], arguments].concat(), variables);
            (output.status.code(), said(&output))
        };
        assert_eq!(check(&[&flag, value], &[]), (Some(0), String::new()), "{flag} {value}");
        assert_eq!(check(&[], &[(key.variable, value)]), (Some(0), String::new()), "{}", key.variable);
        // The flag wins, and what it hides is not looked at; an empty variable is none.
        assert_eq!(check(&[&flag, value], &[(key.variable, BAD)]), (Some(0), String::new()), "{flag}");
        assert_eq!(check(&[], &[(key.variable, "")]), (Some(0), String::new()), "{}", key.variable);
        for (arguments, variables, by) in
            [(&[flag.as_str(), BAD][..], &[][..], flag.as_str()), (&[], &[(key.variable, BAD)], key.variable)]
        {
            let (code, sentence) = check(arguments, variables);
            assert!(code == Some(2) && sentence.starts_with(&format!("neurosearchd: {by}: ")), "{by}: {sentence}");
            assert!(sentence.contains(BAD) && sentence.lines().count() == 1, "{by}: {sentence}");
        }
    }
}

#[test]
fn what_a_start_refuses_the_check_refuses_with_the_same_words() {
    let dir = tempdir();
    let faults = [
        "log = \"neurosearch=loud\"",
        "log = \"inof\"",
        "devices = [\"0\"]",
        "allowed_hosts = [\"http://lab.example/\"]",
        "exclude_devices = [\"gpu0\"]",
        "search = { n_jobs = -1 }",
        "search.n_jobs = 1.5",
        "stall_secondz = 3",
        "watch = [",
        "slots_per_device = 0\nrescan_seconds = 0",
    ];
    for (index, fault) in faults.iter().enumerate() {
        let name = format!("{index}.toml");
        fs::write(dir.path().join(&name), format!("socket = \"s\"\n{fault}\n")).expect("written");
        let start = neurosearchd(dir.path(), &["--config", &name], &[]);
        let check = neurosearchd(dir.path(), &["--check-config"], &[("NEUROSEARCHD_CONFIG", &name)]);
        assert_eq!((start.status.code(), check.status.code()), (Some(2), Some(2)), "{fault}: {}", said(&start));
        assert_eq!(said(&start), said(&check));
        assert!(said(&start).lines().all(|line| line.starts_with(&format!("neurosearchd: {name}: line "))), "{}", said(&start));
    }
    assert_eq!(fs::read_dir(dir.path()).expect("listed").count(), faults.len(), "no socket and no lock are left");
    fs::write(dir.path().join("good.toml"), "watch = [\"a\"]").expect("written");
    assert_eq!(neurosearchd(dir.path(), &["--config", "good.toml", "--check-config"], &[]).status.code(), Some(0));
}
