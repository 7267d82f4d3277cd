//! A job: its options checked, its device and data opened, its folds in order, finished ones skipped.

use super::assignment::Assigned;
use super::data::loader::Loader;
use super::evaluate::Task;
use super::failure::Failure;
use super::model::network::Network;
use super::model::transfer;
use super::reporter::{Control, Interruption};
use super::results::checkpoint_stamp::{self, Stamp};
use super::stderr::note;
use super::stop::Stop;
use super::training_state::Course;
use super::training_table::Figures;
use super::{device, fold, records, shim};
use neurosearch::check;
use neurosearch::domain::job::FailureClass;
use neurosearch::domain::network::architecture::Architecture;
use neurosearch::domain::network::precision::Precision;
use neurosearch::domain::options::{JobOptions, NetworkType};
use neurosearch::executor::local::memory;
use neurosearch::store::data::item_reader::ItemReader;
use neurosearch::store::data::labels;
use neurosearch::store::data::volumes::{Fetched, Keeping, USUAL_BYTES};
use neurosearch::store::fs::atomic;
use neurosearch::store::records::finished_folds;
use neurosearch::store::records::job_records::{read_options, write_commandline};
use neurosearch::store::records::layout::JobDir;
use rand::TryRngCore;
use rand::rngs::OsRng;
use std::ops::Range;
use std::sync::Arc;
use tch::Device;

/// Everything that the folds of a job share.
pub struct Job {
    pub dir: JobDir,
    pub options: Arc<JobOptions>,
    /// Of every random choice.
    pub seed: u64,
    pub device: Device,
    /// What a checkpoint must have to be used; its rows are those of the fold that is trained.
    pub stamp: Stamp,
    pub reader: Arc<ItemReader>,
    pub loader: Loader,
    pub control: Control,
    pub host: String,
}

/// Trains the job in `dir` as `assigned`, from where an earlier attempt left it.
pub fn run(dir: &JobDir, assigned: &Assigned, interruption: Interruption) -> Result<(), Stop> {
    let options = options(dir)?;
    let device = device::choose(options.use_cpu, assigned.device.as_deref())?;
    let folds = options.folds.indices();
    let gpu = if device.is_cuda() { shim::first_gpu() } else { None };
    records::chosen(dir, assigned, gpu.as_ref(), device).map_err(|e| Stop::output(&e))?;
    records::environment(dir, assigned, gpu.as_ref(), device).map_err(|e| Stop::output(&e))?;
    let mut job = open(dir, assigned, interruption, options, device)?;
    try_sources(&mut job)?;
    for (done, index) in folds.iter().enumerate() {
        job.control.progress.folds_done = done as u32;
        let folder = dir.fold(*index);
        if finished_folds::is_finished(&folder, &job.options) {
            // An attempt that was killed between its results and this has left its checkpoints.
            atomic::remove(folder.private()).map_err(|e| Stop::output(&e))?;
            continue;
        }
        fold::run(&mut job, *index)?;
    }
    job.remark();
    job.control.conclude();
    Ok(())
}

/// Whether every network that is still to be trained can start from its source: what does not fit is told before hours have
/// gone into the networks before it.
fn try_sources(job: &mut Job) -> Result<(), Stop> {
    let options = Arc::clone(&job.options);
    let Some(transfer) = &options.transfer() else { return Ok(()) };
    for fold in finished_folds::missing(&job.dir, &options) {
        for (position, items) in job.positions() {
            let architecture = job.architecture(&job.reader.shape(items.start))?;
            let network = Network::of_type(options.network_type, &architecture, Device::Cpu)?;
            let weights = transfer::load(transfer, fold, options.network_type, position)?;
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
fn options(dir: &JobDir) -> Result<JobOptions, Stop> {
    let bad = |sentence: String| Stop::failed(FailureClass::BadOptions, sentence);
    let read = read_options(&dir.commandline());
    let (mut options, notices) = read.map_err(|e| Stop::own(&e, Failure::new(FailureClass::BadOptions, e.to_string())))?;
    for notice in notices {
        note(format_args!("{}: {notice}", dir.commandline().display()));
    }
    let seedless = options.seed.is_none();
    if seedless {
        options.seed = Some(OsRng.try_next_u64().map_err(|e| bad(format!("cannot draw a seed: {e}")))?);
    }
    let options = check::job(&options).map_err(|fault| match fault.passing {
        true => Stop::Disk(format!("an input could not be read: {}", fault.sentence), fault.file),
        false => Stop::failed(fault.class, fault.sentence),
    })?;
    if seedless {
        write_commandline(dir, &options).map_err(|e| Stop::output(&e))?;
    }
    Ok(options)
}

fn open(dir: &JobDir, assigned: &Assigned, interruption: Interruption, options: JobOptions, device: Device) -> Result<Job, Stop> {
    let folds = options.folds.indices();
    let mut control = Control::new(interruption, dir.clone(), folds.len() as u32, options.epochs);
    control.check()?;
    let first = folds.first().copied().unwrap_or(0);
    let labels = labels::read_fold(&options, first).map_err(|e| Stop::input(&e))?;
    let no_image = || Stop::failed(FailureClass::BadData, format!("fold {first} has no images"));
    let first = labels.train.first().or(labels.validation.first()).ok_or_else(no_image)?;
    let reader = ItemReader::open(&options, first, &keeping(assigned)).map_err(|e| Stop::input(&e))?;
    let loader = Loader::start(options.nproc, device)?;
    let seed = options.seed.unwrap_or_default();
    let stamp = Stamp {
        options: checkpoint_stamp::of_options(&options),
        rows: String::new(),
        threads: assigned.threads,
        precision: assigned.precision,
    };
    device::use_threads(assigned.threads);
    device::use_precision(device, assigned.precision);
    let (options, reader) = (Arc::new(options), Arc::new(reader));
    Ok(Job { dir: dir.clone(), options, seed, device, stamp, reader, loader, control, host: assigned.host.clone() })
}

/// Volumes that no cache takes stay in a quarter of the memory that there is, so that other trainers find some too.
fn keeping(assigned: &Assigned) -> Keeping {
    let quarter = memory::available().map_or(0, |bytes| usize::try_from(bytes / 4).unwrap_or(usize::MAX));
    Keeping { cache: assigned.cache.clone(), own_bytes: quarter.max(USUAL_BYTES) }
}

/// What this process asked to read so far, caches of the system included; 0 where the system does not say.
fn bytes_read() -> u64 {
    let counts = std::fs::read_to_string("/proc/self/io").unwrap_or_default();
    counts.lines().find_map(|line| line.strip_prefix("rchar: ")?.parse().ok()).unwrap_or(0)
}

impl Job {
    pub fn task(&self) -> Task {
        match self.options.network_type {
            NetworkType::Autoencoder => Task::Reconstruct,
            NetworkType::Cnn | NetworkType::MultiCnn => Task::Classify,
        }
    }

    /// The networks of a fold: the position of each in a multicnn, and which items of an image it sees.
    pub fn positions(&self) -> Vec<(Option<usize>, Range<usize>)> {
        let items = self.reader.items_per_image();
        match self.options.network_type {
            NetworkType::MultiCnn => (0..items).map(|position| (Some(position), position..position + 1)).collect(),
            NetworkType::Cnn | NetworkType::Autoencoder => vec![(None, 0..items)],
        }
    }

    /// What the options make of items of this shape.
    pub fn architecture(&self, shape: &[usize]) -> Result<Architecture, Stop> {
        Architecture::of(&self.options, shape).map_err(|fault| Stop::failed(FailureClass::BadOptions, fault.to_string()))
    }

    /// Computes with as many threads as the attempt that wrote the checkpoint did.
    pub fn use_threads(&mut self, threads: usize) {
        if threads != self.stamp.threads {
            note(format_args!("{threads} threads, as in the attempt that is gone on from"));
            device::use_threads(threads);
            self.stamp.threads = threads;
        }
    }

    /// Computes in the precision that the attempt that wrote the checkpoint did.
    pub fn use_precision(&mut self, precision: Precision) {
        if precision != self.stamp.precision {
            note(format_args!("{precision}, as in the attempt that is gone on from"));
            device::use_precision(self.device, precision);
            self.stamp.precision = precision;
        }
    }

    /// The last lines of the attempt's log: what the data cost, and where the time went.
    fn remark(&mut self) {
        let Fetched { decoded, mapped } = self.reader.fetched();
        note(format_args!("images: {decoded} decoded, {mapped} found in the cache; {} bytes read", bytes_read()));
        note(format_args!("computing waited {:.3} s for data", self.loader.waited()));
        let [loading, training, evaluating, writing] = self.control.spent().map(|(_, seconds)| seconds);
        note(format_args!(
            "seconds: loading {loading:.2}, training {training:.2}, evaluating {evaluating:.2}, writing {writing:.2}"
        ));
    }

    /// Where a training goes on, and what was measured last, which holds until the next evaluation.
    pub fn report_course(&mut self, course: &Course) {
        self.control.progress.epoch = course.epochs_done;
        if let Some(last) = course.rows.last() {
            self.report_figures(&last.train, &last.validation);
        }
        self.control.report_now();
    }

    /// The figures of an evaluation, for the next report.
    pub fn report_figures(&mut self, train: &Figures, validation: &Figures) {
        let progress = &mut self.control.progress;
        progress.loss_train = Some(train.loss).filter(|loss| loss.is_finite());
        progress.loss_valid = Some(validation.loss).filter(|loss| loss.is_finite());
        progress.balanced_accuracy_train = train.balanced_accuracy;
        progress.balanced_accuracy_valid = validation.balanced_accuracy;
    }
}
