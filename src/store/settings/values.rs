//! Values of the configuration: as they are written, and what they mean.

use crate::domain::device::Device;
use crate::domain::network::device_fit::OnTooLarge;
use crate::domain::network::precision::{BadPrecision, Precision};
use std::net::Ipv6Addr;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

/// No Unix socket's path may be longer, in bytes.
pub const LONGEST_SOCKET: usize = 107;
/// No other path may be longer, in bytes.
pub const LONGEST_PATH: usize = 4095;

/// `devices`: a word or a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeviceChoice {
    /// Every free GPU, and one CPU slot for `use_cpu` jobs.
    Auto,
    /// The CPU alone.
    Cpu,
    /// These GPUs, by UUID, and the CPU if `cpu` is among them.
    Only(Vec<Device>),
}

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
pub struct BadValue {
    pub at: Option<usize>,
    pub sentence: String,
}

fn refused(sentence: impl Into<String>) -> BadValue {
    BadValue { at: None, sentence: sentence.into() }
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

/// A whole number.
pub fn whole<T: TryFrom<u64>>(raw: &Raw, range: RangeInclusive<u64>) -> Result<T, BadValue> {
    let wanted = || refused(format!("{} is not a whole number between {} and {}", raw.found(), range.start(), range.end()));
    let Raw::Whole(digits) = raw else { return Err(wanted()) };
    let number = digits.parse().ok().filter(|number| range.contains(number));
    number.and_then(|number| T::try_from(number).ok()).ok_or_else(wanted)
}

fn text<'a>(raw: &'a Raw, wanted: &str) -> Result<&'a str, BadValue> {
    match raw {
        Raw::Text(text) => Ok(text),
        _ => Err(refused(format!("{} is not {wanted}", raw.found()))),
    }
}

/// An absolute path of at most `most` bytes.
pub fn path(raw: &Raw, base: &Path, most: usize) -> Result<PathBuf, BadValue> {
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

/// A list of values, each as `take` reads it.
fn each<T>(raw: &Raw, wanted: &str, take: impl Fn(&Raw) -> Result<T, BadValue>) -> Result<Vec<T>, BadValue> {
    let Raw::List(items) = raw else { return Err(refused(format!("{} is not {wanted}", raw.found()))) };
    items.iter().map(|(at, item)| take(item).map_err(|e| BadValue { at: e.at.or(Some(*at)), ..e })).collect()
}

/// The UUID of a GPU.
fn gpu(raw: &Raw) -> Result<Device, BadValue> {
    let uuid = text(raw, "the UUID of a GPU between quotes")?;
    Device::gpu(uuid).map_err(|e| refused(e.to_string()))
}

/// A list of paths.
pub fn paths(raw: &Raw, base: &Path) -> Result<Vec<PathBuf>, BadValue> {
    each(raw, "a list of paths", |raw| path(raw, base, LONGEST_PATH))
}

/// A list of GPUs, by UUID.
pub fn gpus(raw: &Raw) -> Result<Vec<Device>, BadValue> {
    each(raw, "a list of GPU UUIDs, as `nvidia-smi -L` prints them", gpu)
}

/// A list of host names, in lower case.
pub fn hosts(raw: &Raw) -> Result<Vec<String>, BadValue> {
    each(raw, "a list of host names, as [\"lab.example\"]", host)
}

/// The name or the address of a host, as a browser sends it in `Host`, without a port.
fn host(raw: &Raw) -> Result<String, BadValue> {
    const WANTED: &str = "a host's name or address alone, as \"lab.example\", \"192.0.2.7\" or \"[2001:db8::7]\"";
    let word = text(raw, WANTED)?;
    let in_brackets = word.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let right = match in_brackets {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => word
            .split('.')
            .all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))),
    };
    if right { Ok(word.to_ascii_lowercase()) } else { Err(refused(format!("{word:?} is not {WANTED}"))) }
}

/// The devices to use.
pub fn devices(raw: &Raw) -> Result<DeviceChoice, BadValue> {
    const WANTED: &str = "\"auto\", \"cpu\", or a list of GPU UUIDs, as `nvidia-smi -L` prints them, and \"cpu\"";
    match raw {
        Raw::Text(word) if word == "auto" => Ok(DeviceChoice::Auto),
        Raw::Text(word) if word == "cpu" => Ok(DeviceChoice::Cpu),
        Raw::List(items) if !items.is_empty() => {
            let device = |raw: &Raw| if *raw == Raw::Text("cpu".to_string()) { Ok(Device::Cpu) } else { gpu(raw) };
            each(raw, WANTED, device).map(DeviceChoice::Only)
        }
        _ => Err(refused(format!("{} is not {WANTED}", raw.found()))),
    }
}

/// True or false.
pub fn switch(raw: &Raw) -> Result<bool, BadValue> {
    match raw {
        Raw::Switch(on) => Ok(*on),
        _ => Err(refused(format!("{} is neither true nor false", raw.found()))),
    }
}

/// The precision of a job.
pub fn precision(raw: &Raw) -> Result<Precision, BadValue> {
    text(raw, "fp32, tf32 or bf16")?.parse().map_err(|e: BadPrecision| refused(e.to_string()))
}

/// What to do with a job that is too large for its device.
pub fn on_too_large(raw: &Raw) -> Result<OnTooLarge, BadValue> {
    const WANTED: &str = "\"skip\" or \"redraw\"";
    let word = text(raw, WANTED)?;
    let known = OnTooLarge::WORDS.iter().find(|(name, _)| *name == word);
    known.map(|(_, meaning)| *meaning).ok_or_else(|| refused(format!("{word:?} is not {WANTED}")))
}

/// The text of a log filter.
pub fn filter(raw: &Raw) -> Result<String, BadValue> {
    let filter = text(raw, "a text, as \"info\"")?;
    log_filter(filter).map_err(refused)?;
    Ok(filter.to_string())
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
