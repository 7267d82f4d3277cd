//! Tests of the loader: the same items whatever the workers, errors in their place, bounds, and what stays on the device.

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
    let kinds = Arc::from([Augmentation::CropPad, Augmentation::Noise]);
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
        let loader = Loader::start(workers, Device::Cpu).expect("started");
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
fn an_epoch_in_stretches_is_augmented_as_one_in_a_piece() {
    let (items, order) = (numbers(false), [7, 3, 3, 9, 1, 3]);
    let run = |stretches: &[(usize, usize)]| {
        let loader = Loader::start(2, Device::Cpu).expect("started");
        let queue = |&(from, to): &(usize, usize)| {
            let stretch = section(&items, order[from..to].to_vec(), 2, true);
            loader.queue(Section { first_position: from, ..stretch })
        };
        let mut queued: Vec<Batches> = stretches.iter().map(queue).collect();
        queued.iter_mut().flat_map(|batches| all(&loader, batches)).collect::<Vec<_>>()
    };
    let whole = run(&[(0, 6)]);
    assert_eq!(run(&[(0, 2), (2, 6)]), whole);
    assert_ne!(whole[0][6..], whole[1][..6], "the same item at another place is augmented differently");
}

#[test]
fn an_item_that_cannot_be_read_is_an_error_at_its_place_that_names_the_file() {
    for workers in [0, 3] {
        let loader = Loader::start(workers, Device::Cpu).expect("started");
        let mut batches = loader.queue(section(&numbers(true), (0..20).collect(), 5, false));
        for _ in 0..2 {
            assert!(loader.next(&mut batches).expect("loaded").is_some());
        }
        match loader.next(&mut batches) {
            Err(TrainingStop::Failed(failure)) => {
                assert_eq!(failure.class, FailureClass::BadData);
                assert!(failure.sentence.contains("thirteen.nii.gz"), "{failure}");
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn no_more_than_two_batches_are_loaded_ahead() {
    let loader = Loader::start(2, Device::Cpu).expect("started");
    let items = numbers(false);
    let mut batches = loader.queue(section(&items, (0..100).collect(), 4, false));
    assert!(loader.next(&mut batches).expect("loaded").is_some());
    drop(loader);
    assert!(items.read.load(Ordering::Relaxed) <= 4 + 8, "{items}", items = items.read.load(Ordering::Relaxed));
}

#[test]
fn work_that_is_cleared_never_turns_up_in_what_is_queued_later() {
    let loader = Loader::start(3, Device::Cpu).expect("started");
    let items = numbers(false);
    for _ in 0..20 {
        let mut dropped = loader.queue(section(&items, (0..100).collect(), 4, false));
        assert!(loader.next(&mut dropped).expect("loaded").is_some());
        loader.clear();
        let mut kept = loader.queue(section(&items, (200..203).collect(), 2, false));
        assert_eq!(all(&loader, &mut kept), [[[200.0; 6], [201.0; 6]].concat(), [202.0; 6].to_vec()]);
    }
}

#[test]
fn what_is_kept_on_the_device_is_read_once_and_gives_the_same_batches() {
    for workers in [0, 1, 3] {
        let mut loader = Loader::start(workers, Device::Cpu).expect("started");
        loader.keep(true);
        let items = numbers(false);
        // As two epochs do: shuffled for training, then in order for the evaluation, and again.
        for epoch in 0..2 {
            let shuffled: Vec<usize> = (0..20).map(|i| (i * 7 + epoch) % 20).collect();
            let mut training = loader.queue(section(&items, shuffled.clone(), 3, false));
            let mut evaluation = loader.queue(section(&items, (0..20).collect(), 3, false));
            assert_eq!([training.kept, evaluation.kept], [epoch > 0; 2], "the workers are not asked for what is there already");
            let expected = |order: &[usize]| order.iter().flat_map(|i| [*i as f32; 6]).collect::<Vec<_>>();
            assert_eq!(all(&loader, &mut training).concat(), expected(&shuffled), "{workers} workers");
            assert_eq!(all(&loader, &mut evaluation).concat(), expected(&(0..20).collect::<Vec<_>>()));
        }
        // Two batches may be on their way twice, where they were asked for again before they were kept.
        let read = items.read.load(Ordering::Relaxed);
        assert!((20..=26).contains(&read), "{read} reads with {workers} workers");
        loader.clear();
        let mut again = loader.queue(section(&items, vec![4], 3, false));
        assert_eq!(all(&loader, &mut again), [[4.0; 6]]);
        assert!(items.read.load(Ordering::Relaxed) > read, "what was cleared is read anew");
    }
}

#[test]
fn augmented_items_are_never_kept() {
    let mut loader = Loader::start(2, Device::Cpu).expect("started");
    let plainly = {
        let mut batches = loader.queue(section(&numbers(false), (0..10).collect(), 4, true));
        all(&loader, &mut batches)
    };
    loader.keep(true);
    let items = numbers(false);
    for _ in 0..2 {
        let mut batches = loader.queue(section(&items, (0..10).collect(), 4, true));
        assert_eq!(all(&loader, &mut batches), plainly);
    }
    assert_eq!(items.read.load(Ordering::Relaxed), 20);
}
