//! Tests of the strict JSON tree: the same values as serde_json, and places.

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
    assert_eq!(document.duplicates[0].place, Some(TextPosition { line: 2, column: 2 }));
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
    let key = format!("\u{7f}{}", "k".repeat(200));
    let twice = parse(&format!("{{\"{key}\": 1, \"{key}\": 2}}")).expect("JSON").duplicates;
    assert_eq!(twice[0].key, format!("\\u{{7f}}{}...", "k".repeat(91)));
}

#[test]
fn a_text_that_is_not_closed_is_named_by_where_it_begins() {
    for (text, end) in [("{\"mode\": \"ima\n}", " on its line"), ("{\"mode\": \"ima", "")] {
        let fault = parse(text).expect_err("refused");
        assert_eq!(fault.to_string(), format!("line 1, column 10: not valid JSON: this text has no closing quote{end}"));
    }
}
