//! A job from its options to its last fold: checks, opens device and data, and trains the folds that are not finished.

use super::assignment::TrainerAssignment;
use super::data::loader::Loader;
use super::failure::TrainingFailure;
use super::model::network::Network;
use super::model::transfer;
use super::reporter::{Interruption, Reporter};
use super::results::checkpoint_stamp::{self, CheckpointStamp};
use super::session::Session;
use super::stderr::note;
use super::stop::TrainingStop;
use super::{device, fold, records, shim};
use neurosearch::check;
use neurosearch::domain::job::FailureClass;
use neurosearch::domain::options::JobOptions;
use neurosearch::executor::local::memory;
use neurosearch::store::data::item_reader::ItemReader;
use neurosearch::store::data::labels;
use neurosearch::store::data::volumes::{Keeping, USUAL_BYTES};
use neurosearch::store::fs::rights::Rights;
use neurosearch::store::records::finished_folds;
use neurosearch::store::records::job_records::{read_options, write_commandline};
use neurosearch::store::records::layout::JobDir;
use neurosearch::store::system;
use std::sync::Arc;
use tch::Device;

/// Trains the job in `dir` as `assigned`, from where an earlier attempt left it.
pub fn run(dir: &JobDir, assigned: &TrainerAssignment, interruption: Interruption) -> Result<(), TrainingStop> {
    let options = options(dir, &assigned.rights)?;
    let device = device::choose(options.use_cpu, assigned.device.as_deref())?;
    let folds = options.folds.indices();
    let gpu = if device.is_cuda() { shim::first_gpu() } else { None };
    records::chosen(dir, assigned, gpu.as_ref(), device).map_err(|e| TrainingStop::output(&e))?;
    records::environment(dir, assigned, gpu.as_ref(), device).map_err(|e| TrainingStop::output(&e))?;
    let mut job = open(dir, assigned, interruption, options, device)?;
    folds.iter().try_for_each(|index| fold::hold_to_record(&dir.fold(*index), &job.options))?;
    try_sources(&mut job)?;
    for (done, index) in folds.iter().enumerate() {
        job.control.progress.folds_done = done as u32;
        let folder = dir.fold(*index);
        if finished_folds::is_finished(&folder, &job.options) {
            fold::conclude(&folder, &job.options)?;
            continue;
        }
        fold::run(&mut job, *index)?;
    }
    job.remark();
    job.control.conclude();
    Ok(())
}

/// Checks that every network still to be trained can start from its source, before hours go into the networks before it.
fn try_sources(job: &mut Session) -> Result<(), TrainingStop> {
    let options = Arc::clone(&job.options);
    let Some(transfer) = &options.transfer() else { return Ok(()) };
    for fold in finished_folds::missing(&job.dir, &options) {
        for (position, items) in job.positions() {
            let architecture = job.architecture(&job.reader.shape(items.start))?;
            let network = Network::of_type(options.network_type, &architecture, Device::Cpu)?;
            let weights = job.rights.read(|| transfer::load(transfer, fold, options.network_type, position))?;
            weights.apply(&network)?;
            if let Some(left) = weights.left_behind(&network) {
                note(format_args!("transfer_learning_path: {left}"));
            }
            job.control.check()?;
        }
    }
    Ok(())
}

/// The options, held against the data; an absent seed is drawn and recorded.
fn options(dir: &JobDir, rights: &Rights) -> Result<JobOptions, TrainingStop> {
    let bad = |sentence: String| TrainingStop::failed(FailureClass::BadOptions, sentence);
    let read = read_options(&dir.commandline());
    let (mut options, notices) =
        read.map_err(|e| TrainingStop::own(&e, TrainingFailure::new(FailureClass::BadOptions, e.to_string())))?;
    for notice in notices {
        note(format_args!("{}: {notice}", dir.commandline().display()));
    }
    let seedless = options.seed.is_none();
    if seedless {
        options.seed = Some(system::new_seed().map_err(bad)?);
    }
    let options = rights.read(|| check::job(&options)).map_err(|fault| match fault.passing {
        true => TrainingStop::Disk(format!("an input could not be read: {}", fault.sentence), fault.file),
        false => TrainingStop::failed(fault.class, fault.sentence),
    })?;
    if seedless {
        write_commandline(dir, &options).map_err(|e| TrainingStop::output(&e))?;
    }
    Ok(options)
}

fn open(
    dir: &JobDir,
    assigned: &TrainerAssignment,
    interruption: Interruption,
    options: JobOptions,
    device: Device,
) -> Result<Session, TrainingStop> {
    let folds = options.folds.indices();
    let mut control = Reporter::new(interruption, dir.clone(), folds.len() as u32, options.epochs);
    control.check()?;
    let first = folds.first().copied().unwrap_or(0);
    let labels = assigned.rights.read(|| labels::read_fold(&options, first)).map_err(|e| TrainingStop::input(&e))?;
    let no_image = || TrainingStop::failed(FailureClass::BadData, format!("fold {first} has no images"));
    let first = labels.train.first().or(labels.validation.first()).ok_or_else(no_image)?;
    let reader = ItemReader::open(&options, first, &keeping(assigned)).map_err(|e| TrainingStop::input(&e))?;
    let loader = Loader::start(options.nproc, device)?;
    let seed = options.seed.unwrap_or_default();
    let stamp = CheckpointStamp {
        options: checkpoint_stamp::of_options(&options),
        rows: String::new(),
        place: None,
        threads: assigned.threads,
        precision: assigned.precision,
    };
    device::use_threads(assigned.threads);
    device::use_precision(device, assigned.precision);
    let (options, reader) = (Arc::new(options), Arc::new(reader));
    let (dir, host, rights) = (dir.clone(), assigned.host.clone(), assigned.rights.clone());
    Ok(Session { dir, options, seed, device, stamp, reader, rights, loader, control, host })
}

/// Volumes that no cache takes stay in a quarter of the free memory, so that other trainers find some too.
fn keeping(assigned: &TrainerAssignment) -> Keeping {
    let quarter = memory::available().map_or(0, |bytes| usize::try_from(bytes / 4).unwrap_or(usize::MAX));
    Keeping { cache: assigned.cache.clone(), own_bytes: quarter.max(USUAL_BYTES), rights: assigned.rights.clone() }
}
