//! Strict JSON as a tree that keeps the line and column of every key and value, so that each fault can be shown where it stands.

use crate::domain::text::fault::{Fault, TextPosition};
use serde_json::{Map, Number, Value};

/// Lists and objects inside one another, at most: more than any file of ours needs, and far from the end of the stack.
const DEEPEST: usize = 32;

/// Keys of one object, at most: a bound on the search for keys that stand twice.
const MOST_KEYS: usize = 4096;

/// A value and where it begins.
#[derive(Debug, Clone, PartialEq)]
pub struct JsonNode {
    pub place: TextPosition,
    pub value: Json,
}

/// A JSON value; numbers are read as `serde_json` reads them, to the nearest `f64` where they are not integers of 64 bits.
#[derive(Debug, Clone, PartialEq)]
pub enum Json {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<JsonNode>),
    Object(Vec<JsonEntry>),
}

/// One key of an object with its value; `place` is the key's.
#[derive(Debug, Clone, PartialEq)]
pub struct JsonEntry {
    pub place: TextPosition,
    pub key: String,
    pub value: JsonNode,
}

/// A whole text: its value, and a fault for every key that stands twice in one object (the first one counts).
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    pub root: JsonNode,
    pub duplicates: Vec<Fault>,
}

impl JsonNode {
    /// The same value without its places.
    pub fn to_value(&self) -> Value {
        match &self.value {
            Json::Null => Value::Null,
            Json::Bool(flag) => Value::Bool(*flag),
            Json::Number(number) => Value::Number(number.clone()),
            Json::Text(text) => Value::String(text.clone()),
            Json::List(nodes) => Value::Array(nodes.iter().map(JsonNode::to_value).collect()),
            Json::Object(entries) => {
                Value::Object(entries.iter().map(|e| (e.key.clone(), e.value.to_value())).collect::<Map<_, _>>())
            }
        }
    }

    pub const fn is_null(&self) -> bool {
        matches!(self.value, Json::Null)
    }

    /// The value as JSON on one line, cut where it is long: what an error shows as found.
    pub fn shown(&self) -> String {
        let safe = line(&self.to_value());
        if safe.chars().count() <= 80 { safe } else { safe.chars().take(77).chain("...".chars()).collect() }
    }
}

/// The value as JSON on one line that any terminal can show: characters that steer it are written as escapes.
pub fn line(value: &Value) -> String {
    let text = value.to_string();
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        if is_plain(c) {
            safe.push(c);
        } else {
            // They can only stand in strings, where JSON has this escape for each half of a surrogate pair.
            safe.extend(c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")));
        }
    }
    safe
}

/// A key as an error shows it: characters that steer a terminal as escapes, cut where it is long.
pub fn shown_key(key: &str) -> String {
    let quoted = format!("{key:?}");
    let plain = &quoted[1..quoted.len() - 1];
    if plain.chars().count() <= 100 { plain.to_string() } else { plain.chars().take(97).chain("...".chars()).collect() }
}

/// Letters, digits and marks that a terminal shows as they are; quoting by `Debug` escapes all others.
fn is_plain(c: char) -> bool {
    matches!(c, '"' | '\'' | '\\') || c.escape_debug().count() == 1
}

/// Reads the whole of `text`.
///
/// # Errors
/// The first fault of syntax, with its place and what was expected there.
pub fn parse(text: &str) -> Result<Document, Fault> {
    let mut parser = Parser { rest: text, place: TextPosition { line: 1, column: 1 }, duplicates: Vec::new() };
    parser.skip_space();
    let root = parser.value(0)?;
    parser.skip_space();
    if parser.rest.is_empty() {
        Ok(Document { root, duplicates: parser.duplicates })
    } else {
        Err(parser.expected("the end of the file"))
    }
}

struct Parser<'a> {
    rest: &'a str,
    place: TextPosition,
    duplicates: Vec<Fault>,
}

impl Parser<'_> {
    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.rest = &self.rest[c.len_utf8()..];
        self.place = if c == '\n' {
            TextPosition { line: self.place.line + 1, column: 1 }
        } else {
            TextPosition { column: self.place.column + 1, ..self.place }
        };
        Some(c)
    }

    fn accept(&mut self, wanted: char) -> bool {
        let found = self.peek() == Some(wanted);
        if found {
            self.next();
        }
        found
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(' ' | '\t' | '\n' | '\r')) {
            self.next();
        }
    }

    fn expected(&self, wanted: &str) -> Fault {
        let found = match self.peek() {
            None => "the end of the file".to_string(),
            Some(c) => format!("{c:?}"),
        };
        Fault::at(self.place, "", format!("not valid JSON: found {found}, expected {wanted}"))
    }

    fn value(&mut self, depth: usize) -> Result<JsonNode, Fault> {
        if depth > DEEPEST {
            return Err(Fault::at(self.place, "", format!("more than {DEEPEST} lists or objects inside one another")));
        }
        let place = self.place;
        let value = match self.peek() {
            Some('{') => self.object(depth)?,
            Some('[') => self.list(depth)?,
            Some('"') => Json::Text(self.string()?),
            Some('-' | '0'..='9') => self.number()?,
            Some('a'..='z' | 'A'..='Z') => self.word()?,
            _ => return Err(self.expected("a value")),
        };
        Ok(JsonNode { place, value })
    }

    fn word(&mut self) -> Result<Json, Fault> {
        let length = self.rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(self.rest.len());
        let value = match &self.rest[..length] {
            "null" => Json::Null,
            "true" => Json::Bool(true),
            "false" => Json::Bool(false),
            other => {
                let cure = match other {
                    "None" | "nan" | "NaN" => "; write null",
                    "True" | "False" => "; JSON writes true and false in small letters",
                    _ => "; text stands in double quotes",
                };
                return Err(Fault::at(self.place, "", format!("not valid JSON: found {other:?}, expected a value{cure}")));
            }
        };
        for _ in 0..length {
            self.next();
        }
        Ok(value)
    }

    fn list(&mut self, depth: usize) -> Result<Json, Fault> {
        self.next();
        self.skip_space();
        let mut nodes = Vec::new();
        if self.accept(']') {
            return Ok(Json::List(nodes));
        }
        loop {
            self.skip_space();
            nodes.push(self.value(depth + 1)?);
            self.skip_space();
            if self.accept(']') {
                return Ok(Json::List(nodes));
            }
            if !self.accept(',') {
                return Err(self.expected("a comma or ']'"));
            }
        }
    }

    fn object(&mut self, depth: usize) -> Result<Json, Fault> {
        self.next();
        self.skip_space();
        let mut entries: Vec<JsonEntry> = Vec::new();
        if self.accept('}') {
            return Ok(Json::Object(entries));
        }
        loop {
            self.skip_space();
            if self.peek() != Some('"') {
                return Err(self.expected("a key in double quotes"));
            }
            if entries.len() == MOST_KEYS {
                return Err(Fault::at(self.place, "", format!("more than {MOST_KEYS} keys in one object")));
            }
            let entry = self.entry(depth)?;
            let key = entry.key.clone();
            match entries.iter().find(|e| e.key == key) {
                Some(first) => self.duplicates.push(Fault::at(
                    entry.place,
                    &shown_key(&key),
                    format!("stands twice, first on line {}; leave one of the two", first.place.line),
                )),
                None => entries.push(entry),
            }
            self.skip_space();
            if self.accept('}') {
                return Ok(Json::Object(entries));
            }
            if !self.accept(',') {
                return Err(self.expected(&format!("a comma or '}}' after the value of \"{}\"", shown_key(&key))));
            }
        }
    }

    fn entry(&mut self, depth: usize) -> Result<JsonEntry, Fault> {
        let place = self.place;
        let key = self.string()?;
        self.skip_space();
        if !self.accept(':') {
            return Err(self.expected(&format!("a colon after \"{}\"", shown_key(&key))));
        }
        self.skip_space();
        Ok(JsonEntry { place, key, value: self.value(depth + 1)? })
    }

    fn string(&mut self) -> Result<String, Fault> {
        let start = self.place;
        self.next();
        let mut text = String::new();
        loop {
            match self.peek() {
                None => return Err(Fault::at(start, "", "not valid JSON: this text has no closing quote")),
                Some('"') => {
                    self.next();
                    return Ok(text);
                }
                Some('\\') => text.push(self.escape()?),
                Some('\n') => {
                    let sentence = "not valid JSON: this text has no closing quote on its line";
                    return Err(Fault::at(start, "", sentence));
                }
                Some(c) if c < ' ' => return Err(self.expected("no control character, or its escape, inside a text")),
                Some(c) => {
                    text.push(c);
                    self.next();
                }
            }
        }
    }

    fn escape(&mut self) -> Result<char, Fault> {
        self.next();
        let plain = match self.peek() {
            Some(c @ ('"' | '\\' | '/')) => c,
            Some('b') => '\u{8}',
            Some('f') => '\u{c}',
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some('u') => return self.unicode_escape(),
            _ => return Err(self.expected("one of \" \\ / b f n r t u after a backslash")),
        };
        self.next();
        Ok(plain)
    }

    fn unicode_escape(&mut self) -> Result<char, Fault> {
        let start = self.place;
        let broken = || Fault::at(start, "", "not valid JSON: half of a surrogate pair");
        let first = self.four_digits()?;
        if !(0xD800..0xE000).contains(&first) {
            return char::from_u32(first).ok_or_else(broken);
        }
        if first >= 0xDC00 || !(self.accept('\\') && self.peek() == Some('u')) {
            return Err(broken());
        }
        let second = self.four_digits()?;
        if !(0xDC00..0xE000).contains(&second) {
            return Err(broken());
        }
        char::from_u32(0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00)).ok_or_else(broken)
    }

    /// The number after a `u`, on which the parser stands.
    fn four_digits(&mut self) -> Result<u32, Fault> {
        self.next();
        let mut number = 0;
        for _ in 0..4 {
            let digit = self.peek().and_then(|c| c.to_digit(16)).ok_or_else(|| self.expected("four hexadecimal digits"))?;
            number = number * 16 + digit;
            self.next();
        }
        Ok(number)
    }

    fn number(&mut self) -> Result<Json, Fault> {
        let place = self.place;
        let length = self.rest.find(|c| !matches!(c, '0'..='9' | '+' | '-' | '.' | 'e' | 'E')).unwrap_or(self.rest.len());
        let text = &self.rest[..length];
        // serde_json knows JSON's grammar of numbers and reads every finite one to its nearest f64.
        let number: Number = serde_json::from_str(text)
            .map_err(|_| Fault::at(place, "", format!("not valid JSON: {text:?} is not a number, or too large for one")))?;
        for _ in 0..length {
            self.next();
        }
        Ok(Json::Number(number))
    }
}

#[cfg(test)]
mod tests;
