//! Every key of the daemon's configuration: one row each, from which its field, default, flag, variable and reload follow.

use super::values::{BadValue, DeviceChoice, LONGEST_PATH, LONGEST_SOCKET, Raw};
use super::values::{devices, filter, gpus, hosts, on_too_large, path, paths, precision, switch, whole};
use crate::domain::device::Device;
use crate::domain::network::device_fit::OnTooLarge;
use crate::domain::network::precision::Precision;
use std::path::{Path, PathBuf};

/// Where the daemon listens by default.
pub const SOCKET: &str = "/run/neurosearch/neurosearchd.sock";

/// One key of the configuration.
#[derive(Debug)]
pub struct SettingKey {
    /// As the file spells it; `search.n_jobs` stands in the table `[search]`.
    pub name: &'static str,
    /// The flag's name, without its dashes.
    pub flag: &'static str,
    /// The environment variable's name. The command line finds the socket by the same variable.
    pub variable: &'static str,
    /// One line for `--help`.
    pub help: &'static str,
    /// What stands for the value in `--help`.
    pub value: &'static str,
    words: Words,
    /// When a changed value takes effect in a daemon that runs.
    pub changes: Changes,
    /// Puts a value into the settings; relative paths are taken from the given directory.
    pub take: fn(&mut Settings, &Raw, &Path) -> Result<(), BadValue>,
    /// Whether both settings have the same value.
    pub same: fn(&Settings, &Settings) -> bool,
}

/// How the words of a flag or a variable are read.
#[derive(Debug)]
enum Words {
    Text,
    Whole,
    Switch,
    /// Several values, with the separator of those in one word.
    List(char),
    /// A list separated by commas, or one word that is no GPU, as `auto`.
    Devices,
}

/// When a changed value takes effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Changes {
    /// With a reload: `ConfigurationChange` in `daemon/configuration.rs` carries it.
    AtOnce,
    AfterRestart,
}

/// Makes `Settings`, its `Default` and `KEYS` from one row for each key:
///
/// ```text
/// field: type = default => {
///     name: in the file, flag: without dashes, variable: its environment variable, value: its name in --help,
///     help: one line for --help,
///     words: how a flag's words are read, read: fn(&Raw, &Path) -> Result<type, BadValue>, changes: with a reload or a restart,
/// }
/// ```
macro_rules! settings {
    ($($field:ident: $type:ty = $default:expr => {
        name: $name:literal, flag: $flag:literal, variable: $variable:literal, value: $value:literal,
        help: $help:literal,
        words: $words:expr, read: $read:expr, changes: $changes:expr,
    })+) => {
        /// The value of every key.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct Settings {
            $(#[doc = $help] pub $field: $type,)+
        }

        impl Default for Settings {
            fn default() -> Self {
                Settings { $($field: $default,)+ }
            }
        }

        /// Every key, in the order of the shipped file.
        pub const KEYS: &[SettingKey] = &[$(SettingKey {
            name: $name,
            flag: $flag,
            variable: $variable,
            help: $help,
            value: $value,
            words: $words,
            changes: $changes,
            take: |settings, raw, base| {
                let read: fn(&Raw, &Path) -> Result<$type, BadValue> = $read;
                settings.$field = read(raw, base)?;
                Ok(())
            },
            same: |a, b| a.$field == b.$field,
        },)+];
    };
}

settings! {
    watch: Vec<PathBuf> = Vec::new() => {
        name: "watch", flag: "watch", variable: "NEUROSEARCHD_WATCH", value: "DIR",
        help: "Directories to watch: each, and each directly below one, is a search once it holds a random_search.json",
        words: Words::List(':'), read: paths, changes: Changes::AtOnce,
    }
    socket: PathBuf = PathBuf::from(SOCKET) => {
        name: "socket", flag: "socket", variable: "NEUROSEARCH_SOCKET", value: "PATH",
        help: "Socket to listen on",
        words: Words::Text, read: |raw, base| path(raw, base, LONGEST_SOCKET), changes: Changes::AfterRestart,
    }
    allowed_hosts: Vec<String> = Vec::new() => {
        name: "allowed_hosts", flag: "allowed-hosts", variable: "NEUROSEARCHD_ALLOWED_HOSTS", value: "NAMES",
        help: "More names, besides localhost, by which a tunnel or a proxy may ask for the daemon",
        words: Words::List(','), read: |raw, _| hosts(raw), changes: Changes::AfterRestart,
    }
    devices: DeviceChoice = DeviceChoice::Auto => {
        name: "devices", flag: "devices", variable: "NEUROSEARCHD_DEVICES", value: "DEVICES",
        help: "\"auto\", \"cpu\", or the GPUs to use, by UUID; with \"cpu\" in the list, use_cpu jobs run too",
        words: Words::Devices, read: |raw, _| devices(raw), changes: Changes::AfterRestart,
    }
    exclude_devices: Vec<Device> = Vec::new() => {
        name: "exclude_devices", flag: "exclude-devices", variable: "NEUROSEARCHD_EXCLUDE_DEVICES", value: "GPUS",
        help: "GPUs, by UUID, that \"auto\" does not use",
        words: Words::List(','), read: |raw, _| gpus(raw), changes: Changes::AfterRestart,
    }
    slots_per_device: u32 = 1 => {
        name: "slots_per_device", flag: "slots-per-device", variable: "NEUROSEARCHD_SLOTS_PER_DEVICE", value: "N",
        help: "Jobs at once on each GPU, and on the CPU if devices is \"cpu\"",
        words: Words::Whole, read: |raw, _| whole(raw, 1..=64), changes: Changes::AfterRestart,
    }
    cache: bool = true => {
        name: "cache", flag: "cache", variable: "NEUROSEARCHD_CACHE", value: "BOOLEAN",
        help: "Whether the trainers of this machine share decoded images: true or false",
        words: Words::Switch, read: |raw, _| switch(raw), changes: Changes::AfterRestart,
    }
    cache_dir: Option<PathBuf> = None => {
        name: "cache_dir", flag: "cache-dir", variable: "NEUROSEARCHD_CACHE_DIR", value: "DIR",
        help: "Directory of the shared images; by default in the service's or the user's cache folder",
        words: Words::Text, read: |raw, base| path(raw, base, LONGEST_PATH).map(Some), changes: Changes::AfterRestart,
    }
    cache_gigabytes: u32 = 64 => {
        name: "cache_gigabytes", flag: "cache-gigabytes", variable: "NEUROSEARCHD_CACHE_GIGABYTES", value: "N",
        help: "Largest size of the shared images, in gigabytes",
        words: Words::Whole, read: |raw, _| whole(raw, 1..=1_000_000), changes: Changes::AfterRestart,
    }
    precision: Precision = Precision::Fp32 => {
        name: "precision", flag: "precision", variable: "NEUROSEARCHD_PRECISION", value: "PRECISION",
        help: "Precision of new jobs: fp32, tf32 or bf16",
        words: Words::Text, read: |raw, _| precision(raw), changes: Changes::AfterRestart,
    }
    rescan_seconds: u64 = 30 => {
        name: "rescan_seconds", flag: "rescan-seconds", variable: "NEUROSEARCHD_RESCAN_SECONDS", value: "N",
        help: "Seconds between scans of the watched directories, which find changes without an event",
        words: Words::Whole, read: |raw, _| whole(raw, 1..=86_400), changes: Changes::AfterRestart,
    }
    settle_milliseconds: u64 = 250 => {
        name: "settle_milliseconds", flag: "settle-milliseconds", variable: "NEUROSEARCHD_SETTLE_MILLISECONDS", value: "N",
        help: "How long a random_search.json must stay unchanged before it is used",
        words: Words::Whole, read: |raw, _| whole(raw, 10..=60_000), changes: Changes::AfterRestart,
    }
    stop_grace_seconds: u64 = 60 => {
        name: "stop_grace_seconds", flag: "stop-grace-seconds", variable: "NEUROSEARCHD_STOP_GRACE_SECONDS", value: "N",
        help: "Seconds that a trainer has to save its work when it is asked to stop",
        words: Words::Whole, read: |raw, _| whole(raw, 1..=86_400), changes: Changes::AfterRestart,
    }
    stall_seconds: u64 = 1800 => {
        name: "stall_seconds", flag: "stall-seconds", variable: "NEUROSEARCHD_STALL_SECONDS", value: "N",
        help: "Seconds without progress before a job counts as stalled",
        words: Words::Whole, read: |raw, _| whole(raw, 1..=604_800), changes: Changes::AfterRestart,
    }
    on_too_large: OnTooLarge = OnTooLarge::Skip => {
        name: "on_too_large", flag: "on-too-large", variable: "NEUROSEARCHD_ON_TOO_LARGE", value: "WORD",
        help: "What to do with a job that does not fit its device: \"skip\" or \"redraw\"",
        words: Words::Text, read: |raw, _| on_too_large(raw), changes: Changes::AfterRestart,
    }
    log: String = "info".to_string() => {
        name: "log", flag: "log", variable: "NEUROSEARCHD_LOG", value: "FILTER",
        help: "What is logged, such as \"info\" or \"info,neurosearch=debug\"",
        words: Words::Text, read: |raw, _| filter(raw), changes: Changes::AtOnce,
    }
    search_n_jobs: u64 = 20 => {
        name: "search.n_jobs", flag: "search-n-jobs", variable: "NEUROSEARCHD_SEARCH_N_JOBS", value: "N",
        help: "Number of jobs of a search whose file does not give it",
        words: Words::Whole, read: |raw, _| whole(raw, 0..=1_000_000), changes: Changes::AfterRestart,
    }
    search_seed: Option<u64> = None => {
        name: "search.seed", flag: "search-seed", variable: "NEUROSEARCHD_SEARCH_SEED", value: "N",
        help: "Seed of a search whose file gives none; by default each search draws its own",
        words: Words::Whole, read: |raw, _| whole(raw, 0..=u64::MAX).map(Some), changes: Changes::AfterRestart,
    }
}

impl SettingKey {
    /// The separator of several values in one word of a flag or a variable, or None if the key takes one value.
    pub const fn separator(&self) -> Option<char> {
        match self.words {
            Words::List(separator) => Some(separator),
            Words::Devices => Some(','),
            Words::Text | Words::Whole | Words::Switch => None,
        }
    }

    /// What a flag's or a variable's words mean, once they are separated.
    pub fn raw(&self, words: &[String]) -> Raw {
        let first = words.first().map_or("", String::as_str);
        let text = || Raw::Text(first.to_string());
        match self.words {
            Words::Text => text(),
            Words::Whole => Raw::Whole(first.to_string()),
            Words::Switch => first.parse().map_or_else(|_| text(), Raw::Switch),
            Words::Devices if words.len() == 1 && Device::gpu(first).is_err() => text(),
            Words::Devices | Words::List(_) => Raw::List(words.iter().map(|word| (0, Raw::Text(word.clone()))).collect()),
        }
    }
}
