//! Rows of a tab-separated table, cell by cell.

use crate::store::formats::tsv::push_repr;

/// Rows in memory, to which writing cannot fail. Cells have quotes if they need them.
pub struct Cells {
    writer: csv::Writer<Vec<u8>>,
    number: String,
}

impl Cells {
    pub fn new() -> Self {
        let writer = csv::WriterBuilder::new().delimiter(b'\t').from_writer(Vec::new());
        Cells { writer, number: String::new() }
    }

    pub fn push(&mut self, cell: &str) {
        let _ = self.writer.write_field(cell);
    }

    /// A number as Python writes it; an empty cell without one.
    pub fn push_number(&mut self, number: Option<f64>) {
        self.number.clear();
        if let Some(number) = number {
            push_repr(&mut self.number, number);
        }
        let _ = self.writer.write_field(&self.number);
    }

    pub fn end_row(&mut self) {
        let _ = self.writer.write_record(None::<&[u8]>);
    }

    /// All rows, each with its line feed.
    pub fn into_text(self) -> String {
        let bytes = self.writer.into_inner().unwrap_or_default();
        String::from_utf8(bytes).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_reads_back_as_its_cells_whatever_they_hold() {
        let cells = ["plain", "", "a\tb", "say \"x\"", "two\nlines", "\r", "é"];
        let mut row = Cells::new();
        cells.iter().for_each(|cell| row.push(cell));
        row.push_number(Some(1e-5));
        row.push_number(None);
        row.end_row();
        let text = row.into_text();
        let mut reader = csv::ReaderBuilder::new().delimiter(b'\t').has_headers(false).from_reader(text.as_bytes());
        let record = reader.records().next().expect("a row").expect("readable");
        assert_eq!(record.iter().collect::<Vec<_>>(), [&cells[..], &["1e-05", ""]].concat());
    }
}
