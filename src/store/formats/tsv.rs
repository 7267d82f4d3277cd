//! Tab-separated tables with a header row, and numbers as Python's `repr` writes them.

use crate::store::fs::error::StoreError;
use crate::store::fs::owned_path::Place;
use crate::store::fs::{atomic, open};
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

    /// The table in the file `place`. A byte order mark is skipped, lines may end in CR LF.
    ///
    /// # Errors
    /// Names the file and the line: not UTF-8, a row of another length than the header's, a file without a header.
    pub fn read(place: &(impl Place + ?Sized)) -> Result<Table, StoreError> {
        let bytes = open::bytes(place, LARGEST, "larger than 1 GiB, which no table of this kind is")?;
        Table::parse(&bytes).map_err(|sentence| StoreError::content(place.path(), sentence))
    }

    /// As [`Table::read`], from memory. The error is one clause.
    pub fn parse(bytes: &[u8]) -> Result<Table, String> {
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let mut reader = csv::ReaderBuilder::new().delimiter(b'\t').from_reader(bytes);
        let header: Vec<String> = reader.headers().map_err(|e| sentence(&e))?.iter().map(str::to_string).collect();
        if header.is_empty() {
            return Err("empty; a table begins with the names of its columns".to_string());
        }
        let mut rows = Vec::new();
        for record in reader.records() {
            let record = record.map_err(|e| sentence(&e))?;
            let number = record.position().map_or(0, csv::Position::line);
            rows.push(TableLine { cells: record.iter().map(str::to_string).collect(), number });
        }
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

fn sentence(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::UnequalLengths { pos, expected_len, len } => {
            let line = pos.as_ref().map_or(0, csv::Position::line);
            format!("line {line} has {len} cells, the header has {expected_len}; cells are separated by tabs")
        }
        csv::ErrorKind::Utf8 { pos, .. } => {
            format!("line {} is not UTF-8; save the table as UTF-8", pos.as_ref().map_or(0, csv::Position::line))
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
    }

    #[test]
    fn faults_name_their_line() {
        assert!(Table::parse(b"a\tb\n1\t2\n1,2\n").expect_err("a short row").contains("line 3 has 1 cells"));
        assert!(Table::parse(b"a\tb\n1\t\xff\n").expect_err("not UTF-8").contains("line 2 is not UTF-8"));
        assert!(Table::parse(b"").is_err());
        let mut table = Table::new(&["a", "b"]);
        table.push(vec!["1".to_string()]);
        assert!(table.to_bytes().is_err());
    }
}
