//! Reads an object by the table of keys: typed values out, and every fault with its place collected on the way.

use super::did_you_mean;
use super::keys::{self, Fallback, Key, Kind};
use super::positioned_json::{self, Json, JsonEntry, JsonNode};
use crate::domain::text::fault::{Fault, Faults, TextPosition};
use crate::domain::words::{
    Augmentation, Diagnosis, Mode, NetworkType, Normalization, Preprocessing, Reduction, SamplerKind, Selection,
};
use std::borrow::Cow;
use std::path::{Path, PathBuf};

/// Faults of one file that are listed before the rest is only counted.
const MOST_FAULTS: usize = 100;

/// Values of one key to choose from, at most.
const MOST_VALUES: usize = 1000;

/// An interval, both ends included; a single value is both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Span<T> {
    pub low: T,
    pub high: T,
}

/// A value that can be read from a node which its key's kind holds.
pub trait Read: Sized {
    fn read(node: &JsonNode) -> Option<Self>;
}

macro_rules! read_words {
    ($($word:ident),+) => {
        $(impl Read for $word {
            fn read(node: &JsonNode) -> Option<Self> {
                String::read(node).and_then(|text| $word::from_word(&text))
            }
        })+
    };
}
read_words!(Mode, NetworkType, Preprocessing, Diagnosis, Reduction, Normalization, SamplerKind, Selection);

macro_rules! read_wholes {
    ($($whole:ident),+) => {
        $(impl Read for $whole {
            fn read(node: &JsonNode) -> Option<Self> {
                match &node.value {
                    Json::Number(number) => $whole::try_from(number.as_u64()?).ok(),
                    _ => None,
                }
            }
        })+
    };
}
read_wholes!(u32, u64, usize);

impl Read for String {
    fn read(node: &JsonNode) -> Option<Self> {
        match &node.value {
            Json::Text(text) => Some(text.clone()),
            _ => None,
        }
    }
}

impl Read for f64 {
    fn read(node: &JsonNode) -> Option<Self> {
        match &node.value {
            Json::Number(number) => number.as_f64(),
            _ => None,
        }
    }
}

impl Read for bool {
    fn read(node: &JsonNode) -> Option<Self> {
        match node.value {
            Json::Bool(flag) => Some(flag),
            _ => None,
        }
    }
}

impl Read for Augmentation {
    fn read(node: &JsonNode) -> Option<Self> {
        if node.is_null() { Some(Augmentation::None) } else { String::read(node).and_then(|text| Augmentation::from_word(&text)) }
    }
}

impl<T: Read> Read for Option<T> {
    fn read(node: &JsonNode) -> Option<Self> {
        if node.is_null() { Some(None) } else { T::read(node).map(Some) }
    }
}

impl<T: Read> Read for Vec<T> {
    fn read(node: &JsonNode) -> Option<Self> {
        match &node.value {
            Json::List(nodes) => nodes.iter().map(T::read).collect(),
            // Where a list may be false, false is the empty list.
            Json::Bool(false) => Some(Vec::new()),
            _ => None,
        }
    }
}

/// Counts at both ends: `n` or `[n]` for both, `[begin, end]`.
impl Read for [usize; 2] {
    fn read(node: &JsonNode) -> Option<Self> {
        match &node.value {
            Json::List(nodes) => match nodes.as_slice() {
                [both] => usize::read(both).map(|n| [n, n]),
                [begin, end] => Some([usize::read(begin)?, usize::read(end)?]),
                _ => None,
            },
            _ => usize::read(node).map(|n| [n, n]),
        }
    }
}

/// An object being read. A getter that meets a fault records it and gives a value of no meaning, so that all faults are
/// found in one pass; what was read counts only while [`Reader::faults`] is empty.
pub struct Reader<'a> {
    /// None if it is no object; nothing more is said of it than that.
    entries: Option<&'a [JsonEntry]>,
    place: TextPosition,
    base: &'a Path,
    pub faults: Vec<Fault>,
}

impl<'a> Reader<'a> {
    /// Reads `node`, whose relative paths are relative to `base`; anything but an object is a fault.
    pub fn new(node: &'a JsonNode, base: &'a Path) -> Self {
        match &node.value {
            Json::Object(entries) => {
                // Absolute paths go back into JSON, which holds nothing else than UTF-8.
                let fault = || Fault::new("", format!("the path of its directory, {base:?}, is not UTF-8; rename the directory"));
                let faults = if base.to_str().is_some() { Vec::new() } else { vec![fault()] };
                Reader { entries: Some(entries), place: node.place, base, faults }
            }
            _ => {
                let fault = Fault::at(node.place, "", format!("found {}, allowed: an object, {{...}}", node.shown()));
                Reader { entries: None, place: node.place, base, faults: vec![fault] }
            }
        }
    }

    fn entries(&self) -> &'a [JsonEntry] {
        self.entries.unwrap_or_default()
    }

    /// The entries whose key stands in none of the `tables`.
    pub fn unknown(&self, tables: &[&'static [Key]]) -> Vec<&'a JsonEntry> {
        let known = |name: &str| tables.iter().flat_map(|table| table.iter()).any(|key| key.name == name);
        self.entries().iter().filter(|entry| !known(&entry.key)).collect()
    }

    /// Records a fault for every key that stands in none of the `tables`, with the most similar one that does.
    pub fn refuse_unknown(&mut self, tables: &[&'static [Key]]) {
        for entry in self.unknown(tables) {
            let names = tables.iter().flat_map(|table| table.iter()).map(|key| key.name);
            self.faults.push(Fault::at(
                entry.place,
                &positioned_json::shown_key(&entry.key),
                did_you_mean::sentence(&entry.key, names),
            ));
        }
    }

    /// The value of `key` as it stands in the file, null included.
    pub fn raw(&self, key: &Key) -> Option<&'a JsonNode> {
        self.entries().iter().find(|entry| entry.key == key.name).map(|entry| &entry.value)
    }

    /// Every key of the object with the place of its value.
    pub fn places(&self) -> Vec<(String, TextPosition)> {
        self.entries().iter().map(|entry| (entry.key.clone(), entry.value.place)).collect()
    }

    /// Where the value of `key` stands.
    pub fn place_of(&self, key: &str) -> Option<TextPosition> {
        self.entries().iter().find(|entry| entry.key == key).map(|entry| entry.value.place)
    }

    /// A notice for each of the two defaults that a reader should know were taken.
    pub fn default_notices(&self) -> Vec<Fault> {
        let taken = |key: &Key| match key.default {
            Fallback::By(text) if !self.gives(key) => Some(Fault::new(key.name, format!("not given; {text} is taken"))),
            _ => None,
        };
        [taken(&keys::DIAGNOSES), taken(&keys::EPOCHS)].into_iter().flatten().collect()
    }

    /// Takes over the faults of an object within this one, under the object's name.
    pub fn absorb(&mut self, faults: Vec<Fault>, name: &str) {
        self.faults.extend(faults.into_iter().map(|mut fault| {
            fault.key = if fault.key.is_empty() { name.to_string() } else { format!("{name}.{}", fault.key) };
            fault
        }));
    }

    /// Ends the reading of `file`.
    ///
    /// # Errors
    /// Its faults in the order of their places; of very many the first, and how many more.
    pub fn finish(self, file: &str) -> Result<(), Faults> {
        let mut faults = self.faults;
        if faults.is_empty() {
            return Ok(());
        }
        faults.sort_by_key(|fault| fault.place);
        let more = faults.len().saturating_sub(MOST_FAULTS);
        if more > 0 {
            faults.truncate(MOST_FAULTS);
            faults.push(Fault::new("", format!("and {more} more faults")));
        }
        Err(Faults { file: file.to_string(), faults })
    }

    /// Whether the file gives `key` a value; null gives one only where null is a value.
    pub fn gives(&self, key: &Key) -> bool {
        self.raw(key).is_some_and(|node| key.kind.takes_null() || !node.is_null())
    }

    /// Records a fault of `key`, at its value where it has one.
    pub fn fault(&mut self, key: &Key, sentence: impl Into<String>) {
        let place = self.raw(key).map_or(self.place, |node| node.place);
        self.faults.push(Fault::at(place, key.name, sentence));
    }

    /// Whether a fault of `key` was recorded.
    pub fn is_faulty(&self, key: &Key) -> bool {
        self.faults.iter().any(|fault| fault.key == key.name)
    }

    /// The value in the file, or the default; a mandatory key that is absent is a fault.
    fn node(&mut self, key: &Key) -> Option<Cow<'a, JsonNode>> {
        if let Some(node) = self.raw(key)
            && (key.kind.takes_null() || !node.is_null())
        {
            return Some(Cow::Borrowed(node));
        }
        match key.default {
            Fallback::By(text) => positioned_json::parse(text).ok().map(|document| Cow::Owned(document.root)),
            Fallback::Absent => None,
            Fallback::Mandatory if self.entries.is_none() => None,
            Fallback::Mandatory => {
                self.fault(key, format!("missing; allowed: {}", key.kind.allowed()));
                None
            }
        }
    }

    fn one<T: Read>(&mut self, key: &Key, node: &JsonNode) -> Option<T> {
        let null;
        let node = match (&key.kind, &node.value) {
            (Kind::WordOrNull(_), Json::Text(text)) if text == "None" => {
                null = JsonNode { place: node.place, value: Json::Null };
                &null
            }
            _ => node,
        };
        let read = if key.kind.holds(node) { T::read(node) } else { None };
        if read.is_none() {
            self.faults.push(Fault::at(node.place, key.name, format!("found {}, allowed: {}", node.shown(), key.kind.allowed())));
        }
        read
    }

    /// The key's single value, or None if it is absent and has no default.
    pub fn optional<T: Read>(&mut self, key: &Key) -> Option<T> {
        let node = self.node(key)?;
        self.one(key, &node)
    }

    /// The key's single value.
    pub fn fixed<T: Read + Default>(&mut self, key: &Key) -> T {
        self.optional(key).unwrap_or_default()
    }

    /// The key's value, or the values to choose from.
    pub fn choice<T: Read>(&mut self, key: &Key) -> Vec<T> {
        let Some(node) = self.node(key) else { return Vec::new() };
        match &node.value {
            Json::List(nodes) if nodes.is_empty() => {
                self.faults.push(Fault::at(
                    node.place,
                    key.name,
                    format!("found an empty list, allowed: {}", key.kind.allowed()),
                ));
                Vec::new()
            }
            Json::List(nodes) if nodes.len() > MOST_VALUES => {
                let sentence = format!("found {} values, allowed: at most {MOST_VALUES}", nodes.len());
                self.faults.push(Fault::at(node.place, key.name, sentence));
                Vec::new()
            }
            Json::List(nodes) => nodes.iter().filter_map(|node| self.one(key, node)).collect(),
            _ => self.one(key, &node).into_iter().collect(),
        }
    }

    /// The key's value, or its pair `[min, max]`, or None if it is absent and has no default.
    pub fn span<T: Read + PartialOrd + Copy>(&mut self, key: &Key) -> Option<Span<T>> {
        let node = self.node(key)?;
        let Json::List(nodes) = &node.value else {
            return self.one(key, &node).map(|value| Span { low: value, high: value });
        };
        let [low, high] = nodes.as_slice() else {
            let sentence = format!("found {}, allowed: {}, or a pair [min, max] of them", node.shown(), key.kind.allowed());
            self.faults.push(Fault::at(node.place, key.name, sentence));
            return None;
        };
        let (low, high) = (self.one::<T>(key, low), self.one::<T>(key, high));
        let span = Span { low: low?, high: high? };
        if span.low > span.high {
            let sentence = format!("found {}, allowed: a pair [min, max] with min at most max", node.shown());
            self.faults.push(Fault::at(node.place, key.name, sentence));
            return None;
        }
        Some(span)
    }

    /// Refuses any value of `key` but those that the table allows; what is allowed says nothing new.
    pub fn settled(&mut self, key: &Key) {
        if let Some(node) = self.raw(key)
            && !node.is_null()
            && !key.kind.holds(node)
        {
            self.fault(key, format!("found {}, which is not supported here; allowed: {}", node.shown(), key.kind.allowed()));
        }
    }

    /// The key's path, absolute where `base` is.
    pub fn path(&mut self, key: &Key) -> PathBuf {
        let path: String = self.fixed(key);
        self.absolute(&path)
    }

    /// `path` from `base`, without the parts that say nothing.
    pub fn absolute(&self, path: &str) -> PathBuf {
        self.base.join(path).components().collect()
    }
}
