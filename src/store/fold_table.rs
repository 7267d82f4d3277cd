//! A reader of the small tables of a fold, made once for each thread: building one takes longer than reading a table.

use super::below::Place;
use super::error::StoreError;
use super::open;
use csv::{ByteRecord, Position};
use std::cell::RefCell;
use std::io::{Cursor, SeekFrom};
use std::path::Path;

/// No table of a fold is larger: a row is about a hundred bytes, and an epoch of inner evaluations has some hundred rows.
const LARGEST: u64 = 1 << 28;
/// A buffer that one huge table left behind is given back.
const KEPT: usize = 1 << 20;

thread_local! {
    static READER: RefCell<Rows> = RefCell::new(Rows::new());
}

/// The rows of one table, after its header.
pub struct Rows {
    reader: csv::Reader<Cursor<Vec<u8>>>,
    header: ByteRecord,
    row: ByteRecord,
}

impl Rows {
    fn new() -> Self {
        let reader = csv::ReaderBuilder::new().delimiter(b'\t').flexible(true).has_headers(false).from_reader(Cursor::default());
        Rows { reader, header: ByteRecord::new(), row: ByteRecord::new() }
    }

    /// Goes to the beginning of what `fill` puts in place of the last table.
    fn start(&mut self, fill: impl FnOnce(&mut Vec<u8>) -> Result<(), StoreError>) -> Result<(), StoreError> {
        let bytes = self.reader.get_mut().get_mut();
        bytes.clear();
        bytes.shrink_to(KEPT);
        fill(bytes)
    }

    fn read_header(&mut self) -> csv::Result<()> {
        self.reader.seek_raw(SeekFrom::Start(0), Position::new())?;
        self.reader.read_byte_record(&mut self.header)?;
        Ok(())
    }

    /// The place of the column `name`.
    pub fn column(&self, name: &str) -> Option<usize> {
        self.header.iter().position(|column| column == name.as_bytes())
    }

    /// Goes to the next row; false after the last.
    ///
    /// # Errors
    /// One clause.
    pub fn advance(&mut self) -> Result<bool, String> {
        self.reader.read_byte_record(&mut self.row).map_err(|e| e.to_string())
    }

    /// The number in a column of this row; none where there is none.
    pub fn number(&self, column: usize) -> Option<f64> {
        std::str::from_utf8(self.row.get(column)?).ok()?.trim().parse().ok()
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
    READER.with_borrow_mut(|rows| {
        rows.start(fill)?;
        let result = rows.read_header().map_err(|e| e.to_string()).and_then(|()| read(rows));
        result.map_err(|sentence| StoreError::content(path, sentence))
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
            while rows.advance()? {
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
    }
}
