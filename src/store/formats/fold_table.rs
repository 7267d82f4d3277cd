//! A reader of the small tables of figures of a fold, of which an analysis reads thousands: each thread keeps one with its buffers.

use crate::store::fs::error::StoreError;
use crate::store::fs::open;
use crate::store::fs::owned_path::Place;
use std::cell::RefCell;
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
    header: CellEnds,
    row: CellEnds,
}

/// One line, as the ends of its cells in the text.
#[derive(Default)]
struct CellEnds {
    begin: usize,
    ends: Vec<usize>,
}

impl CellEnds {
    /// Takes the first line with anything in it from `at`, and gives the place after it; none at the end.
    fn take(&mut self, text: &str, mut at: usize) -> Option<usize> {
        while at < text.len() {
            let next = self.line(text.as_bytes(), at);
            if self.ends != [at] {
                return Some(next);
            }
            at = next;
        }
        self.ends.clear();
        None
    }

    /// Takes the line from `begin`, and gives the place after it.
    fn line(&mut self, text: &[u8], begin: usize) -> usize {
        self.begin = begin;
        self.ends.clear();
        let mut at = begin;
        loop {
            at = control(text, at);
            match text.get(at) {
                Some(b'\t') => self.ends.push(at),
                Some(b'\n') => {
                    let cell = self.ends.last().map_or(begin, |tab| tab + 1);
                    self.ends.push(at - usize::from(text[cell..at].ends_with(b"\r")));
                    return at + 1;
                }
                Some(_) => {}
                None => {
                    self.ends.push(at);
                    return at;
                }
            }
            at += 1;
        }
    }

    /// The cell in a column, or None if the line has fewer.
    fn cell<'a>(&self, text: &'a str, column: usize) -> Option<&'a str> {
        let end = *self.ends.get(column)?;
        let begin = column.checked_sub(1).map_or(self.begin, |before| self.ends[before] + 1);
        Some(&text[begin..end])
    }
}

/// The place of the first control character from `at`, or the text's end. It looks at eight bytes at a time, because a loop over
/// single bytes costs an analysis of all files 8 % more (docs/performance.md).
fn control(text: &[u8], mut at: usize) -> usize {
    while let Some(eight) = text.get(at..).and_then(|rest| rest.first_chunk()) {
        let word = u64::from_le_bytes(*eight);
        // A byte of 0x20 or more gets its highest bit from one of the two, and no sum is carried into the next byte.
        let others = ((word & 0x7f7f_7f7f_7f7f_7f7f) + 0x6060_6060_6060_6060) | word;
        let found = !others & 0x8080_8080_8080_8080;
        if found != 0 {
            return at + found.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    (at..text.len()).find(|place| text[*place] < 0x20).unwrap_or(text.len())
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
        self.row.ends.clear();
        self.next = self.header.take(&self.text, 0).unwrap_or(self.text.len());
        Ok(Ok(()))
    }

    /// The place of the column `name`.
    pub fn column(&self, name: &str) -> Option<usize> {
        (0..).map_while(|column| self.header.cell(&self.text, column)).position(|cell| cell == name)
    }

    /// Goes to the next row; false after the last.
    pub fn advance(&mut self) -> bool {
        let next = self.row.take(&self.text, self.next);
        self.next = next.unwrap_or(self.text.len());
        next.is_some()
    }

    /// The number in a column of this row, or None if there is none.
    pub fn number(&self, column: usize) -> Option<f64> {
        self.row.cell(&self.text, column)?.trim_ascii().parse().ok()
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
    fn cells_of_any_length_end_where_a_tab_or_a_line_feed_stands() {
        for length in 0..40 {
            let cell = "é\u{80}\u{1}~x".chars().cycle().take(length).collect::<String>();
            let text = format!("{cell}\t{cell}\tb\n{cell}\t\t7\n{cell}\t{cell}\t8");
            assert_eq!(numbers(&text), [Some(7.0), Some(8.0)], "{text:?}");
        }
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
