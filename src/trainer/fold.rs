//! One fold: its networks one after the other, each from its checkpoint where there is one, then the fold's results.

use super::data::dataset::{Dataset, Items, Sets};
use super::data::gpu_feed;
use super::failure::TrainingFailure;
use super::model::network::Network;
use super::network_seeds::NetworkPlace;
use super::results::checkpoint::{self, Checkpoint};
use super::results::checkpoint_stamp::{self, CheckpointPlace, CheckpointStamp};
use super::results::classification_tables::{self, JudgedNetwork};
use super::session::Session;
use super::stderr::note;
use super::stop::{self, TrainingStop};
use super::training::Training;
use super::training_state::TrainingState;
use super::{device, reconstructions};
use neurosearch::domain::job::FailureClass;
use neurosearch::domain::network::architecture::Architecture;
use neurosearch::domain::network::footprint::Footprint;
use neurosearch::domain::options::JobOptions;
use neurosearch::domain::progress::Phase;
use neurosearch::domain::words::{NetworkType, Normalization};
use neurosearch::store::data::labels;
use neurosearch::store::fs::{atomic, open};
use neurosearch::store::records::layout::FoldDir;
use neurosearch::store::records::{finished_folds, fold_record};
use std::sync::Arc;

/// Trains fold `index` and writes its results.
pub fn run(job: &mut Session, index: u32) -> Result<(), TrainingStop> {
    let folder = job.dir.fold(index);
    for path in [folder.path(), folder.private()] {
        atomic::make_below(job.dir.path(), path).map_err(|e| TrainingStop::output(&e))?;
    }
    make_way(&folder)?;
    job.control.begin(index, None);
    job.control.enter(Phase::Loading);
    let labels = job.rights.read(|| labels::read_fold(&job.options, index)).map_err(|e| TrainingStop::input(&e))?;
    job.stamp.rows = checkpoint_stamp::of_rows(&labels);
    let rows = [Arc::new(labels.train), Arc::new(labels.validation)];
    let saved = checkpoint::numbers(&folder).map_err(|e| TrainingStop::output(&e))?;
    let positions = job.positions();
    let networks = positions.len();
    for number in checkpoint::beyond(&saved, networks, job.options.epochs) {
        note(format_args!("checkpoint {number} of {} is not used: it is of other options", folder.path().display()));
    }
    let mut judged = Vec::new();
    for (position, items) in positions {
        job.control.begin(index, position.map(|position| (position as u32, networks as u32)));
        let [train, validation] =
            rows.each_ref().map(|rows| Arc::new(Dataset::new(Arc::clone(&job.reader), Arc::clone(rows), items.clone())));
        let sets = Sets { train, validation };
        let which = NetworkPlace { fold: index, position };
        let checkpoint = latest(job, &folder, which, &saved, &sets)?;
        let course = course(job, which, &sets, checkpoint)?;
        if job.options.network_type == NetworkType::Autoencoder {
            reconstruct_best(job, &folder, &sets, &course)?;
        } else {
            let said = course.best.iter().map(|(selection, best)| (*selection, [best.train.clone(), best.validation.clone()]));
            judged.push(JudgedNetwork { position, said: said.collect(), sets });
        }
    }
    job.control.enter(Phase::Writing);
    if !judged.is_empty() {
        classification_tables::write(&folder, &job.options, job.reader.items_per_image(), &judged)?;
    }
    conclude(&folder, &job.options)
}

/// Results of which a part is gone, or another's, make way for new ones, which are put in their place whole.
fn make_way(folder: &FoldDir) -> Result<(), TrainingStop> {
    let mut places = [folder.record(), folder.classification(), folder.reconstruction()].into_iter();
    places.try_for_each(|place| atomic::remove(&place)).map_err(|e| TrainingStop::output(&e))
}

/// Takes a finished fold's results for good: they are recorded, and what they came from goes. Also after an attempt that was
/// killed in between.
pub fn conclude(folder: &FoldDir, options: &JobOptions) -> Result<(), TrainingStop> {
    let has_checkpoints = open::directory(folder.private()).is_ok();
    if has_checkpoints && !fold_record::is_there(folder).unwrap_or(true) {
        fold_record::write(folder, options).map_err(|e| TrainingStop::output(&e))?;
    }
    atomic::remove(folder.private()).map_err(|e| TrainingStop::output(&e))
}

/// Takes up anew a finished fold whose results are not those that were recorded, such as another network's under its name.
pub fn hold_to_record(folder: &FoldDir, options: &JobOptions) -> Result<(), TrainingStop> {
    if !finished_folds::is_finished(folder, options) {
        return Ok(());
    }
    match fold_record::changed(folder, options) {
        Ok(None) => Ok(()),
        Ok(Some(file)) => {
            let path = folder.path().display();
            note(format_args!("{path} is trained anew: {} is not what was there when it was finished", file.display()));
            make_way(folder)
        }
        // The results are all there, and nothing is known against them.
        Err(error) if error.is_of_the_file() || stop::is_lost(&error) => {
            note(format_args!("{} is not held against its record: {error}", folder.path().display()));
            Ok(())
        }
        Err(error) => Err(TrainingStop::own(&error, TrainingFailure::new(FailureClass::Crashed, error.to_string()))),
    }
}

/// The network's training to its end, or as its last checkpoint has it where it ended there.
fn course(
    job: &mut Session,
    which: NetworkPlace,
    sets: &Sets,
    checkpoint: Option<Checkpoint>,
) -> Result<TrainingState, TrainingStop> {
    match checkpoint {
        Some(checkpoint) if checkpoint.course.finished => {
            let folder = job.dir.fold(which.fold);
            job.control.progress.checkpoints = job.control.progress.checkpoints.max(checkpoint.count);
            super::results::fold_files::Published::restore(&folder, which.position, job.task(), &job.host, &checkpoint.course)?;
            Ok(checkpoint.course)
        }
        checkpoint => {
            let network = network(job, sets)?;
            keep_what_fits(job, sets)?;
            Training::new(job, which, sets.clone(), network, checkpoint)?.run()
        }
    }
}

/// Sets that fit a GPU beside the training go there once, rather than once an epoch.
fn keep_what_fits(job: &mut Session, sets: &Sets) -> Result<(), TrainingStop> {
    let options = &job.options;
    let training = Footprint::of(&job.architecture(sets.train.shape())?, options.network_type, options.batch_size).peak_bytes;
    let voxels = sets.train.shape().iter().product::<usize>() * (sets.train.len() + sets.validation.len());
    job.loader.keep(device::has_room(gpu_feed::free_memory(job.device), training, (voxels * size_of::<f32>()) as u64));
    Ok(())
}

/// A network for the items of these sets, its weights not yet drawn.
fn network(job: &Session, sets: &Sets) -> Result<Network, TrainingStop> {
    let architecture = job.architecture(sets.train.shape())?;
    single_value(&architecture, sets.train.len(), job.options.batch_size)?;
    let network = Network::of_type(job.options.network_type, &architecture, job.device)?;
    Ok(network.in_precision(job.stamp.precision))
}

/// A batch of one item with one voxel left has one value a channel, of which BatchNorm can take no variance.
fn single_value(architecture: &Architecture, items: usize, batch_size: usize) -> Result<(), TrainingStop> {
    let last_batch = if items.is_multiple_of(batch_size) { batch_size } else { items % batch_size };
    let values = architecture.fewest_normalized().map_or(usize::MAX, |voxels| voxels * last_batch.min(items));
    if architecture.normalization != Some(Normalization::Batch) || values > 1 {
        return Ok(());
    }
    let sentence = format!(
        "network_normalization: BatchNorm would see one value a channel in the last batch of {last_batch} of {items} items; \
         choose another batch_size (now {batch_size}) or fewer blocks"
    );
    Err(TrainingStop::failed(FailureClass::BadOptions, sentence))
}

fn reconstruct_best(job: &mut Session, folder: &FoldDir, sets: &Sets, course: &TrainingState) -> Result<(), TrainingStop> {
    job.control.enter(Phase::Writing);
    let network = network(job, sets)?;
    let items = job.reader.items_per_image();
    match course.best.values().next() {
        Some(best) => reconstructions::write(job, folder, sets, &network, best, items),
        None => Err(TrainingStop::failed(FailureClass::Crashed, "there is no best model after the last epoch")),
    }
}

/// The latest usable checkpoint of the network, of those in the fold's folder with these `numbers`. Read only when it is the
/// network's turn: a multicnn's finished ones together may not fit the memory.
fn latest(
    job: &mut Session,
    folder: &FoldDir,
    which: NetworkPlace,
    numbers: &[u32],
    sets: &Sets,
) -> Result<Option<Checkpoint>, TrainingStop> {
    let epochs = job.options.epochs;
    let own = numbers.iter().rev().filter(|number| checkpoint::network(**number, epochs) == which.position.unwrap_or(0));
    for number in own {
        let path = folder.checkpoint(*number);
        let place = checkpoint::place(which.fold, *number, epochs);
        let read = match Checkpoint::read(&path) {
            // One that cannot be read just now is not passed over: the next epoch's would take its place. One on a bad place of
            // the disk is lost, as a damaged one is, and training goes on from the one before it.
            Err(error) if !error.is_of_the_file() && !stop::is_lost(&error) => {
                return Err(TrainingStop::own(&error, TrainingFailure::new(FailureClass::Crashed, error.to_string())));
            }
            read => read.map_err(|error| error.to_string()),
        };
        match read.and_then(|checkpoint| usable(job, checkpoint, place, sets)) {
            Ok(checkpoint) => {
                job.use_threads(checkpoint.stamp.threads);
                job.use_precision(checkpoint.stamp.precision);
                return Ok(Some(checkpoint));
            }
            Err(why) => {
                note(format_args!("checkpoint {number} of {} is not used: {why}", folder.path().display()));
                // A file may be of use again, as where the options are changed back. A folder would be in the next one's way.
                if open::directory(&path).is_ok() {
                    atomic::remove(&path).map_err(|e| TrainingStop::output(&e))?;
                }
            }
        }
    }
    Ok(None)
}

/// The checkpoint, or why this job cannot go on from it.
fn usable(job: &Session, checkpoint: Checkpoint, place: CheckpointPlace, sets: &Sets) -> Result<Checkpoint, String> {
    let own = CheckpointStamp { place: Some(place), ..job.stamp.clone() };
    match checkpoint.stamp.strange_to(&own) {
        Some(why) => Err(why),
        None if checkpoint.course.epochs_done != place.epoch + 1 => {
            Err(format!("its name is that of epoch {}, but it has trained {} epochs", place.epoch, checkpoint.course.epochs_done))
        }
        None if !checkpoint.course.is_about([sets.train.len(), sets.validation.len()]) => {
            Err("its best models were not asked about these items".to_string())
        }
        None => Ok(checkpoint),
    }
}
