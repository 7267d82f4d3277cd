//! Items that stay on the device, so that each goes there once.

use crate::loader::Items;
use std::collections::HashMap;
use std::sync::Arc;
use tch::Tensor;

/// By list and index; a list is told by its address, which is its own for as long as it is held here.
#[derive(Default)]
pub struct Kept(HashMap<*const (), (Arc<dyn Items>, HashMap<usize, Tensor>)>);

// SAFETY: the pointers are compared, never followed.
unsafe impl Send for Kept {}

fn address(list: &Arc<dyn Items>) -> *const () {
    Arc::as_ptr(list).cast()
}

impl Kept {
    pub fn has(&self, list: &Arc<dyn Items>, index: usize) -> bool {
        self.0.get(&address(list)).is_some_and(|(_, items)| items.contains_key(&index))
    }

    pub fn get(&self, list: &Arc<dyn Items>, index: usize) -> Option<Tensor> {
        self.0.get(&address(list))?.1.get(&index).map(Tensor::shallow_clone)
    }

    pub fn put(&mut self, list: &Arc<dyn Items>, index: usize, item: Tensor) {
        let (_, items) = self.0.entry(address(list)).or_insert_with(|| (Arc::clone(list), HashMap::new()));
        items.insert(index, item);
    }
}
