//! One job's folder becomes what the tables need to know of it.

use super::option_cells::Options;
use crate::domain::data::metrics::Metrics;
use crate::domain::job::{Ended, FailureClass, JobState};
use crate::domain::words::{NetworkType, Selection};
use crate::executor;
use crate::store::fs::error::StoreError;
use crate::store::records::job_records::{EndRecord, JobRecord};
use crate::store::records::layout::{FoldDir, JobDir};
use crate::store::records::record;
use crate::store::records::results::{self, BestEpoch};

/// What one fold has to show; empty where it is not finished.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Fold {
    pub index: u32,
    /// By selection, `best_loss` first: the epoch of each network's best model (several in a multicnn).
    pub best: [Vec<BestEpoch>; 2],
    /// By selection: metrics over the validation images.
    pub metrics: [Option<Metrics>; 2],
    /// An autoencoder's fold that is finished; it has no metrics.
    pub reconstructed: bool,
}

/// How a job stands, in the words of the tables; empty where nobody recorded it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JobOutcome {
    pub index: Option<u64>,
    pub state: Option<&'static str>,
    pub failure: Option<(FailureClass, String)>,
    pub attempts: u32,
    /// Recorded as one that goes on later.
    pub unfinished: bool,
    /// It stays so for as long as the record does: nothing had to be asked of a process, or of what a trainer said last.
    pub lasting: bool,
}

/// A job as the tables show it.
#[derive(Debug, Clone, PartialEq)]
pub struct TabulatedJob {
    pub standing: JobOutcome,
    pub options: Options,
    /// In ascending order.
    pub folds: Vec<Fold>,
}

impl TabulatedJob {
    /// How many folds have a result under the selection.
    pub fn found(&self, selection: Selection) -> u32 {
        self.folds.iter().filter(|fold| fold.reconstructed || fold.metrics[selection as usize].is_some()).count() as u32
    }

    /// Over the folds found; none without one, and for an autoencoder.
    pub fn mean_balanced_accuracy(&self, selection: Selection) -> Option<f64> {
        mean(self.folds.iter().filter_map(|fold| fold.metrics[selection as usize]).map(|metrics| metrics.balanced_accuracy))
    }
}

/// The mean of what there is; none of nothing.
pub fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (mut sum, mut count) = (0.0, 0_u32);
    for value in values {
        sum += value;
        count += 1;
    }
    (count > 0).then(|| sum / f64::from(count))
}

/// Something in a job's folder that does not count, which somebody may want to know.
#[derive(Debug)]
pub enum Notice {
    /// Folds without a result: not finished yet, or never begun. `unfinished`: nor is the job, so that this is no wonder.
    Missing { job: String, folds: Vec<u32>, unfinished: bool },
    /// A file that cannot be used, or is missing beside another that appeared with it; its fold counts as not found.
    Unreadable { job: String, error: StoreError },
}

impl Notice {
    /// Whether nobody needs to hear of it: it goes by itself.
    pub const fn is_passing(&self) -> bool {
        matches!(self, Notice::Missing { unfinished: true, .. })
    }
}

impl std::fmt::Display for Notice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Notice::Missing { job, folds, .. } => {
                let names: Vec<String> = folds.iter().map(|fold| format!("fold-{fold}")).collect();
                write!(f, "{job}: no result of {}", names.join(", "))
            }
            Notice::Unreadable { job, error } => write!(f, "{job}: {error}; it counts as not found"),
        }
    }
}

/// The job in the folder `dir`, or None if it has no `commandline.json`. `folds` are those of the search space, where it
/// could be read; else the job's own count.
pub fn collect(name: &str, dir: &JobDir, folds: Option<&[u32]>, notices: &mut Vec<Notice>) -> Option<TabulatedJob> {
    let unreadable = |error| Notice::Unreadable { job: name.to_string(), error };
    let options = match record::read_text(&dir.commandline()) {
        Ok(text) => Options::read(&text, &dir.commandline()),
        Err(error) if error.is_missing() => return None,
        Err(error) => Err(error),
    };
    let options = options.unwrap_or_else(|error| {
        notices.push(unreadable(error));
        Options::default()
    });
    let standing = standing(dir).unwrap_or_else(|error| {
        notices.push(unreadable(error));
        JobOutcome::default()
    });
    let looked_at = folds.unwrap_or(&options.folds);
    let mut collector = Collector { name, dir, notices, missing: Vec::new() };
    let folds = looked_at.iter().map(|&index| collector.fold(index, options.network_type)).collect();
    collector.end(standing.unfinished);
    Some(TabulatedJob { standing, options, folds })
}

struct Collector<'a> {
    name: &'a str,
    dir: &'a JobDir,
    notices: &'a mut Vec<Notice>,
    missing: Vec<u32>,
}

impl Collector<'_> {
    fn fold(&mut self, index: u32, network: NetworkType) -> Fold {
        let dir = self.dir.fold(index);
        let mut fold = Fold { index, ..Fold::default() };
        let there = if network == NetworkType::Autoencoder {
            fold.reconstructed = results::autoencoder_finished(self.dir, &dir);
            fold.reconstructed
        } else {
            let metrics = self.metrics(&dir);
            fold.metrics = metrics.unwrap_or_default();
            metrics.is_some()
        };
        if !there {
            self.missing.push(index);
        } else if fold.reconstructed || fold.metrics.iter().any(Option::is_some) {
            fold.best = self.best(&dir, network);
        }
        fold
    }

    /// By selection, or None if neither file is there. They appear together, so one that is missing alone is told by name.
    fn metrics(&mut self, fold: &FoldDir) -> Option<[Option<Metrics>; 2]> {
        let read = || [Selection::BestLoss, Selection::BestBalancedAccuracy].map(|s| results::validation_metrics(fold, s));
        let missing = |metrics: &Result<Metrics, StoreError>| metrics.as_ref().is_err_and(StoreError::is_missing);
        let mut metrics = read();
        if metrics.iter().all(missing) {
            return None;
        }
        if metrics.iter().any(missing) {
            // They may have appeared between the two readings.
            metrics = read();
        }
        Some(metrics.map(|metrics| metrics.map_err(|error| self.unreadable(error)).ok()))
    }

    /// The best epochs of the fold's networks; a missing table is no fault here, since no count depends on it.
    fn best(&mut self, fold: &FoldDir, network: NetworkType) -> [Vec<BestEpoch>; 2] {
        let mut best = [Vec::new(), Vec::new()];
        let positions: &mut dyn Iterator<Item = Option<usize>> =
            if network == NetworkType::MultiCnn { &mut (0..).map(Some) } else { &mut std::iter::once(None) };
        for position in positions {
            let Some(epochs) = self.kept(results::best_epochs(&fold.training_table(position))) else { break };
            for (list, one) in best.iter_mut().zip(epochs) {
                list.extend(one);
            }
        }
        best
    }

    fn kept<T>(&mut self, result: Result<T, StoreError>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(error) if error.is_missing() => None,
            Err(error) => {
                self.unreadable(error);
                None
            }
        }
    }

    fn unreadable(&mut self, error: StoreError) {
        self.notices.push(Notice::Unreadable { job: self.name.to_string(), error });
    }

    fn end(self, unfinished: bool) {
        if !self.missing.is_empty() {
            self.notices.push(Notice::Missing { job: self.name.to_string(), folds: self.missing, unfinished });
        }
    }
}

/// The starter's record; where it still says that a trainer runs, what became of that, or its own last word about that very attempt.
fn standing(dir: &JobDir) -> Result<JobOutcome, StoreError> {
    let Some(record) = record::read_optional::<JobRecord>(&dir.record())? else {
        return Ok(JobOutcome { lasting: true, ..JobOutcome::default() });
    };
    let lasting = record.state.is_final();
    let mut state = executor::shown(dir, &record);
    if matches!(state, JobState::Running { .. })
        && let Some(end) = EndRecord::of_attempt(dir, record.history.attempts)
    {
        state = match end.ended {
            Ended::Done => JobState::Done,
            Ended::Failed { class, sentence } => JobState::Failed { class, sentence },
            Ended::Interrupted { .. } => state,
        };
    }
    let (word, unfinished) = (state.as_str(), !state.is_final());
    let failure = match state {
        JobState::Failed { class, sentence } => Some((class, sentence)),
        _ => None,
    };
    Ok(JobOutcome { index: record.index, state: Some(word), failure, attempts: record.history.attempts, unfinished, lasting })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::records::job_records::Starter;
    use crate::testing::tempdir;
    use std::fs;

    #[test]
    fn a_folder_without_options_is_no_job_and_options_that_cannot_be_read_are_told() {
        let dir = tempdir();
        let job = JobDir::new(dir.path());
        let mut notices = Vec::new();
        assert!(collect("job-0", &job, None, &mut notices).is_none() && notices.is_empty());
        fs::create_dir(job.commandline()).expect("made");
        assert!(collect("job-0", &job, None, &mut notices).is_some());
        assert!(matches!(notices.first(), Some(Notice::Unreadable { .. })), "{notices:?}");
    }

    #[test]
    fn a_training_table_that_cannot_be_read_is_told_and_one_that_is_missing_is_not() {
        let dir = tempdir();
        let job = JobDir::new(dir.path());
        fs::write(job.commandline(), "{}").expect("written");
        for selection in Selection::ALL {
            let folder = dir.path().join(format!("fold-0/cnn_classification/{selection}"));
            fs::create_dir_all(&folder).expect("made");
            let text = format!("{}\ttotal_loss\n1\t1\t1\t1\t1\t1\t0.5\n", Metrics::COLUMNS.join("\t"));
            fs::write(folder.join("validation_image_level_metrics.tsv"), text).expect("written");
        }
        let said = || {
            let mut notices = Vec::new();
            collect("job-0", &job, Some(&[0]), &mut notices).expect("a job");
            notices.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(said(), Vec::<String>::new());
        fs::create_dir(job.fold(0).training_table(None)).expect("made");
        assert!(said().iter().any(|notice| notice.contains("training.tsv")), "{:?}", said());
    }

    #[test]
    fn a_fold_without_results_is_told_only_of_a_job_that_is_over() {
        let dir = tempdir();
        let job = JobDir::new(dir.path());
        fs::create_dir(job.private()).expect("made");
        fs::write(job.commandline(), r#"{"n_splits": 2}"#).expect("written");
        let failed = JobState::Failed { class: FailureClass::BadData, sentence: "no image".to_string() };
        let cases = [(JobState::Queued, true), (JobState::Paused, true), (JobState::Done, false), (failed, false)];
        for (state, passing) in cases {
            let state = JobRecord { state, ..JobRecord::queued(Starter::Daemon) };
            record::write(&job.record(), &state).expect("recorded");
            let mut notices = Vec::new();
            collect("job-0", &job, None, &mut notices).expect("a job");
            let said: Vec<_> = notices.iter().map(|notice| (notice.to_string(), notice.is_passing())).collect();
            assert_eq!(said, [("job-0: no result of fold-0, fold-1".to_string(), passing)], "{state:?}");
        }
    }
}
