//! Items that stay on the device, so that each goes there once.

use super::dataset::Items;
use std::collections::HashMap;
use std::sync::Arc;
use tch::Tensor;

/// A list of items, held so that no other can have its address, and those of its items that are on the device.
struct HeldList {
    _held: Arc<dyn Items>,
    tensors: HashMap<usize, Tensor>,
}

/// By list, which is told by its address, and index.
#[derive(Default)]
pub struct DeviceCache(HashMap<usize, HeldList>);

fn address(list: &Arc<dyn Items>) -> usize {
    Arc::as_ptr(list).cast::<()>() as usize
}

impl DeviceCache {
    pub fn has(&self, list: &Arc<dyn Items>, index: usize) -> bool {
        self.0.get(&address(list)).is_some_and(|list| list.tensors.contains_key(&index))
    }

    pub fn get(&self, list: &Arc<dyn Items>, index: usize) -> Option<Tensor> {
        self.0.get(&address(list))?.tensors.get(&index).map(Tensor::shallow_clone)
    }

    pub fn put(&mut self, list: &Arc<dyn Items>, index: usize, item: Tensor) {
        let kept = || HeldList { _held: Arc::clone(list), tensors: HashMap::new() };
        self.0.entry(address(list)).or_insert_with(kept).tensors.insert(index, item);
    }
}
