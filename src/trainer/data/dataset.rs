//! The items of one set of a fold: rows of its label files, with all or one of each image's items.

use super::loader::Items;
use neurosearch::store::data::item_reader::ItemReader;
use neurosearch::store::data::labels::Row;
use neurosearch::store::fs::error::StoreError;
use std::ops::Range;
use std::sync::Arc;

/// Rows in the order of the files, the items of each ascending.
pub struct Dataset {
    reader: Arc<ItemReader>,
    rows: Arc<Vec<Row>>,
    /// Which items of an image belong to it.
    items: Range<usize>,
    shape: Vec<usize>,
    classes: Vec<usize>,
}

impl Dataset {
    /// `items` is not empty, and its items have one shape.
    pub fn new(reader: Arc<ItemReader>, rows: Arc<Vec<Row>>, items: Range<usize>) -> Self {
        let shape = reader.shape(items.start);
        let classes = rows.iter().flat_map(|row| std::iter::repeat_n(row.class, items.len())).collect();
        Dataset { reader, rows, items, shape, classes }
    }

    /// The true class of each item.
    pub fn classes(&self) -> &[usize] {
        &self.classes
    }

    pub fn len(&self) -> usize {
        self.classes.len()
    }

    /// The row of item `index`, and which item of the image it is.
    pub fn place(&self, index: usize) -> (&Row, usize) {
        (&self.rows[index / self.items.len()], self.items.start + index % self.items.len())
    }
}

impl Items for Dataset {
    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn read(&self, index: usize, voxels: &mut Vec<f32>) -> Result<(), StoreError> {
        let (row, item) = self.place(index);
        self.reader.read(row, item, voxels)
    }
}
