//! Tab-separated tables with a header row, and numbers as Python's `repr` writes them.

use crate::store::fs::error::StoreError;
use crate::store::fs::owned_path::Place;
use crate::store::fs::{annex, atomic, open};
use std::fmt::Write;

/// No table that is read here is larger; a million rows of predictions take a tenth of it.
const LARGEST: u64 = 1 << 30;

/// A whole table; every row has as many cells as the header.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Table {
    pub header: Vec<String>,
    pub rows: Vec<TableLine>,
}

/// One row and where it stood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableLine {
    pub cells: Vec<String>,
    /// Line of the file it was read from, from 1; 0 in a table made here.
    pub number: u64,
}

impl Table {
    /// An empty table with this header.
    pub fn new(header: &[&str]) -> Self {
        Table { header: header.iter().map(|name| (*name).to_string()).collect(), rows: Vec::new() }
    }

    /// Adds a row. It has as many cells as the header, or the table cannot be written.
    pub fn push(&mut self, cells: Vec<String>) {
        self.rows.push(TableLine { cells, number: 0 });
    }

    /// The place of the column `name`.
    pub fn column(&self, name: &str) -> Option<usize> {
        self.header.iter().position(|column| column == name)
    }

    /// The table in the file `place`. A byte order mark is skipped, lines may end in CR LF. Each line is one row, but for empty
    /// lines, and for rows without any content at the end, which spreadsheets leave.
    ///
    /// # Errors
    /// Names the file and the line: not UTF-8, a row of another length than the header's, a cell that spans lines, a file without
    /// a header.
    pub fn read(place: &(impl Place + ?Sized)) -> Result<Table, StoreError> {
        let bytes = open::bytes(place, LARGEST, "larger than 1 GiB, which no table of this kind is")?;
        if std::str::from_utf8(&bytes).is_ok_and(annex::is_pointer) {
            return Err(StoreError::content(place.path(), annex::SENTENCE));
        }
        Table::parse(&bytes).map_err(|sentence| StoreError::content(place.path(), sentence))
    }

    /// As [`Table::read`], from memory. The error is one clause.
    pub fn parse(bytes: &[u8]) -> Result<Table, String> {
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let mut reader = csv::ReaderBuilder::new().delimiter(b'\t').flexible(true).from_reader(bytes);
        let mut lines = Lines { bytes, at: 0, line: 1 };
        let header = reader.headers().map_err(|e| sentence(&e, &mut lines))?;
        let header: Vec<String> = cells(header, lines.of(header.position()))?;
        if header.is_empty() {
            return Err("empty; a table begins with the names of its columns".to_string());
        }
        let mut rows = Vec::new();
        for record in reader.records() {
            let record = record.map_err(|e| sentence(&e, &mut lines))?;
            let number = lines.of(record.position());
            let cells = cells(&record, number)?;
            if cells.len() != header.len() {
                let (found, expected) = (cells.len(), header.len());
                return Err(format!("line {number} has {found} cells, the header has {expected}; cells are separated by tabs"));
            }
            rows.push(TableLine { cells, number });
        }
        let is_empty = |row: &TableLine| row.cells.iter().all(|cell| cell.trim().is_empty());
        while rows.pop_if(|row| is_empty(row)).is_some() {}
        Ok(Table { header, rows })
    }

    /// The table as text: tabs, LF, quotes only where a cell needs them.
    ///
    /// # Errors
    /// One clause, for a row of another length than the header's.
    pub fn to_bytes(&self) -> Result<Vec<u8>, String> {
        let mut writer =
            csv::WriterBuilder::new().delimiter(b'\t').terminator(csv::Terminator::Any(b'\n')).from_writer(Vec::new());
        writer.write_record(&self.header).map_err(|e| e.to_string())?;
        for row in &self.rows {
            writer.write_record(&row.cells).map_err(|e| e.to_string())?;
        }
        writer.into_inner().map_err(|e| e.to_string())
    }

    /// Makes the table the whole content of `place`.
    pub fn write(&self, place: &(impl Place + ?Sized)) -> Result<(), StoreError> {
        let bytes =
            self.to_bytes().map_err(|sentence| StoreError::content(place.path(), format!("cannot be written: {sentence}")))?;
        atomic::replace(place, &bytes)
    }
}

/// Counts lines along the bytes of a table. The parser's own count is one behind where lines end in CR LF.
struct Lines<'a> {
    bytes: &'a [u8],
    at: usize,
    line: u64,
}

impl Lines<'_> {
    /// The line of a record that begins at a position, which is not before the one asked for last.
    fn of(&mut self, position: Option<&csv::Position>) -> u64 {
        let begin = position.and_then(|position| usize::try_from(position.byte()).ok()).unwrap_or(self.at);
        // The end of the line before, and empty lines.
        let rest = self.bytes.get(begin..).unwrap_or_default();
        let begin = begin + rest.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        self.line += line_ends(self.bytes.get(self.at..begin).unwrap_or_default());
        self.at = begin;
        self.line
    }
}

/// LF, CR LF, or CR.
fn line_ends(text: &[u8]) -> u64 {
    let ends = |(at, byte): &(usize, &u8)| **byte == b'\n' || (**byte == b'\r' && text.get(at + 1) != Some(&b'\n'));
    text.iter().enumerate().filter(ends).count() as u64
}

/// The cells of a row, each within its line: one that is quoted and goes on would take the rows of the next lines with it.
fn cells(record: &csv::StringRecord, first: u64) -> Result<Vec<String>, String> {
    let spanned: u64 = record.iter().map(|cell| line_ends(cell.as_bytes())).sum();
    if spanned == 0 {
        return Ok(record.iter().map(str::to_string).collect());
    }
    Err(format!(
        "a quotation mark in line {first} opens a cell that goes on to line {}; a cell stands in one line: remove the mark, or \
         close it in its line",
        first + spanned
    ))
}

fn sentence(error: &csv::Error, lines: &mut Lines<'_>) -> String {
    match error.kind() {
        csv::ErrorKind::Utf8 { pos, .. } => {
            format!("line {} is not UTF-8; save the table as UTF-8", lines.of(pos.as_ref()))
        }
        _ => format!("not a table that can be read ({error})"),
    }
}

/// The shortest text that reads back as `value`, in the form of Python's `repr`: `1.0`, `1e-05`, `1e+16`, `inf`; NaN is empty.
pub fn python_repr(value: f64) -> String {
    let mut text = String::new();
    push_repr(&mut text, value);
    text
}

/// Adds what [`python_repr`] gives.
pub fn push_repr(text: &mut String, value: f64) {
    let size = value.abs();
    if size == 0.0 || (1e-4..1e16).contains(&size) {
        // The range in which Python writes no exponent, and this library neither.
        text.push_str(zmij::Buffer::new().format_finite(value));
    } else if size.is_infinite() {
        text.push_str(if value > 0.0 { "inf" } else { "-inf" });
    } else if size.is_finite() {
        // Rust's `e` form has the shortest digits: `-1.2345e-7`.
        let scientific = format!("{value:e}");
        let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
        let exponent: i32 = exponent.parse().unwrap_or(0);
        let sign = if exponent < 0 { '-' } else { '+' };
        // Writing to a string cannot fail.
        let _ = write!(text, "{mantissa}e{sign}{:02}", exponent.abs());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_python_writes_them() {
        let cases = [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1.0, "1.0"),
            (0.1, "0.1"),
            (1e-4, "0.0001"),
            (1e-5, "1e-05"),
            (-1.5e-7, "-1.5e-07"),
            (123456.0, "123456.0"),
            (1e15, "1000000000000000.0"),
            (9007199254740993.0, "9007199254740992.0"),
            (9999999999999998.0, "9999999999999998.0"),
            (1e16, "1e+16"),
            (0.00012345678901234567, "0.00012345678901234567"),
            (9.999999999999999e-05, "9.999999999999999e-05"),
            (1.7976931348623157e308, "1.7976931348623157e+308"),
            (5e-324, "5e-324"),
            (f64::from(0.1f32), "0.10000000149011612"),
            (f64::INFINITY, "inf"),
            (f64::NEG_INFINITY, "-inf"),
            (f64::NAN, ""),
        ];
        for (value, text) in cases {
            assert_eq!(python_repr(value), text);
        }
    }

    #[test]
    fn a_table_is_read_back_the_same_and_an_empty_last_cell_leaves_a_tab() {
        let mut table = Table::new(&["participant_id", "slice_id"]);
        table.push(vec!["sub-1".to_string(), String::new()]);
        table.push(vec!["with\ttab".to_string(), "with \"quote\"".to_string()]);
        let bytes = table.to_bytes().expect("text");
        assert_eq!(String::from_utf8_lossy(&bytes), "participant_id\tslice_id\nsub-1\t\n\"with\ttab\"\t\"with \"\"quote\"\"\"\n");
        let read = Table::parse(&bytes).expect("read");
        assert_eq!(read.header, table.header);
        assert_eq!(
            read.rows.iter().map(|row| &row.cells).collect::<Vec<_>>(),
            table.rows.iter().map(|row| &row.cells).collect::<Vec<_>>()
        );
        assert_eq!(read.rows.iter().map(|row| row.number).collect::<Vec<_>>(), [2, 3]);
    }

    #[test]
    fn a_byte_order_mark_and_windows_line_ends_do_not_disturb() {
        let table = Table::parse(b"\xef\xbb\xbfa\tb\r\n1\t2\r\n").expect("read");
        assert_eq!((table.column("a"), table.column("b")), (Some(0), Some(1)));
        assert_eq!(table.rows[0].cells, ["1", "2"]);
        for table in [&b"a\tb\r\n1\t2\r\n\r\n3\t4\r\n"[..], b"a\tb\n1\t2\n\n3\t4", b"a\tb\r1\t2\r\r3\t4\r"] {
            let table = Table::parse(table).expect("read");
            assert_eq!(table.rows.iter().map(|row| row.number).collect::<Vec<_>>(), [2, 4]);
        }
    }

    #[test]
    fn a_quotation_mark_takes_no_other_lines_with_it() {
        let both = |bytes: &[u8], first: u64, last: u64| {
            let error = Table::parse(bytes).expect_err("refused");
            assert!(error.contains(&format!("line {first} ")) && error.contains(&format!("line {last};")), "{error}");
        };
        both(b"a\tb\n1\t\"open\n2\tx\n3\ty\n", 2, 5);
        both(b"a\tb\n0\t0\n1\t\"open\n2\tclosed\"\n3\ty\n", 3, 4);
        both(b"a\tb\r\n1\t\"open\r\n2\tx\r\n", 2, 4);
        both(b"a\t\"b\n1\t2\n", 1, 3);
        let table = Table::parse(b"a\tb\n1\tin 5\" of\n2\t\"a\tb\"\n").expect("whole lines");
        assert_eq!(table.rows.iter().map(|row| row.cells[1].as_str()).collect::<Vec<_>>(), ["in 5\" of", "a\tb"]);
    }

    #[test]
    fn rows_without_content_at_the_end_are_left_out() {
        let table = Table::parse(b"a\tb\n\t\n1\t2\n\t\n \t\n").expect("read");
        assert_eq!(table.rows.iter().map(|row| row.number).collect::<Vec<_>>(), [2, 3], "in between they are somebody's fault");
    }

    #[test]
    fn faults_name_their_line() {
        assert!(Table::parse(b"a\tb\n1\t2\n1,2\n").expect_err("a short row").contains("line 3 has 1 cells"));
        assert!(Table::parse(b"a\tb\r\n1\t2\r\n1\r\n").expect_err("a short row").contains("line 3 has 1 cells"));
        assert!(Table::parse(b"a\tb\r\n1\t\xff\r\n").expect_err("not UTF-8").contains("line 2 is not UTF-8"));
        assert!(Table::parse(b"").is_err());
        let mut table = Table::new(&["a", "b"]);
        table.push(vec!["1".to_string()]);
        assert!(table.to_bytes().is_err());
    }
}
