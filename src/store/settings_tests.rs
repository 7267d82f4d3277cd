//! Tests of the configuration: the shipped file, faults and their places, and the keys from file, flags and variables.

use super::*;
use crate::testing::tempdir;

/// A value of each key that is not its default, in TOML and in the words of a flag.
const OTHERS: &[(&str, &str, &[&str])] = &[
    ("watch", "[\"/a\", \"/b\"]", &["/a", "/b"]),
    ("socket", "\"/s\"", &["/s"]),
    ("allowed_hosts", "[\"lab.example\"]", &["lab.example"]),
    ("devices", "[\"GPU-1\", \"cpu\"]", &["GPU-1", "cpu"]),
    ("exclude_devices", "[\"GPU-2\"]", &["GPU-2"]),
    ("slots_per_device", "3", &["3"]),
    ("cache", "false", &["false"]),
    ("cache_dir", "\"/c\"", &["/c"]),
    ("cache_gigabytes", "11", &["11"]),
    ("precision", "\"bf16\"", &["bf16"]),
    ("rescan_seconds", "7", &["7"]),
    ("settle_milliseconds", "70", &["70"]),
    ("stop_grace_seconds", "8", &["8"]),
    ("stall_seconds", "9", &["9"]),
    ("on_too_large", "\"redraw\"", &["redraw"]),
    ("log", "\"warn,neurosearch=debug\"", &["warn,neurosearch=debug"]),
    ("search.n_jobs", "5", &["5"]),
    ("search.seed", "18_446_744_073_709_551_615", &["18446744073709551615"]),
];

fn read(text: &str) -> Result<Settings, String> {
    parse(text, "d.toml", Path::new("/base")).map_err(|faults| faults.to_string())
}

fn given(name: &str, words: &[&str]) -> Given {
    let key = KEYS.iter().find(|key| key.name == name).expect("a key");
    Given { key, by: format!("--{}", key.flag), words: words.iter().map(ToString::to_string).collect() }
}

#[test]
fn every_key_says_the_same_in_the_file_and_on_the_command_line() {
    for key in KEYS {
        let variable = format!("NEUROSEARCHD_{}", key.name.replace('.', "_").to_uppercase());
        assert_eq!(key.flag, key.name.replace(['_', '.'], "-"));
        assert!(key.variable == variable || key.name == "socket", "{}", key.variable);
    }
    assert_eq!(OTHERS.iter().map(|(name, ..)| *name).collect::<Vec<_>>(), KEYS.iter().map(|key| key.name).collect::<Vec<_>>());
    for (name, toml, words) in OTHERS {
        let from_file = read(&format!("{name} = {toml}")).expect(name);
        assert_ne!(from_file, Settings::default(), "{name}");
        assert_eq!(judge(None, &[given(name, words)]), Ok(from_file), "{name}");
    }
}

#[test]
fn what_a_flag_gives_wins_over_the_file_and_leaves_its_other_keys() {
    let dir = tempdir();
    let path = dir.path().join("d.toml");
    std::fs::write(&path, "slots_per_device = 2\nlog = \"warn\"\nsearch.n_jobs = 3").expect("written");
    let settings = judge(Some(&path), &[given("slots_per_device", &["4"]), given("search.seed", &["1"])]).expect("settings");
    assert_eq!((settings.slots_per_device, settings.log.as_str()), (4, "warn"));
    assert_eq!((settings.search_n_jobs, settings.search_seed), (3, Some(1)));
}

#[test]
fn an_empty_file_gives_the_defaults() {
    assert_eq!(read(""), Ok(Settings::default()));
}

#[test]
fn every_key_of_the_shipped_file_stands_there_with_its_default_flag_and_variable() {
    let shipped = include_str!("../../config/neurosearchd.toml");
    assert_eq!(read(shipped), Ok(Settings::default()), "the file as it is shipped changes nothing");
    let mut table = "";
    for key in KEYS {
        let name = key.name.rsplit('.').next().expect("a name");
        if key.name.starts_with("search.") && table.is_empty() {
            table = "#= [search]\n";
            assert!(shipped.contains(table));
        }
        assert!(shipped.contains(&format!("\n#= {name} = ")) || shipped.contains(&format!("\n#e {name} = ")), "{name}");
        assert!(shipped.contains(&format!("--{} ", key.flag)) && shipped.contains(key.variable), "{name}");
    }
    let uncommented = |marks: &[&str]| -> String {
        let shown = |line: &str| marks.iter().find_map(|mark| line.strip_prefix(mark)).unwrap_or(line).to_string() + "\n";
        shipped.lines().map(shown).collect()
    };
    assert_eq!(read(&uncommented(&["#= "])), Ok(Settings::default()), "every value behind `#= ` is the default");
    let examples = read(&uncommented(&["#= ", "#e "])).expect("every example is a value of its key");
    assert!(examples.cache_dir.is_some() && examples.search_seed.is_some());
}

#[test]
fn every_fault_has_the_place_of_its_key_or_value_however_that_is_written() {
    let cases = [
        ("watch = []\nsocet = \"x\"\n", "line 2, column 1: socet: ", "\"socket\""),
        ("[search]\nn_job = 3", "line 2, column 1: search.n_job: ", "\"search.n_jobs\""),
        ("devices = \"gpu\"", "line 1, column 11: devices: ", "\"auto\""),
        ("devices = []", "line 1, column 11: devices: ", "an empty list"),
        ("devices = [\"cpu\", \"0\"]", "line 1, column 19: devices: ", "nvidia-smi -L"),
        ("exclude_devices = [\n  \"GPU-1\",\n  \"gpu0\",\n]", "line 3, column 3: exclude_devices: ", "nvidia-smi -L"),
        ("allowed_hosts = \"lab.example\"", "line 1, column 17: allowed_hosts: ", "a list of host names"),
        ("allowed_hosts = [\"lab.example:80\"]", "line 1, column 18: allowed_hosts: ", "alone"),
        ("allowed_hosts = [\"a.b\", \"*\"]", "line 1, column 25: allowed_hosts: ", "\"*\" is not a host's name"),
        ("allowed_hosts = [\"lab.example.\"]", "line 1, column 18: allowed_hosts: ", "alone"),
        ("allowed_hosts = [\"[::g]\"]", "line 1, column 18: allowed_hosts: ", "alone"),
        ("exclude_devices = \"GPU-1\"", "line 1, column 19: exclude_devices: ", "a list"),
        ("watch = [\"a\"\n", "line ", ""),
        ("watch = [\"~/searches\"]", "line 1, column 10: watch: ", "whole path"),
        ("socket = \"\"", "line 1, column 10: socket: ", "no path"),
        ("\nslots_per_device = 0", "line 2, column 20: slots_per_device: ", "between 1 and 64"),
        ("slots_per_device = -1", "line 1, column 20: slots_per_device: ", "-1 is not a whole number"),
        ("slots_per_device = 1.5", "line 1, column 20: slots_per_device: ", "a float"),
        ("log = \"warn\"\nsearch = { seed = 1, n_jobs = 2_000_000 }", "line 2, column 31: search.n_jobs: ", "1000000"),
        ("search.n_jobs = -3", "line 1, column 17: search.n_jobs: ", "-3"),
        ("search = 3", "line 1, column 10: search: ", "[search]"),
        ("log = \"neurosearch=loud\"", "line 1, column 7: log: ", "neurosearch=loud"),
        ("log = \"inof\"", "line 1, column 7: log: ", "no level"),
        ("log = \"\"", "line 1, column 7: log: ", "no level"),
    ];
    for (text, start, word) in cases {
        let error = read(text).expect_err(text);
        assert!(error.starts_with(&format!("d.toml: {start}")) && error.contains(word), "{text:?}: {error}");
        assert_eq!(error.lines().count(), 1, "{text:?}: {error}");
    }
}

#[test]
fn all_faults_are_told_at_once_those_of_the_command_line_by_their_flag() {
    let dir = tempdir();
    let path = dir.path().join("d.toml");
    std::fs::write(&path, "stall_seconds = 0\nsocet = \"x\"\nlog = 3").expect("written");
    let long = format!("/{}", "x".repeat(107));
    let error = judge(Some(&path), &[given("devices", &["auto,0"]), given("socket", &[&long])]).expect_err("faults");
    let lines: Vec<&str> = error.lines().collect();
    let starts = ["line 1, column 17: stall_seconds", "line 2, column 1: socet", "line 3, column 7: log"];
    for (line, start) in lines.iter().zip(starts) {
        assert!(line.starts_with(&format!("{}: {start}: ", path.display())), "{line}");
    }
    assert!(
        lines[3].starts_with("--devices: \"auto,0\" ") && lines[4].starts_with("--socket: ") && lines[4].contains("107"),
        "{error}"
    );
    assert_eq!(lines.len(), 5);
}

#[test]
fn relative_paths_are_relative_to_the_files_directory() {
    let dir = tempdir();
    let path = dir.path().join("d.toml");
    std::fs::write(&path, "watch = [\"launch\"]\nsocket = \"s\"").expect("written");
    let settings = judge(Some(&path), &[]).expect("read");
    assert_eq!(settings.watch, [dir.path().join("launch")]);
    assert_eq!(settings.socket, dir.path().join("s"));
}
