//! A job while it is trained: its options, device, data and reports, which all of its folds share.

use super::data::loader::Loader;
use super::device;
use super::evaluate::EvaluationTask;
use super::reporter::Reporter;
use super::results::checkpoint_stamp::CheckpointStamp;
use super::stderr::note;
use super::stop::TrainingStop;
use super::training_state::TrainingState;
use super::training_table::Figures;
use neurosearch::domain::job::FailureClass;
use neurosearch::domain::network::architecture::Architecture;
use neurosearch::domain::network::precision::Precision;
use neurosearch::domain::options::JobOptions;
use neurosearch::domain::words::NetworkType;
use neurosearch::store::data::item_reader::ItemReader;
use neurosearch::store::data::volumes::Fetched;
use neurosearch::store::fs::rights::Rights;
use neurosearch::store::records::layout::JobDir;
use std::ops::Range;
use std::sync::Arc;
use tch::Device;

/// Everything that the folds of a job share.
pub struct Session {
    pub dir: JobDir,
    pub options: Arc<JobOptions>,
    /// Of every random choice.
    pub seed: u64,
    pub device: Device,
    /// What a checkpoint must have to be used, but for its place; its rows are those of the fold that is trained.
    pub stamp: CheckpointStamp,
    pub reader: Arc<ItemReader>,
    /// Whose rights inputs are read with.
    pub rights: Rights,
    pub loader: Loader,
    pub control: Reporter,
    pub host: String,
}

/// What this process asked to read so far, caches of the system included; 0 where the system does not say.
fn bytes_read() -> u64 {
    let counts = std::fs::read_to_string("/proc/self/io").unwrap_or_default();
    counts.lines().find_map(|line| line.strip_prefix("rchar: ")?.parse().ok()).unwrap_or(0)
}

impl Session {
    pub fn task(&self) -> EvaluationTask {
        match self.options.network_type {
            NetworkType::Autoencoder => EvaluationTask::Reconstruct,
            NetworkType::Cnn | NetworkType::MultiCnn => EvaluationTask::Classify,
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
    pub fn architecture(&self, shape: &[usize]) -> Result<Architecture, TrainingStop> {
        self.options.architecture(shape).map_err(|fault| TrainingStop::failed(FailureClass::BadOptions, fault.to_string()))
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
    pub fn remark(&mut self) {
        let Fetched { decoded, mapped } = self.reader.fetched();
        note(format_args!("images: {decoded} decoded, {mapped} found in the cache; {} bytes read", bytes_read()));
        note(format_args!("computing waited {:.3} s for data", self.loader.waited()));
        let [loading, training, evaluating, writing] = self.control.spent().map(|(_, seconds)| seconds);
        note(format_args!(
            "seconds: loading {loading:.2}, training {training:.2}, evaluating {evaluating:.2}, writing {writing:.2}"
        ));
    }

    /// Where a training goes on, and what was measured last, which holds until the next evaluation.
    pub fn report_course(&mut self, course: &TrainingState) {
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
