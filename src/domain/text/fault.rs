//! What is wrong with an input, said so that its author can mend it: file, place, key, what was found and what is allowed.

use super::escape::inline;
use std::fmt;

/// A place in a text file, both counted from 1; columns count characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TextPosition {
    pub line: usize,
    pub column: usize,
}

/// One fault of an input file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Where in the file, when the fault has a place.
    pub place: Option<TextPosition>,
    /// The key at fault, empty when the fault is of the file as a whole.
    pub key: String,
    /// One clause: what was found, what is allowed, the cure.
    pub sentence: String,
}

impl Fault {
    pub fn new(key: &str, sentence: impl Into<String>) -> Self {
        Fault { place: None, key: key.to_string(), sentence: sentence.into() }
    }

    pub fn at(place: TextPosition, key: &str, sentence: impl Into<String>) -> Self {
        Fault { place: Some(place), key: key.to_string(), sentence: sentence.into() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = self.place {
            write!(f, "line {}, column {}: ", place.line, place.column)?;
        }
        if !self.key.is_empty() {
            write!(f, "{}: ", inline(&self.key))?;
        }
        // A path in it may hold anything, and each fault is one line.
        f.write_str(&inline(&self.sentence))
    }
}

/// Every fault of one file, in the order of their places; never empty.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.lines())]
pub struct Faults {
    /// The file, as the user named it.
    pub file: String,
    pub faults: Vec<Fault>,
}

impl Faults {
    fn lines(&self) -> String {
        let file = inline(&self.file);
        let lines: Vec<String> = self.faults.iter().map(|fault| format!("{file}: {fault}")).collect();
        lines.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_one_line_whatever_its_sentence_quotes() {
        let faults =
            vec![Fault::new("caps_dir", "cannot list /a\nb"), Fault::at(TextPosition { line: 1, column: 2 }, "mode", "missing")];
        let faults = Faults { file: "a\nb/x.json".to_string(), faults };
        assert_eq!(
            faults.to_string(),
            "a\\nb/x.json: caps_dir: cannot list /a\\nb\na\\nb/x.json: line 1, column 2: mode: missing"
        );
    }
}
