//! The daemon's configuration, `neurosearchd.toml`: read, checked whole, and overridden by flags.

use super::error::StoreError;
use super::record;
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// Where the daemon listens unless something else is said.
pub const SOCKET: &str = "/run/neurosearch/neurosearchd.sock";

/// Every key of the file, with its default where it is absent.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Each is a launch directory, and so is each directory directly below it that holds a `random_search.json`.
    pub watch: Vec<PathBuf>,
    pub socket: PathBuf,
    pub devices: Devices,
    /// GPUs, by UUID, that `auto` leaves alone.
    pub exclude_devices: Vec<String>,
    pub slots_per_device: u32,
    /// Decoded volumes, shared by every trainer of this machine; none: each trainer decodes for itself.
    pub cache_dir: Option<PathBuf>,
    /// Seconds between scans of the watched directories, which find what no event told.
    pub rescan_seconds: u64,
    /// How long a space file must stay as it is before it is believed, in milliseconds.
    pub settle_milliseconds: u64,
    /// Seconds that a trainer gets to keep its work when it is asked to stop.
    pub stop_grace_seconds: u64,
    /// Seconds without progress before a job may count as stalled; more where its own steps take longer.
    pub stall_seconds: u64,
    /// What is logged, as `RUST_LOG` would say it.
    pub log: String,
    pub search: SearchDefaults,
}

/// `[search]`: what holds for a search whose file does not say.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SearchDefaults {
    pub n_jobs: u64,
    /// None: each search draws its own and records it.
    pub seed: Option<u64>,
}

/// `devices`: a word or a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Devices {
    /// Every free GPU, and one CPU slot for `use_cpu` jobs.
    Auto,
    /// The CPU alone.
    Cpu,
    /// These GPUs, by UUID, and the CPU if `cpu` is among them.
    Only(Vec<String>),
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            watch: Vec::new(),
            socket: PathBuf::from(SOCKET),
            devices: Devices::Auto,
            exclude_devices: Vec::new(),
            slots_per_device: 1,
            cache_dir: None,
            rescan_seconds: 30,
            settle_milliseconds: 250,
            stop_grace_seconds: 60,
            stall_seconds: 1800,
            log: "info".to_string(),
            search: SearchDefaults::default(),
        }
    }
}

impl Default for SearchDefaults {
    fn default() -> Self {
        SearchDefaults { n_jobs: 20, seed: None }
    }
}

impl<'de> Deserialize<'de> for Devices {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Devices;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("\"auto\", \"cpu\", or a list of GPU UUIDs")
            }
            fn visit_str<E: serde::de::Error>(self, word: &str) -> Result<Devices, E> {
                match word {
                    "auto" => Ok(Devices::Auto),
                    "cpu" => Ok(Devices::Cpu),
                    _ => Err(E::invalid_value(serde::de::Unexpected::Str(word), &self)),
                }
            }
            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut list: A) -> Result<Devices, A::Error> {
                let mut devices = Vec::new();
                while let Some(device) = list.next_element::<String>()? {
                    devices.push(device);
                }
                if devices.is_empty() { Err(serde::de::Error::invalid_length(0, &self)) } else { Ok(Devices::Only(devices)) }
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl Settings {
    /// The settings in `path`; relative paths in it are relative to its directory.
    ///
    /// # Errors
    /// Names the file, with line and column for what is not TOML, not a key, or not a value that the key takes.
    pub fn read(path: &Path) -> Result<Self, StoreError> {
        let text = record::read_text(path)?;
        let settings = Settings::parse(&text).map_err(|sentence| StoreError::content(path, sentence))?;
        let base = path.parent().unwrap_or(Path::new("."));
        settings.resolved(base).map_err(|e| StoreError::io("resolve", path, e))
    }

    /// The settings in a file's text, as it stands: paths are not resolved.
    ///
    /// # Errors
    /// One sentence with line and column.
    pub fn parse(text: &str) -> Result<Self, String> {
        let settings: Settings = toml::from_str(text).map_err(|e| {
            let (line, column) = e.span().map_or((1, 1), |span| place(text, span.start));
            format!("line {line}, column {column}: {}", e.message())
        })?;
        settings.check(text)?;
        Ok(settings)
    }

    /// Bounds that the types do not hold; each error has the place of its key.
    fn check(&self, text: &str) -> Result<(), String> {
        let fail = |key: &str, sentence: String| {
            let at = text.lines().position(|line| line.trim_start().starts_with(key)).map_or(1, |line| line + 1);
            Err(format!("line {at}, column 1: {key}: {sentence}"))
        };
        let ranges: [(&str, u64, std::ops::RangeInclusive<u64>); 6] = [
            ("slots_per_device", u64::from(self.slots_per_device), 1..=64),
            ("rescan_seconds", self.rescan_seconds, 1..=86_400),
            ("settle_milliseconds", self.settle_milliseconds, 10..=60_000),
            ("stop_grace_seconds", self.stop_grace_seconds, 1..=86_400),
            ("stall_seconds", self.stall_seconds, 1..=604_800),
            ("n_jobs", self.search.n_jobs, 0..=1_000_000),
        ];
        for (key, value, range) in ranges {
            if !range.contains(&value) {
                return fail(key, format!("{value} is not between {} and {}", range.start(), range.end()));
            }
        }
        Ok(())
    }

    /// With every path absolute, relative ones taken from `base`.
    fn resolved(mut self, base: &Path) -> std::io::Result<Self> {
        for path in self.watch.iter_mut().chain([&mut self.socket]).chain(self.cache_dir.as_mut()) {
            *path = std::path::absolute(base.join(&*path))?;
        }
        Ok(self)
    }
}

/// Line and column, both from 1, of a byte offset.
fn place(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_file_gives_the_defaults() {
        assert_eq!(Settings::parse(""), Ok(Settings::default()));
    }

    #[test]
    fn every_key_of_the_shipped_file_stands_there_with_its_default() {
        let shipped = include_str!("../../config/neurosearchd.toml");
        assert_eq!(Settings::parse(shipped), Ok(Settings::default()), "the file as it is shipped changes nothing");
        let uncommented: String = shipped
            .lines()
            .map(|line| match line.strip_prefix("#= ") {
                Some(setting) => format!("{setting}\n"),
                None => format!("{line}\n"),
            })
            .collect();
        let table: toml::Table = uncommented.parse().expect("TOML with every key in it");
        let mut keys: Vec<&str> = table.keys().map(String::as_str).collect();
        keys.sort_unstable();
        let all = [
            "cache_dir",
            "devices",
            "exclude_devices",
            "log",
            "rescan_seconds",
            "search",
            "settle_milliseconds",
            "slots_per_device",
            "socket",
            "stall_seconds",
            "stop_grace_seconds",
            "watch",
        ];
        assert_eq!(keys, all);
        let mut settings = Settings::parse(&uncommented).expect("every key takes its value");
        // Those two have no value to write: the file shows an example.
        assert!(settings.cache_dir.take().is_some() && settings.search.seed.take().is_some());
        assert_eq!(settings, Settings::default(), "every value in the comments is the default");
    }

    #[test]
    fn unknown_keys_and_bad_values_are_refused_with_line_and_column() {
        let cases = [
            ("watch = []\nsocet = \"x\"\n", "line 2, column 1: ", "socet"),
            ("devices = \"gpu\"", "line 1, column 11: ", "\"auto\""),
            ("watch = [\"a\"\n", "line ", ""),
            ("\nslots_per_device = 0", "line 2, column 1: ", "between 1 and 64"),
            ("slots_per_device = -1", "line 1, column 20: ", ""),
            ("[search]\nn_job = 3", "line 2, column 1: ", "n_job"),
        ];
        for (text, place, word) in cases {
            let error = Settings::parse(text).expect_err(text);
            assert!(error.starts_with(place) && error.contains(word), "{text:?}: {error}");
        }
    }

    #[test]
    fn relative_paths_are_relative_to_the_files_directory() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("d.toml");
        std::fs::write(&path, "watch = [\"launch\"]\nsocket = \"s\"").expect("written");
        let settings = Settings::read(&path).expect("read");
        assert_eq!(settings.watch, [dir.path().join("launch")]);
        assert_eq!(settings.socket, dir.path().join("s"));
    }
}
