//! Every key of the daemon's configuration, once: its name in the file, its flag, its variable, and what it may be.

use super::{Devices, Settings};
use crate::domain::device::Device;
use crate::domain::network::device_fit::OnTooLarge;
use crate::domain::network::precision::{BadPrecision, Precision};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

/// No Unix socket's path may be longer, in bytes.
const LONGEST_SOCKET: usize = 107;
/// No other path may be longer, in bytes.
const LONGEST_PATH: usize = 4095;

/// One key of the configuration.
#[derive(Debug)]
pub struct Key {
    /// As the file spells it; `search.n_jobs` stands in the table `[search]`.
    pub name: &'static str,
    /// The name again, as a flag has it.
    pub flag: &'static str,
    /// And as an environment variable has it; the socket's is the one by which the command line finds it.
    pub variable: &'static str,
    /// One line for `--help`.
    pub about: &'static str,
    /// What stands for the value in `--help`.
    pub value: &'static str,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Whole(RangeInclusive<u64>, fn(&mut Settings, u64)),
    /// With the most bytes that it may have.
    Path(usize, fn(&mut Settings, PathBuf)),
    Paths(fn(&mut Settings, Vec<PathBuf>)),
    Devices(fn(&mut Settings, Devices)),
    Gpus(fn(&mut Settings, Vec<String>)),
    OnTooLarge(fn(&mut Settings, OnTooLarge)),
    Filter(fn(&mut Settings, String)),
    Switch(fn(&mut Settings, bool)),
    Precision(fn(&mut Settings, Precision)),
}

/// Every key, in the order of the shipped file.
pub const KEYS: &[Key] = &[
    Key {
        name: "watch",
        flag: "watch",
        variable: "NEUROSEARCHD_WATCH",
        about: "Directories to watch: each, and each directly below one, is a search once it holds a random_search.json",
        value: "DIR",
        kind: Kind::Paths(|s, value| s.watch = value),
    },
    Key {
        name: "socket",
        flag: "socket",
        variable: "NEUROSEARCH_SOCKET",
        about: "Where to listen",
        value: "PATH",
        kind: Kind::Path(LONGEST_SOCKET, |s, value| s.socket = value),
    },
    Key {
        name: "devices",
        flag: "devices",
        variable: "NEUROSEARCHD_DEVICES",
        about: "\"auto\", \"cpu\", or the GPUs to use, by UUID, and \"cpu\" among them where use_cpu jobs may run",
        value: "DEVICES",
        kind: Kind::Devices(|s, value| s.devices = value),
    },
    Key {
        name: "exclude_devices",
        flag: "exclude-devices",
        variable: "NEUROSEARCHD_EXCLUDE_DEVICES",
        about: "GPUs, by UUID, that \"auto\" leaves alone",
        value: "GPUS",
        kind: Kind::Gpus(|s, value| s.exclude_devices = value),
    },
    Key {
        name: "slots_per_device",
        flag: "slots-per-device",
        variable: "NEUROSEARCHD_SLOTS_PER_DEVICE",
        about: "Jobs at once on each GPU, and on the CPU where devices is \"cpu\"",
        value: "N",
        // The range holds what the type does not.
        kind: Kind::Whole(1..=64, |s, value| s.slots_per_device = u32::try_from(value).unwrap_or(u32::MAX)),
    },
    Key {
        name: "cache",
        flag: "cache",
        variable: "NEUROSEARCHD_CACHE",
        about: "Whether images are decoded once for every trainer of this machine, or by each for itself: true or false",
        value: "BOOLEAN",
        kind: Kind::Switch(|s, value| s.cache = value),
    },
    Key {
        name: "cache_dir",
        flag: "cache-dir",
        variable: "NEUROSEARCHD_CACHE_DIR",
        about: "Where they are kept; without it, in the service's or the user's cache folder",
        value: "DIR",
        kind: Kind::Path(LONGEST_PATH, |s, value| s.cache_dir = Some(value)),
    },
    Key {
        name: "cache_gigabytes",
        flag: "cache-gigabytes",
        variable: "NEUROSEARCHD_CACHE_GIGABYTES",
        about: "How many gigabytes of them",
        value: "N",
        kind: Kind::Whole(1..=1_000_000, |s, value| s.cache_gigabytes = u32::try_from(value).unwrap_or(u32::MAX)),
    },
    Key {
        name: "precision",
        flag: "precision",
        variable: "NEUROSEARCHD_PRECISION",
        about: "How jobs compute that begin from now on: fp32, tf32 or bf16",
        value: "PRECISION",
        kind: Kind::Precision(|s, value| s.precision = value),
    },
    Key {
        name: "rescan_seconds",
        flag: "rescan-seconds",
        variable: "NEUROSEARCHD_RESCAN_SECONDS",
        about: "Seconds between scans of the watched directories, which find what no event told",
        value: "N",
        kind: Kind::Whole(1..=86_400, |s, value| s.rescan_seconds = value),
    },
    Key {
        name: "settle_milliseconds",
        flag: "settle-milliseconds",
        variable: "NEUROSEARCHD_SETTLE_MILLISECONDS",
        about: "How long a random_search.json must stay as it is before it is believed",
        value: "N",
        kind: Kind::Whole(10..=60_000, |s, value| s.settle_milliseconds = value),
    },
    Key {
        name: "stop_grace_seconds",
        flag: "stop-grace-seconds",
        variable: "NEUROSEARCHD_STOP_GRACE_SECONDS",
        about: "Seconds that a trainer gets to keep its work when it is asked to stop",
        value: "N",
        kind: Kind::Whole(1..=86_400, |s, value| s.stop_grace_seconds = value),
    },
    Key {
        name: "stall_seconds",
        flag: "stall-seconds",
        variable: "NEUROSEARCHD_STALL_SECONDS",
        about: "Seconds without progress before a job counts as stalled",
        value: "N",
        kind: Kind::Whole(1..=604_800, |s, value| s.stall_seconds = value),
    },
    Key {
        name: "on_too_large",
        flag: "on-too-large",
        variable: "NEUROSEARCHD_ON_TOO_LARGE",
        about: "\"skip\" a draw that does not fit its device, or \"redraw\" it",
        value: "WORD",
        kind: Kind::OnTooLarge(|s, value| s.on_too_large = value),
    },
    Key {
        name: "log",
        flag: "log",
        variable: "NEUROSEARCHD_LOG",
        about: "What is logged, as \"info\" or \"info,neurosearch=debug\"",
        value: "FILTER",
        kind: Kind::Filter(|s, value| s.log = value),
    },
    Key {
        name: "search.n_jobs",
        flag: "search-n-jobs",
        variable: "NEUROSEARCHD_SEARCH_N_JOBS",
        about: "Jobs of a search whose file does not say how many",
        value: "N",
        kind: Kind::Whole(0..=1_000_000, |s, value| s.search.n_jobs = value),
    },
    Key {
        name: "search.seed",
        flag: "search-seed",
        variable: "NEUROSEARCHD_SEARCH_SEED",
        about: "Seed of a search whose file gives none; without it, each draws its own",
        value: "N",
        kind: Kind::Whole(0..=u64::MAX, |s, value| s.search.seed = Some(value)),
    },
];

/// A value before it is judged: from the file, or in the words of a flag or a variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Raw {
    Text(String),
    /// Digits with a sign, if any.
    Whole(String),
    /// Each with its place, by which a fault in it is found again.
    List(Vec<(usize, Raw)>),
    Switch(bool),
    /// What TOML calls it.
    Other(&'static str),
}

/// Why a value does not do: where, if the value is a list, and one clause with what would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    pub at: Option<usize>,
    pub sentence: String,
}

impl Key {
    /// What parts several values in one word of a flag or a variable; none where the key takes one value.
    pub fn separator(&self) -> Option<char> {
        match self.kind {
            Kind::Paths(_) => Some(':'),
            Kind::Devices(_) | Kind::Gpus(_) => Some(','),
            Kind::Whole(..) | Kind::Path(..) | Kind::OnTooLarge(_) | Kind::Filter(_) | Kind::Switch(_) | Kind::Precision(_) => {
                None
            }
        }
    }

    /// What a flag's or a variable's words mean, once they are parted.
    pub fn raw(&self, words: &[String]) -> Raw {
        let first = words.first().map_or("", String::as_str);
        match self.kind {
            Kind::Whole(..) => Raw::Whole(first.to_string()),
            Kind::Switch(_) => first.parse().map_or_else(|_| Raw::Text(first.to_string()), Raw::Switch),
            Kind::Path(..) | Kind::OnTooLarge(_) | Kind::Filter(_) | Kind::Precision(_) => Raw::Text(first.to_string()),
            Kind::Devices(_) if words.len() == 1 && Device::gpu(first).is_err() => Raw::Text(first.to_string()),
            Kind::Devices(_) | Kind::Paths(_) | Kind::Gpus(_) => {
                Raw::List(words.iter().map(|word| (0, Raw::Text(word.clone()))).collect())
            }
        }
    }

    /// Puts a value into the settings; relative paths are taken from `base`.
    pub fn take(&self, settings: &mut Settings, raw: &Raw, base: &Path) -> Result<(), Refused> {
        match &self.kind {
            Kind::Whole(range, set) => set(settings, whole(raw, range)?),
            Kind::Path(most, set) => set(settings, path(raw, base, *most)?),
            Kind::Paths(set) => set(settings, each(raw, "a list of paths", |raw| path(raw, base, LONGEST_PATH))?),
            Kind::Devices(set) => set(settings, devices(raw)?),
            Kind::Gpus(set) => set(settings, each(raw, "a list of GPU UUIDs, as `nvidia-smi -L` prints them", gpu)?),
            Kind::OnTooLarge(set) => {
                const WANTED: &str = "\"skip\" or \"redraw\"";
                let word = text(raw, WANTED)?;
                let known = OnTooLarge::WORDS.iter().find(|(name, _)| *name == word);
                set(settings, known.ok_or_else(|| refused(format!("{word:?} is not {WANTED}")))?.1);
            }
            Kind::Switch(set) => match raw {
                Raw::Switch(on) => set(settings, *on),
                _ => return Err(refused(format!("{} is neither true nor false", raw.found()))),
            },
            Kind::Precision(set) => {
                set(settings, text(raw, "fp32, tf32 or bf16")?.parse().map_err(|e: BadPrecision| refused(e.to_string()))?)
            }
            Kind::Filter(set) => {
                let filter = text(raw, "a text, as \"info\"")?;
                log_filter(filter).map_err(refused)?;
                set(settings, filter.to_string());
            }
        }
        Ok(())
    }
}

fn refused(sentence: impl Into<String>) -> Refused {
    Refused { at: None, sentence: sentence.into() }
}

impl Raw {
    /// What was found, for a sentence.
    fn found(&self) -> String {
        match self {
            Raw::Text(text) => format!("{text:?}"),
            Raw::Whole(digits) => digits.escape_debug().to_string(),
            Raw::List(items) if items.is_empty() => "an empty list".to_string(),
            Raw::List(_) => "a list".to_string(),
            Raw::Switch(_) => "a boolean".to_string(),
            Raw::Other(name) => format!("a {name}"),
        }
    }
}

fn whole(raw: &Raw, range: &RangeInclusive<u64>) -> Result<u64, Refused> {
    let wanted = || refused(format!("{} is not a whole number between {} and {}", raw.found(), range.start(), range.end()));
    let Raw::Whole(digits) = raw else { return Err(wanted()) };
    digits.parse().ok().filter(|number| range.contains(number)).ok_or_else(wanted)
}

fn text<'a>(raw: &'a Raw, wanted: &str) -> Result<&'a str, Refused> {
    match raw {
        Raw::Text(text) => Ok(text),
        _ => Err(refused(format!("{} is not {wanted}", raw.found()))),
    }
}

/// An absolute path.
fn path(raw: &Raw, base: &Path, most: usize) -> Result<PathBuf, Refused> {
    let word = text(raw, "a path between quotes")?;
    if word.is_empty() || word.contains('\0') {
        return Err(refused(format!("{word:?} is no path; write where it is")));
    }
    if word == "~" || word.starts_with("~/") {
        return Err(refused(format!("{word:?}: `~` means nothing here; write the whole path, from `/`")));
    }
    let path =
        std::path::absolute(base.join(word)).map_err(|e| refused(format!("{word:?}: {e}; write the whole path, from `/`")))?;
    let length = path.as_os_str().len();
    if length > most {
        return Err(refused(format!("{word:?} is {length} bytes long as a whole path, and may be {most}; choose a shorter one")));
    }
    Ok(path)
}

fn each<T>(raw: &Raw, wanted: &str, take: impl Fn(&Raw) -> Result<T, Refused>) -> Result<Vec<T>, Refused> {
    let Raw::List(items) = raw else { return Err(refused(format!("{} is not {wanted}", raw.found()))) };
    items.iter().map(|(at, item)| take(item).map_err(|e| Refused { at: e.at.or(Some(*at)), ..e })).collect()
}

fn gpu(raw: &Raw) -> Result<String, Refused> {
    let uuid = text(raw, "the UUID of a GPU between quotes")?;
    Device::gpu(uuid).map(|device| device.as_str().to_string()).map_err(|e| refused(e.to_string()))
}

fn devices(raw: &Raw) -> Result<Devices, Refused> {
    const WANTED: &str = "\"auto\", \"cpu\", or a list of GPU UUIDs, as `nvidia-smi -L` prints them, and \"cpu\"";
    match raw {
        Raw::Text(word) if word == "auto" => Ok(Devices::Auto),
        Raw::Text(word) if word == "cpu" => Ok(Devices::Cpu),
        Raw::List(items) if !items.is_empty() => {
            let device = |raw: &Raw| if *raw == Raw::Text("cpu".to_string()) { Ok("cpu".to_string()) } else { gpu(raw) };
            each(raw, WANTED, device).map(Devices::Only)
        }
        _ => Err(refused(format!("{} is not {WANTED}", raw.found()))),
    }
}

/// The filter that a text says.
///
/// # Errors
/// One clause. A word alone must be a level: the library would take any other for the name of a part of the program, and
/// then log nothing else.
pub fn log_filter(text: &str) -> Result<EnvFilter, String> {
    let wanted = "write error, warn, info, debug, trace or off, and after a comma such as neurosearch=debug";
    for part in text.split(',').map(str::trim) {
        if !part.contains('=') && part.parse::<LevelFilter>().is_err() || part.is_empty() {
            return Err(format!("{text:?}: {part:?} is no level; {wanted}"));
        }
    }
    EnvFilter::try_new(text).map_err(|e| format!("{text:?}: {e}; {wanted}"))
}
