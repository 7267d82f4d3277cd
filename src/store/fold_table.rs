//! A reader of the small tables of figures of a fold, of which an analysis reads thousands: each thread keeps one with its buffers.

use super::below::Place;
use super::error::StoreError;
use super::open;
use std::cell::RefCell;
use std::ops::Range;
use std::path::Path;

/// No table of a fold is larger: a row is about a hundred bytes, and an epoch of inner evaluations has some hundred rows.
const LARGEST: u64 = 1 << 28;
/// A buffer that one huge table left behind is given back.
const KEPT: usize = 1 << 20;

thread_local! {
    static ROWS: RefCell<Rows> = RefCell::default();
}

/// The rows of one table, after its header. Lines end in LF or CR LF, empty ones do not count; cells are figures between tabs,
/// of which none is ever quoted.
#[derive(Default)]
pub struct Rows {
    text: String,
    /// Where the line after this row begins.
    next: usize,
    header: Cells,
    row: Cells,
}

/// Where the cells of a line begin and end.
#[derive(Default)]
struct Cells(Vec<Range<usize>>);

impl Cells {
    /// Takes the first line with anything in it from `at`, and gives the place after it; none at the end.
    fn take(&mut self, text: &str, mut at: usize) -> Option<usize> {
        while at < text.len() {
            let next = self.line(text, at);
            if !matches!(self.0.as_slice(), [only] if only.is_empty()) {
                return Some(next);
            }
            at = next;
        }
        self.0.clear();
        None
    }

    /// Takes the line from `begin`, and gives the place after it. Byte by byte, for the cells are shorter than the start of any
    /// quicker search.
    fn line(&mut self, text: &str, begin: usize) -> usize {
        self.0.clear();
        let mut cell = begin;
        for (offset, byte) in text.as_bytes()[begin..].iter().enumerate() {
            let at = begin + offset;
            if *byte == b'\t' {
                self.0.push(cell..at);
                cell = at + 1;
            } else if *byte == b'\n' {
                self.0.push(cell..at - usize::from(text[cell..at].ends_with('\r')));
                return at + 1;
            }
        }
        self.0.push(cell..text.len());
        text.len()
    }
}

impl Rows {
    /// Goes before the first row of what `fill` puts in place of the last table. The outer error is of the file.
    fn start(&mut self, fill: impl FnOnce(&mut Vec<u8>) -> Result<(), StoreError>) -> Result<Result<(), String>, StoreError> {
        let mut bytes = std::mem::take(&mut self.text).into_bytes();
        bytes.clear();
        bytes.shrink_to(KEPT);
        fill(&mut bytes)?;
        let Ok(text) = String::from_utf8(bytes) else { return Ok(Err("not UTF-8 text".to_string())) };
        self.text = text;
        self.row.0.clear();
        self.next = self.header.take(&self.text, 0).unwrap_or(self.text.len());
        Ok(Ok(()))
    }

    /// The place of the column `name`.
    pub fn column(&self, name: &str) -> Option<usize> {
        self.header.0.iter().position(|cell| &self.text[cell.clone()] == name)
    }

    /// Goes to the next row; false after the last.
    pub fn advance(&mut self) -> bool {
        let next = self.row.take(&self.text, self.next);
        self.next = next.unwrap_or(self.text.len());
        next.is_some()
    }

    /// The number in a column of this row; none where there is none.
    pub fn number(&self, column: usize) -> Option<f64> {
        self.text[self.row.0.get(column)?.clone()].trim_ascii().parse().ok()
    }
}

/// What `read` makes of the table in the file `place`.
///
/// # Errors
/// The file cannot be read, or `read` gives a clause that says what is wrong with it.
pub fn read<T>(place: &(impl Place + ?Sized), read: impl FnOnce(&mut Rows) -> Result<T, String>) -> Result<T, StoreError> {
    let larger = "larger than 256 MiB, which no table of a fold is";
    table(place.path(), |bytes| open::bytes_into(place, LARGEST, larger, bytes), read)
}

fn table<T>(
    path: &Path,
    fill: impl FnOnce(&mut Vec<u8>) -> Result<(), StoreError>,
    read: impl FnOnce(&mut Rows) -> Result<T, String>,
) -> Result<T, StoreError> {
    ROWS.with_borrow_mut(|rows| {
        rows.start(fill)?.and_then(|()| read(rows)).map_err(|sentence| StoreError::content(path, sentence))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(text: &str) -> Vec<Option<f64>> {
        let fill = |bytes: &mut Vec<u8>| {
            bytes.extend_from_slice(text.as_bytes());
            Ok(())
        };
        let all = |rows: &mut Rows| {
            let Some(column) = rows.column("b") else { return Err("no b".to_string()) };
            let mut found = Vec::new();
            while rows.advance() {
                found.push(rows.number(column));
            }
            Ok(found)
        };
        table(Path::new("a.tsv"), fill, all).unwrap_or_default()
    }

    #[test]
    fn each_table_is_read_from_its_own_header_whatever_came_before() {
        assert_eq!(numbers("a\tb\n1\t2\n3\t4.5\n"), [Some(2.0), Some(4.5)]);
        assert_eq!(numbers("b\n7\n"), [Some(7.0)]);
        assert_eq!(numbers(""), []);
        assert_eq!(numbers("a\n1\n"), []);
        assert_eq!(numbers("b\ta\n\t1\nx\t1\n-1e-5\n"), [None, None, Some(-1e-5)]);
        assert_eq!(numbers("\n\na\tb\r\n\r\n1\t2\r\n1\n\n1\t 3 \t4"), [Some(2.0), None, Some(3.0)]);
    }
}
