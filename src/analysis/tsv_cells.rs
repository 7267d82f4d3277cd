//! Cells of a tab-separated line.

use std::borrow::Cow;

/// The cells with tabs between, each quoted where it needs to be; no line feed.
pub fn joined<'a>(cells: impl Iterator<Item = &'a str>) -> String {
    let mut text = String::new();
    for (i, cell) in cells.enumerate() {
        if i > 0 {
            text.push('\t');
        }
        text.push_str(&quoted(cell));
    }
    text
}

/// The cell, in quotes where it holds what would end it.
pub fn quoted(cell: &str) -> Cow<'_, str> {
    if cell.contains(['\t', '\n', '\r', '"']) {
        Cow::Owned(format!("\"{}\"", cell.replace('"', "\"\"")))
    } else {
        Cow::Borrowed(cell)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_reads_back_as_its_cells_whatever_they_hold() {
        let cells = ["plain", "", "a\tb", "say \"x\"", "two\nlines", "\r", "é"];
        let text = joined(cells.into_iter()) + "\n";
        let mut reader = csv::ReaderBuilder::new().delimiter(b'\t').has_headers(false).from_reader(text.as_bytes());
        let record = reader.records().next().expect("a line").expect("readable");
        assert_eq!(record.iter().collect::<Vec<_>>(), cells);
    }
}
