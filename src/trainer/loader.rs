//! Loads items ahead of the computation, by workers whose number changes nothing in what is loaded.

use crate::augment;
use crate::stop::Stop;
use neurosearch::domain::job::FailureClass;
use neurosearch::domain::options::Augmentation;
use neurosearch::domain::seed;
use neurosearch::store::error::StoreError;
use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use tch::{Device, Kind, Tensor};

/// A list of items of one shape.
pub trait Items: Send + Sync {
    /// Channels, then two or three sizes.
    fn shape(&self) -> &[usize];
    /// Puts item `index` into `voxels`, in C order, ready but for augmentation.
    fn read(&self, index: usize, voxels: &mut Vec<f32>) -> Result<(), StoreError>;
}

/// Transforms for the items of one epoch, each from a stream of its own.
#[derive(Debug, Clone)]
pub struct Augmenting {
    pub kinds: Arc<[Augmentation]>,
    pub seed: u64,
    /// Fold, network and epoch; the position in the order comes last.
    pub at: [u64; 3],
}

/// A stretch of work: items in order, in batches of which the last may be short.
pub struct Section {
    pub items: Arc<dyn Items>,
    pub order: Vec<usize>,
    /// Place of the first of them in its epoch, from which the streams of augmentation count.
    pub first_position: usize,
    pub batch: usize,
    pub augment: Option<Augmenting>,
}

impl Section {
    /// Reads and transforms the item at `position` of the order.
    fn load(&self, position: usize, voxels: &mut Vec<f32>) -> Result<(), StoreError> {
        self.items.read(self.order[position], voxels)?;
        if let Some(Augmenting { kinds, seed, at: [fold, network, epoch] }) = &self.augment {
            let mut stream = seed::stream(*seed, "augment", &[*fold, *network, *epoch, (self.first_position + position) as u64]);
            augment::apply(kinds, voxels, self.items.shape(), &mut stream);
        }
        Ok(())
    }
}

/// A section that was queued, and how far it has been taken.
pub struct Batches {
    section: Arc<Section>,
    first_ticket: u64,
    taken: usize,
}

/// Some items of a section.
#[derive(Debug)]
pub struct Batch {
    /// N x the items' shape, f32, on the CPU.
    pub voxels: Tensor,
    /// Which items of the list these are.
    pub indices: Vec<usize>,
}

type Loaded = Result<Vec<f32>, Stop>;

/// What the workers and the consumer share. A ticket is an item's place in everything that was ever queued.
struct Shared {
    queue: VecDeque<Arc<Section>>,
    /// Position of the next item to load in the first section of the queue, and its ticket.
    position: usize,
    next_ticket: u64,
    /// Ticket of the next item queued, and of the next to be consumed.
    last_ticket: u64,
    consumed: u64,
    /// How many items may be loaded ahead of the consumer.
    window: u64,
    done: BTreeMap<u64, Loaded>,
    spare: Vec<Vec<f32>>,
    closed: bool,
}

struct Exchange {
    shared: Mutex<Shared>,
    work: Condvar,
    ready: Condvar,
}

impl Exchange {
    /// The shared state; a worker that panicked left it whole, since items are loaded outside the lock.
    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The workers of a job. Without workers, items are loaded by the thread that asks for them.
pub struct Loader {
    exchange: Arc<Exchange>,
    workers: Vec<JoinHandle<()>>,
}

impl Loader {
    /// Starts `workers` threads; at most two batches of the largest queued batch size are held in memory.
    pub fn start(workers: usize) -> Result<Self, Stop> {
        let shared = Shared {
            queue: VecDeque::new(),
            position: 0,
            next_ticket: 0,
            last_ticket: 0,
            consumed: 0,
            window: 0,
            done: BTreeMap::new(),
            spare: Vec::new(),
            closed: false,
        };
        let exchange = Arc::new(Exchange { shared: Mutex::new(shared), work: Condvar::new(), ready: Condvar::new() });
        let mut loader = Loader { exchange, workers: Vec::new() };
        for index in 0..workers {
            let exchange = Arc::clone(&loader.exchange);
            let thread = std::thread::Builder::new().name(format!("loader-{index}")).spawn(move || work(&exchange));
            let fail =
                |e| Stop::failed(FailureClass::BadOptions, format!("nproc: cannot start worker {index} of {workers}: {e}"));
            loader.workers.push(thread.map_err(fail)?);
        }
        Ok(loader)
    }

    /// Appends a section to the work. Sections must be taken whole and in the order in which they were queued.
    pub fn queue(&self, section: Section) -> Batches {
        let section = Arc::new(section);
        let mut shared = self.exchange.lock();
        let first_ticket = shared.last_ticket;
        if !self.workers.is_empty() {
            shared.last_ticket += section.order.len() as u64;
            shared.window = shared.window.max(2 * section.batch as u64);
            shared.queue.push_back(Arc::clone(&section));
            self.exchange.work.notify_all();
        }
        Batches { section, first_ticket, taken: 0 }
    }

    /// The next batch; none at the section's end.
    pub fn next(&self, batches: &mut Batches) -> Result<Option<Batch>, Stop> {
        let section = Arc::clone(&batches.section);
        let from = batches.taken;
        let indices: Vec<usize> = section.order.iter().skip(from).take(section.batch).copied().collect();
        if indices.is_empty() {
            return Ok(None);
        }
        let shape: Vec<i64> = [indices.len()].iter().chain(section.items.shape()).map(|size| *size as i64).collect();
        let mut voxels = Tensor::f_empty(&shape, (Kind::Float, Device::Cpu))?;
        let length = section.items.shape().iter().product();
        for (offset, target) in values(&mut voxels).chunks_exact_mut(length).enumerate() {
            let item = self.item(&section, from + offset, batches.first_ticket)?;
            if item.len() != length {
                let sentence = format!("an item has {} voxels where {length} were expected", item.len());
                return Err(Stop::failed(FailureClass::BadData, sentence));
            }
            target.copy_from_slice(&item);
            self.exchange.lock().spare.push(item);
        }
        batches.taken += indices.len();
        Ok(Some(Batch { voxels, indices }))
    }

    /// One item, from the workers or loaded here.
    fn item(&self, section: &Section, position: usize, first_ticket: u64) -> Loaded {
        if self.workers.is_empty() {
            let mut voxels = self.exchange.lock().spare.pop().unwrap_or_default();
            return section.load(position, &mut voxels).map(|()| voxels).map_err(|e| Stop::input(&e));
        }
        let ticket = first_ticket + position as u64;
        let mut shared = self.exchange.lock();
        loop {
            if let Some(loaded) = shared.done.remove(&ticket) {
                shared.consumed = ticket + 1;
                self.exchange.work.notify_all();
                return loaded;
            }
            shared = self.exchange.ready.wait(shared).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Forgets everything queued: nothing of it will be asked for.
    pub fn clear(&self) {
        let mut shared = self.exchange.lock();
        shared.queue.clear();
        shared.position = 0;
        shared.done.clear();
        shared.next_ticket = shared.last_ticket;
        shared.consumed = shared.last_ticket;
        shared.window = 0;
    }
}

impl Drop for Loader {
    fn drop(&mut self) {
        self.exchange.lock().closed = true;
        self.exchange.work.notify_all();
        for worker in self.workers.drain(..) {
            // A worker catches its panics, and one that did not has nothing more to say here.
            let _ = worker.join();
        }
    }
}

/// The values of a contiguous f32 tensor on the CPU that nobody else holds.
fn values(tensor: &mut Tensor) -> &mut [f32] {
    debug_assert!(tensor.is_contiguous() && tensor.kind() == Kind::Float && tensor.device() == Device::Cpu);
    // SAFETY: the tensor was made by `empty` as contiguous f32 on the CPU, has `numel` values there, and the borrow lasts as
    // long as the exclusive borrow of its only handle.
    unsafe { std::slice::from_raw_parts_mut(tensor.data_ptr().cast::<f32>(), tensor.numel()) }
}

/// Takes tickets and loads their items until the loader is dropped.
fn work(exchange: &Exchange) {
    while let Some((ticket, section, position, mut voxels)) = take(exchange) {
        let loaded = match catch_unwind(AssertUnwindSafe(|| section.load(position, &mut voxels))) {
            Ok(Ok(())) => Ok(voxels),
            Ok(Err(error)) => Err(Stop::input(&error)),
            Err(_) => Err(Stop::failed(FailureClass::Crashed, "a loading worker panicked; the attempt's log says where")),
        };
        let mut shared = exchange.lock();
        if ticket >= shared.consumed {
            shared.done.insert(ticket, loaded);
            exchange.ready.notify_all();
        }
    }
}

/// The next item to load, with its ticket and a buffer; waits while there is none. None once the loader is dropped.
fn take(exchange: &Exchange) -> Option<(u64, Arc<Section>, usize, Vec<f32>)> {
    let mut shared = exchange.lock();
    loop {
        if shared.closed {
            return None;
        }
        while shared.queue.front().is_some_and(|section| shared.position >= section.order.len()) {
            shared.queue.pop_front();
            shared.position = 0;
        }
        if shared.next_ticket < shared.consumed + shared.window
            && let Some(section) = shared.queue.front().map(Arc::clone)
        {
            let (ticket, position) = (shared.next_ticket, shared.position);
            shared.next_ticket += 1;
            shared.position += 1;
            return Some((ticket, section, position, shared.spare.pop().unwrap_or_default()));
        }
        shared = exchange.work.wait(shared).unwrap_or_else(PoisonError::into_inner);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// Items whose voxels are their index; item 13 may be missing.
    struct Numbers {
        shape: Vec<usize>,
        missing: bool,
        read: AtomicUsize,
    }

    impl Items for Numbers {
        fn shape(&self) -> &[usize] {
            &self.shape
        }
        fn read(&self, index: usize, voxels: &mut Vec<f32>) -> Result<(), StoreError> {
            self.read.fetch_add(1, Ordering::Relaxed);
            if self.missing && index == 13 {
                return Err(StoreError::content(Path::new("thirteen.nii.gz"), "is missing"));
            }
            voxels.clear();
            voxels.resize(self.shape.iter().product(), index as f32);
            Ok(())
        }
    }

    fn numbers(missing: bool) -> Arc<Numbers> {
        Arc::new(Numbers { shape: vec![1, 2, 3], missing, read: AtomicUsize::new(0) })
    }

    fn section(items: &Arc<Numbers>, order: Vec<usize>, batch: usize, augment: bool) -> Section {
        let kinds = Arc::from([Augmentation::Noise, Augmentation::CropPad]);
        let augment = augment.then_some(Augmenting { kinds, seed: 1, at: [0, 0, 2] });
        Section { items: Arc::clone(items) as Arc<dyn Items>, order, first_position: 0, batch, augment }
    }

    fn all(loader: &Loader, batches: &mut Batches) -> Vec<Vec<f32>> {
        let mut found = Vec::new();
        while let Some(batch) = loader.next(batches).expect("loaded") {
            assert_eq!(batch.voxels.size(), [batch.indices.len() as i64, 1, 2, 3]);
            found.push(Vec::<f32>::try_from(batch.voxels.flatten(0, -1)).expect("values"));
        }
        found
    }

    #[test]
    fn what_is_loaded_does_not_depend_on_the_number_of_workers() {
        let run = |workers| {
            let loader = Loader::start(workers).expect("started");
            let items = numbers(false);
            let mut first = loader.queue(section(&items, (0..50).rev().collect(), 4, true));
            let mut second = loader.queue(section(&items, (0..10).collect(), 3, false));
            (all(&loader, &mut first), all(&loader, &mut second))
        };
        let alone = run(0);
        assert_eq!(alone.0.iter().map(Vec::len).collect::<Vec<_>>().last(), Some(&12), "the last batch is short");
        assert_eq!(alone.1[3], [9.0; 6]);
        for workers in [1, 2, 7] {
            assert_eq!(run(workers), alone, "{workers} workers");
        }
    }

    #[test]
    fn an_item_that_cannot_be_read_is_an_error_at_its_place_that_names_the_file() {
        for workers in [0, 3] {
            let loader = Loader::start(workers).expect("started");
            let mut batches = loader.queue(section(&numbers(true), (0..20).collect(), 5, false));
            for _ in 0..2 {
                assert!(loader.next(&mut batches).expect("loaded").is_some());
            }
            match loader.next(&mut batches) {
                Err(Stop::Failed(failure)) => {
                    assert_eq!(failure.class, FailureClass::BadData);
                    assert!(failure.sentence.contains("thirteen.nii.gz"), "{failure}");
                }
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn no_more_than_two_batches_are_loaded_ahead() {
        let loader = Loader::start(2).expect("started");
        let items = numbers(false);
        let mut batches = loader.queue(section(&items, (0..100).collect(), 4, false));
        assert!(loader.next(&mut batches).expect("loaded").is_some());
        drop(loader);
        assert!(items.read.load(Ordering::Relaxed) <= 4 + 8, "{items}", items = items.read.load(Ordering::Relaxed));
    }

    #[test]
    fn work_that_is_cleared_never_turns_up_in_what_is_queued_later() {
        let loader = Loader::start(3).expect("started");
        let items = numbers(false);
        for _ in 0..20 {
            let mut dropped = loader.queue(section(&items, (0..100).collect(), 4, false));
            assert!(loader.next(&mut dropped).expect("loaded").is_some());
            loader.clear();
            let mut kept = loader.queue(section(&items, (200..203).collect(), 2, false));
            assert_eq!(all(&loader, &mut kept), [[[200.0; 6], [201.0; 6]].concat(), [202.0; 6].to_vec()]);
        }
    }
}
