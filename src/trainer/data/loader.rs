//! Loads items ahead of the computation, by workers whose number changes nothing in what is loaded, onto the device.

use super::augment;
use super::dataset::Items;
use super::device_cache::DeviceCache;
use super::gpu_feed::{self, Feed};
use crate::stop::TrainingStop;
use neurosearch::domain::job::FailureClass;
use neurosearch::domain::seed;
use neurosearch::domain::words::Augmentation;
use neurosearch::store::fs::error::StoreError;
use std::cell::Cell;
use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;
use tch::{Device, Kind, Tensor};

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
    /// Whether its items are as the list has them, so that they may be kept on the device.
    fn is_plain(&self) -> bool {
        self.augment.as_ref().is_none_or(|augment| augment.kinds.iter().all(|kind| *kind == Augmentation::None))
    }

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
    /// Whether every item was on the device already, and none was given to the workers.
    kept: bool,
}

impl Batches {
    /// Which items of the list are asked for, in order.
    pub fn order(&self) -> &[usize] {
        &self.section.order
    }
}

/// Some items of a section.
#[derive(Debug)]
pub struct Batch {
    /// N x the items' shape, f32, on the loader's device.
    pub voxels: Tensor,
    /// Which items of the list these are.
    pub indices: Vec<usize>,
}

/// An item's voxels, or None if the item is kept on the device.
type Loaded = Result<Option<Vec<f32>>, TrainingStop>;

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
    /// Items that are on the device already, and need no loading.
    kept: DeviceCache,
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
    device: Device,
    /// None on the CPU.
    feed: Option<Feed>,
    /// Whether items stay on the device once they are there.
    keeps: bool,
    /// Seconds that the computation waited for items.
    waited: Cell<f64>,
}

impl Loader {
    /// Starts `workers` threads that load for `device`; at most two batches of the largest queued batch size are held in memory.
    pub fn start(workers: usize, device: Device) -> Result<Self, TrainingStop> {
        let shared = Shared {
            queue: VecDeque::new(),
            position: 0,
            next_ticket: 0,
            last_ticket: 0,
            consumed: 0,
            window: 0,
            done: BTreeMap::new(),
            spare: Vec::new(),
            kept: DeviceCache::default(),
            closed: false,
        };
        let exchange = Arc::new(Exchange { shared: Mutex::new(shared), work: Condvar::new(), ready: Condvar::new() });
        let feed = Feed::to(device)?;
        let mut loader = Loader { exchange, workers: Vec::new(), device, feed, keeps: false, waited: Cell::new(0.0) };
        for index in 0..workers {
            let exchange = Arc::clone(&loader.exchange);
            let thread = std::thread::Builder::new().name(format!("loader-{index}")).spawn(move || work(&exchange));
            let fail = |e| {
                TrainingStop::failed(FailureClass::BadOptions, format!("nproc: cannot start worker {index} of {workers}: {e}"))
            };
            loader.workers.push(thread.map_err(fail)?);
        }
        Ok(loader)
    }

    /// Appends a section to the work. Sections must be taken whole and in the order in which they were queued.
    pub fn queue(&self, section: Section) -> Batches {
        let section = Arc::new(section);
        let mut shared = self.exchange.lock();
        let first_ticket = shared.last_ticket;
        let kept = self.keeps && section.is_plain() && section.order.iter().all(|index| shared.kept.has(&section.items, *index));
        if !kept && !self.workers.is_empty() {
            shared.last_ticket += section.order.len() as u64;
            shared.window = shared.window.max(2 * section.batch as u64);
            shared.queue.push_back(Arc::clone(&section));
            self.exchange.work.notify_all();
        }
        Batches { section, first_ticket, taken: 0, kept }
    }

    /// Keeps every item that is not augmented on the device from now on, or no longer.
    pub fn keep(&mut self, keeps: bool) {
        self.keeps = keeps;
    }

    /// Seconds that the computation stood still since its batch was not there: the GPU's, or this thread's.
    pub fn waited(&self) -> f64 {
        self.feed.as_ref().map_or(self.waited.get(), Feed::waited)
    }

    /// The next batch; none at the section's end. On a GPU it is copied while the step before it still computes.
    pub fn next(&self, batches: &mut Batches) -> Result<Option<Batch>, TrainingStop> {
        if let Some(feed) = &self.feed {
            feed.ended()?;
        }
        let section = Arc::clone(&batches.section);
        let from = batches.taken;
        let indices: Vec<usize> = section.order.iter().skip(from).take(section.batch).copied().collect();
        if indices.is_empty() {
            return Ok(None);
        }
        let tickets = (from..from + indices.len()).map(|position| (position, batches.first_ticket));
        let voxels = if self.keeps && section.is_plain() {
            let items = tickets.map(|(position, first)| self.keeping(&section, position, first, batches.kept));
            Tensor::f_cat(&items.collect::<Result<Vec<_>, _>>()?, 0)?
        } else {
            self.together(&section, &tickets.collect::<Vec<_>>())?
        };
        if let Some(feed) = &self.feed {
            feed.began(from > 0)?;
        }
        batches.taken += indices.len();
        Ok(Some(Batch { voxels, indices }))
    }

    /// Some items on the device, one after the other.
    fn together(&self, section: &Section, tickets: &[(usize, u64)]) -> Result<Tensor, TrainingStop> {
        let shape = section.items.shape();
        let size: Vec<i64> = [tickets.len()].iter().chain(shape).map(|size| *size as i64).collect();
        let mut voxels = gpu_feed::host_tensor(&size, self.device)?;
        let length = shape.iter().product();
        for (target, (position, first_ticket)) in values(&mut voxels).chunks_exact_mut(length).zip(tickets) {
            let lost = || TrainingStop::failed(FailureClass::Crashed, "an item that was kept on the device is there no longer");
            let item = self.item(section, *position, *first_ticket)?.ok_or_else(lost)?;
            if item.len() != length {
                let sentence = format!("an item has {} voxels where {length} were expected", item.len());
                return Err(TrainingStop::failed(FailureClass::BadData, sentence));
            }
            target.copy_from_slice(&item);
            self.exchange.lock().spare.push(item);
        }
        Ok(match &self.feed {
            Some(feed) => feed.copy(&voxels)?,
            None => voxels,
        })
    }

    /// One item as a batch of its own, which stays on the device; the workers know nothing of one that was `before` it was queued.
    fn keeping(&self, section: &Arc<Section>, position: usize, first_ticket: u64, before: bool) -> Result<Tensor, TrainingStop> {
        let index = section.order[position];
        let kept = self.exchange.lock().kept.get(&section.items, index);
        if let Some(tensor) = kept {
            if !before {
                // Taken from the workers as well, so that they go on; what they loaded before it was kept is dropped.
                self.item(section, position, first_ticket)?;
            }
            return Ok(tensor);
        }
        let tensor = self.together(section, &[(position, first_ticket)])?;
        self.exchange.lock().kept.put(&section.items, index, tensor.shallow_clone());
        Ok(tensor)
    }

    /// One item, from the workers or loaded here, or None if it is kept.
    fn item(&self, section: &Section, position: usize, first_ticket: u64) -> Loaded {
        let began = Instant::now();
        let item = self.fetch(section, position, first_ticket);
        self.waited.set(self.waited.get() + began.elapsed().as_secs_f64());
        item
    }

    fn fetch(&self, section: &Section, position: usize, first_ticket: u64) -> Loaded {
        if self.workers.is_empty() {
            let mut shared = self.exchange.lock();
            if self.keeps && section.is_plain() && shared.kept.has(&section.items, section.order[position]) {
                return Ok(None);
            }
            let mut voxels = shared.spare.pop().unwrap_or_default();
            drop(shared);
            return section.load(position, &mut voxels).map(|()| Some(voxels)).map_err(|e| TrainingStop::input(&e));
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

    /// Forgets everything queued and kept: nothing of it will be asked for.
    pub fn clear(&self) {
        let mut shared = self.exchange.lock();
        shared.kept = DeviceCache::default();
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
            Ok(Ok(())) => Ok(Some(voxels)),
            Ok(Err(error)) => Err(TrainingStop::input(&error)),
            Err(_) => Err(TrainingStop::failed(FailureClass::Crashed, "a loading worker panicked; the attempt's log says where")),
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
            if section.is_plain() && shared.kept.has(&section.items, section.order[position]) {
                shared.done.insert(ticket, Ok(None));
                exchange.ready.notify_all();
                continue;
            }
            return Some((ticket, section, position, shared.spare.pop().unwrap_or_default()));
        }
        shared = exchange.work.wait(shared).unwrap_or_else(PoisonError::into_inner);
    }
}

#[cfg(test)]
#[path = "loader_tests.rs"]
mod tests;
