//! Strict JSON as a tree that keeps the line and column of every key and value, so that each fault can be shown where it stands.

use super::fault::{Fault, Place};
use serde_json::{Map, Number, Value};

/// Lists and objects inside one another, at most: more than any file of ours needs, and far from the end of the stack.
const DEEPEST: usize = 32;

/// Keys of one object, at most: a bound on the search for keys that stand twice.
const MOST_KEYS: usize = 4096;

/// A value and where it begins.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    pub place: Place,
    pub value: Json,
}

/// A JSON value; numbers are read as `serde_json` reads them, to the nearest `f64` where they are not integers of 64 bits.
#[derive(Debug, Clone, PartialEq)]
pub enum Json {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Node>),
    Object(Vec<Entry>),
}

/// One key of an object with its value; `place` is the key's.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    pub place: Place,
    pub key: String,
    pub value: Node,
}

/// A whole text: its value, and a fault for every key that stands twice in one object (the first one counts).
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    pub root: Node,
    pub duplicates: Vec<Fault>,
}

impl Node {
    /// The same value without its places.
    pub fn to_value(&self) -> Value {
        match &self.value {
            Json::Null => Value::Null,
            Json::Bool(flag) => Value::Bool(*flag),
            Json::Number(number) => Value::Number(number.clone()),
            Json::Text(text) => Value::String(text.clone()),
            Json::List(nodes) => Value::Array(nodes.iter().map(Node::to_value).collect()),
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
        let text = self.to_value().to_string();
        // A JSON string keeps some control and direction characters raw; a terminal must not get them.
        let safe: String = text.chars().flat_map(|c| if is_plain(c) { vec![c] } else { c.escape_unicode().collect() }).collect();
        if safe.chars().count() <= 80 { safe } else { safe.chars().take(77).chain("...".chars()).collect() }
    }
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
    let mut parser = Parser { rest: text, place: Place { line: 1, column: 1 }, duplicates: Vec::new() };
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
    place: Place,
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
            Place { line: self.place.line + 1, column: 1 }
        } else {
            Place { column: self.place.column + 1, ..self.place }
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

    fn value(&mut self, depth: usize) -> Result<Node, Fault> {
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
        Ok(Node { place, value })
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
        let mut entries: Vec<Entry> = Vec::new();
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
                    &key,
                    format!("stands twice, first on line {}; leave one of the two", first.place.line),
                )),
                None => entries.push(entry),
            }
            self.skip_space();
            if self.accept('}') {
                return Ok(Json::Object(entries));
            }
            if !self.accept(',') {
                return Err(self.expected(&format!("a comma or '}}' after the value of {key:?}")));
            }
        }
    }

    fn entry(&mut self, depth: usize) -> Result<Entry, Fault> {
        let place = self.place;
        let key = self.string()?;
        self.skip_space();
        if !self.accept(':') {
            return Err(self.expected(&format!("a colon after {key:?}")));
        }
        self.skip_space();
        Ok(Entry { place, key, value: self.value(depth + 1)? })
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
mod tests {
    use super::*;

    fn place_of_fault(text: &str) -> (usize, usize) {
        let place = parse(text).expect_err("not JSON").place.expect("a place");
        (place.line, place.column)
    }

    #[test]
    fn whatever_serde_json_reads_reads_as_the_same_value_and_nothing_else_is_read() {
        let texts = [
            "{}",
            "[]",
            " [1, -0, 0.5, 1e5, 1E-3, 18446744073709551615, 18446744073709551616] ",
            r#"{"a": {"b": [true, false, null]}}"#,
            r#""\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00 é""#,
            "",
            "{",
            "[1,]",
            "{\"a\": 1,}",
            "{a: 1}",
            "{'a': 1}",
            "[1 2]",
            "01",
            "1.",
            ".5",
            "+1",
            "1e",
            "-",
            "nul",
            "truefalse",
            "NaN",
            "1e999",
            "// x\n1",
            "\"\t\"",
            "\"open",
            "\"\\x\"",
            r#""\ud83d""#,
            r#""\ude00""#,
            r#""\ud83dx""#,
            "1 1",
            "\u{feff}1",
            "\u{a0}1",
            "[1}",
            "{\"a\" 1}",
            "{\"a\": }",
            r#""\u12""#,
            "0x10",
            "[-]",
            "1.5e+3",
        ];
        for text in texts {
            let theirs = serde_json::from_str::<Value>(text).ok();
            assert_eq!(parse(text).ok().map(|document| document.root.to_value()), theirs, "{text}");
        }
    }

    #[test]
    fn a_fault_of_syntax_stands_where_the_reader_has_to_look() {
        assert_eq!(place_of_fault("{\n \"é\": 1\n \"b\": 2}"), (3, 2));
        assert_eq!(place_of_fault("{\"a\": nan}"), (1, 7));
        assert_eq!(place_of_fault("[1,\r\n]"), (2, 1));
        let fault = parse("{\"a\": [null, \"x\"]\n\"b\": 1}").expect_err("a comma is missing");
        assert!(fault.sentence.contains("a comma") && fault.sentence.contains("\"a\""), "{fault}");
    }

    #[test]
    fn a_key_that_stands_twice_is_a_fault_at_its_second_place() {
        let document = parse("{\"a\": 1,\n \"a\": 2}").expect("JSON");
        assert_eq!(document.duplicates.len(), 1);
        assert_eq!(document.duplicates[0].place, Some(Place { line: 2, column: 2 }));
        assert_eq!(document.root.to_value(), serde_json::json!({"a": 1}));
    }

    #[test]
    fn depth_and_number_of_keys_are_bounded() {
        assert!(parse(&"[".repeat(1_000_000)).expect_err("too deep").sentence.contains("inside one another"));
        let many: Vec<String> = (0..5000).map(|i| format!("\"{i}\": 0")).collect();
        assert!(parse(&format!("{{{}}}", many.join(","))).expect_err("too many").sentence.contains("keys"));
    }

    #[test]
    fn what_an_error_shows_can_neither_fill_nor_upset_a_terminal() {
        let shown = parse("\"\u{9b}31m\u{202e}é\u{7f}\"").expect("JSON").root.shown();
        assert!(shown.contains('é') && !shown.contains(['\u{9b}', '\u{202e}', '\u{7f}']), "{shown}");
        assert_eq!(parse(&format!("\"{}\"", "x".repeat(1000))).expect("JSON").root.shown().chars().count(), 80);
    }
}
