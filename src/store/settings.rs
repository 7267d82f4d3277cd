//! The daemon's configuration: `neurosearchd.toml`, and over it what environment and flags give, judged in one place.

pub mod arguments;
pub mod keys;
pub mod values;

use super::records::record;
use crate::domain::input::did_you_mean;
use crate::domain::text::fault::{Fault, Faults, TextPosition};
pub use keys::Settings;
use keys::{KEYS, SettingKey};
use std::ops::Range;
use std::path::Path;
use toml::Spanned;
use toml::de::{DeTable, DeValue};
pub use values::DeviceChoice;
use values::{BadValue, Raw};

/// A value that a flag or a variable gives.
#[derive(Debug, Clone)]
pub struct Given {
    pub key: &'static SettingKey,
    /// How the user named it: `--log`, or the variable's name.
    pub by: String,
    pub words: Vec<String>,
}

/// The configuration that a file, if any, and then flags and variables say; relative paths are relative to the file's
/// directory, and where flags or variables give them to the current one. The same judgement at start, on a reload and
/// for `--check-config`.
///
/// # Errors
/// Every fault on a line of its own, with its file, line and column, or with its flag or variable.
pub fn judge(file: Option<&Path>, given: &[Given]) -> Result<Settings, String> {
    let mut settings = Settings::default();
    let mut faults: Vec<String> = Vec::new();
    if let Some(path) = file {
        let base = path.parent().unwrap_or(Path::new("."));
        let read = record::read_text(path).map_err(|e| e.to_string());
        let read = read.and_then(|text| parse(&text, &path.display().to_string(), base).map_err(|e| e.to_string()));
        match read {
            Ok(read) => settings = read,
            Err(sentences) => faults.push(sentences),
        }
    }
    for Given { key, by, words } in given {
        if let Err(BadValue { sentence, .. }) = (key.take)(&mut settings, &key.raw(words), Path::new("")) {
            faults.push(format!("{by}: {sentence}"));
        }
    }
    if faults.is_empty() { Ok(settings) } else { Err(faults.join("\n")) }
}

/// The settings in a file's text; `name` is the file's in faults, relative paths are taken from `base`.
///
/// # Errors
/// Every fault with line and column; where the text is no TOML, what stands in the way of reading it.
pub fn parse(text: &str, name: &str, base: &Path) -> Result<Settings, Faults> {
    let mut reading = SettingsReading { text, base, settings: Settings::default(), faults: Vec::new() };
    let (tree, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        let at = error.span().map_or(0, |span| span.start);
        reading.faults.push(Fault::at(place(text, at), "", error.message()));
    }
    if reading.faults.is_empty() {
        reading.table("", tree.get_ref());
    }
    reading.faults.sort_by_key(|fault| fault.place);
    if reading.faults.is_empty() { Ok(reading.settings) } else { Err(Faults { file: name.to_string(), faults: reading.faults }) }
}

struct SettingsReading<'a> {
    text: &'a str,
    base: &'a Path,
    settings: Settings,
    faults: Vec<Fault>,
}

impl SettingsReading<'_> {
    /// The keys of a table; `prefix` ends with a dot, or is empty for the file itself.
    fn table(&mut self, prefix: &str, table: &DeTable<'_>) {
        for (key, value) in table {
            let name = format!("{prefix}{}", key.get_ref());
            let inner = format!("{name}.");
            match (KEYS.iter().find(|key| key.name == name), value.get_ref()) {
                (Some(known), _) => self.value(known, value),
                (None, DeValue::Table(table)) if KEYS.iter().any(|key| key.name.starts_with(&inner)) => self.table(&inner, table),
                (None, found) if KEYS.iter().any(|key| key.name.starts_with(&inner)) => {
                    self.fault(
                        value.span(),
                        &name,
                        format!("a {} is not a table of keys; write [{name}] above them", found.type_str()),
                    );
                }
                (None, _) => {
                    let sentence = did_you_mean::sentence(&name, KEYS.iter().map(|key| key.name));
                    self.fault(key.span(), &name.escape_debug().to_string(), sentence);
                }
            }
        }
    }

    fn value(&mut self, key: &SettingKey, value: &Spanned<DeValue<'_>>) {
        if let Err(BadValue { at, sentence }) = (key.take)(&mut self.settings, &raw(value.get_ref()), self.base) {
            let at = at.unwrap_or(value.span().start);
            self.fault(at..at, key.name, sentence);
        }
    }

    fn fault(&mut self, at: Range<usize>, key: &str, sentence: String) {
        self.faults.push(Fault::at(place(self.text, at.start), key, sentence));
    }
}

fn raw(value: &DeValue<'_>) -> Raw {
    match value {
        DeValue::String(text) => Raw::Text(text.to_string()),
        DeValue::Integer(number) => match i128::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => Raw::Whole(number.to_string()),
            Err(_) => Raw::Whole(number.to_string()),
        },
        DeValue::Array(items) => Raw::List(items.iter().map(|item| (item.span().start, raw(item.get_ref()))).collect()),
        DeValue::Boolean(on) => Raw::Switch(*on),
        other => Raw::Other(other.type_str()),
    }
}

/// Line and column of a byte offset.
fn place(text: &str, offset: usize) -> TextPosition {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    TextPosition { line: before.matches('\n').count() + 1, column: before[line_start..].chars().count() + 1 }
}

#[cfg(test)]
#[path = "settings_tests.rs"]
mod tests;
