//! The items of one set of a fold: rows of its label files, with all or one of each image's items.

use neurosearch::store::data::item_reader::ItemReader;
use neurosearch::store::data::labels::LabelRow;
use neurosearch::store::fs::error::StoreError;
use std::ops::Range;
use std::sync::Arc;

/// A list of items of one shape.
pub trait Items: Send + Sync {
    /// Channels, then two or three sizes.
    fn shape(&self) -> &[usize];
    /// Puts item `index` into `voxels`, in C order, ready but for augmentation.
    fn read(&self, index: usize, voxels: &mut Vec<f32>) -> Result<(), StoreError>;
}

/// The two sets of a fold, as one network sees them.
#[derive(Clone)]
pub struct Sets {
    pub train: Arc<Dataset>,
    pub validation: Arc<Dataset>,
}

/// Rows in the order of the files, the items of each ascending.
pub struct Dataset {
    reader: Arc<ItemReader>,
    rows: Arc<Vec<LabelRow>>,
    /// Which items of an image belong to it.
    items: Range<usize>,
    shape: Vec<usize>,
    classes: Vec<usize>,
}

impl Dataset {
    /// `items` is not empty, and its items have one shape.
    pub fn new(reader: Arc<ItemReader>, rows: Arc<Vec<LabelRow>>, items: Range<usize>) -> Self {
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
    pub fn place(&self, index: usize) -> (&LabelRow, usize) {
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
