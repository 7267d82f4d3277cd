//! Text that may hold anything, made fit to be shown: what could steer a terminal is written out.

use std::borrow::Cow;
use std::ffi::OsString;

/// The text with every control character but line feed and tab written as `\u{1b}`, so that no file can steer a terminal.
pub fn escape(text: &str) -> Cow<'_, str> {
    let steers =
        |c: char| (c.is_control() && !matches!(c, '\n' | '\t')) || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    if !text.contains(steers) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if steers(c) { safe.extend(c.escape_unicode()) } else { safe.push(c) }
    }
    Cow::Owned(safe)
}

/// As [`escape`], of text that stands within a line: line feed and tab are written out too, as `\n` and `\t`.
pub fn inline(text: &str) -> Cow<'_, str> {
    if !text.contains(['\n', '\t']) {
        return escape(text);
    }
    Cow::Owned(escape(&text.replace('\n', "\\n").replace('\t', "\\t")).into_owned())
}

/// What a program makes of its arguments. A refusal quotes them, so it is taken from a second try with escaped ones.
///
/// # Errors
/// Those of `parse`.
pub fn parsed<T, E>(
    arguments: impl IntoIterator<Item = OsString>,
    parse: impl Fn(Vec<OsString>) -> Result<T, E>,
) -> Result<T, E> {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    parse(arguments.clone()).map_err(|refusal| {
        let shown: Vec<OsString> = arguments.iter().map(|raw| escape(&raw.to_string_lossy()).into_owned().into()).collect();
        if shown == arguments { refusal } else { parse(shown).err().unwrap_or(refusal) }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_steer_a_terminal_is_written_out() {
        assert_eq!(escape("a\u{1b}[2Jb\r\u{9b}c\u{202e}\td\n"), "a\\u{1b}[2Jb\\u{d}\\u{9b}c\\u{202e}\td\n");
        assert!(matches!(escape("plain: é"), Cow::Borrowed("plain: é")));
        assert_eq!(inline("a\u{1b}b\tc\nd"), "a\\u{1b}b\\tc\\nd");
    }

    #[test]
    fn a_refusal_quotes_arguments_escaped_and_what_is_accepted_is_taken_as_it_is() {
        let first = |arguments: Vec<OsString>| match arguments.as_slice() {
            [one] => Ok(one.clone()),
            more => Err(format!("{more:?}").replace("\\\\", "\\")),
        };
        let raw = || OsString::from("a\u{7}");
        assert_eq!(parsed([raw()], first), Ok(raw()));
        assert_eq!(parsed([raw(), "b".into()], first), Err(r#"["a\u{7}", "b"]"#.to_string()));
    }
}
