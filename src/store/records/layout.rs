//! Launch, job and fold directories as types: every name of a file the product writes stands here, and nowhere else.

use crate::domain::job::JobName;
use crate::domain::words::{Mode, Selection};
use crate::store::fs::open_dir::Folder;
use crate::store::fs::owned_path::Below;
use std::path::{Path, PathBuf};

const CLASSIFICATION: &str = "cnn_classification";

/// A directory with a `random_search.json`; its jobs are folders directly below it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LaunchDir(Below);

impl LaunchDir {
    pub fn new(path: impl Into<PathBuf>) -> Self {
        LaunchDir(Below::given(path))
    }
    /// One that is held open, so that everything is read from that very directory.
    pub fn open(folder: &Folder) -> Self {
        LaunchDir(folder.place())
    }
    pub fn path(&self) -> &Path {
        &self.0
    }
    pub fn space(&self) -> Below {
        self.0.join("random_search.json")
    }
    pub fn error(&self) -> Below {
        self.0.join("random_search.error")
    }
    pub fn jobs_table(&self) -> Below {
        self.0.join("jobs.tsv")
    }
    pub fn analysis_table(&self, selection: Selection) -> Below {
        self.0.join(match selection {
            Selection::BestLoss => "analysis_loss.tsv",
            Selection::BestBalancedAccuracy => "analysis_balanced_accuracy.tsv",
        })
    }
    /// What an `analysis` wrote down for the next one. Beside the tables, since who may replace those may replace it.
    pub fn known(&self) -> Below {
        self.0.join(".analysis")
    }
    /// Whether the file at `path` is one that the product itself replaces beside the search space.
    pub fn replaces(path: &Path) -> bool {
        let Some(folder) = path.parent() else { return false };
        let launch = LaunchDir::new(folder);
        let tables = Selection::ALL.iter().map(|selection| launch.analysis_table(*selection));
        tables.chain([launch.jobs_table(), launch.error(), launch.known()]).any(|own| &*own == path)
    }
    /// Held by a `generate` while it draws. Not with the records: their folder would be its maker's, and closed to a daemon.
    pub fn drawing(&self) -> Below {
        self.0.join(".drawing")
    }
    /// Ours alone: records and the lock.
    pub fn private(&self) -> Below {
        self.0.join(".neurosearch")
    }
    pub fn search_record(&self) -> Below {
        self.private().join("search.json")
    }
    pub fn lock(&self) -> Below {
        self.private().join("lock")
    }
    /// Written and removed to learn whether the directory takes writes.
    pub fn probe(&self) -> Below {
        self.private().join("probe")
    }
    pub fn job(&self, name: &JobName) -> JobDir {
        self.folder(name.as_str())
    }
    /// Any folder directly below, as a job's: a job of the reference may have a name that ours never have.
    pub fn folder(&self, name: &str) -> JobDir {
        JobDir(self.0.join(name))
    }
    pub fn place(&self) -> &Below {
        &self.0
    }
}

/// One job's folder.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct JobDir(Below);

impl JobDir {
    /// A folder that somebody names: it may be a link to the job's folder, unlike anything in it.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        JobDir(Below::given(path))
    }
    /// A folder below a launch directory: not a link itself.
    pub fn at(place: Below) -> Self {
        JobDir(place)
    }
    pub fn place(&self) -> &Below {
        &self.0
    }
    pub fn path(&self) -> &Path {
        &self.0
    }
    pub fn commandline(&self) -> Below {
        self.0.join("commandline.json")
    }
    pub fn environment(&self) -> Below {
        self.0.join("environment.txt")
    }
    pub fn fold(&self, index: u32) -> FoldDir {
        let name = format!("fold-{index}");
        FoldDir { index, path: self.0.join(&name), private: self.private().join(&name) }
    }
    pub fn private(&self) -> Below {
        self.0.join(".neurosearch")
    }
    pub fn record(&self) -> Below {
        self.private().join("job.json")
    }
    pub fn lock(&self) -> Below {
        self.private().join("lock")
    }
    pub fn trainer_record(&self) -> Below {
        self.private().join("trainer.json")
    }
    pub fn progress(&self) -> Below {
        self.private().join("progress.json")
    }
    pub fn end(&self) -> Below {
        self.private().join("end.json")
    }
    pub fn attempt_log(&self, attempt: u32) -> Below {
        self.private().join(format!("attempt-{attempt}.log"))
    }
}

/// One fold of a job: its results, and the trainer's own files about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoldDir {
    index: u32,
    path: Below,
    private: Below,
}

impl FoldDir {
    pub const fn index(&self) -> u32 {
        self.index
    }
    pub fn path(&self) -> &Path {
        &self.path
    }
    /// `<job>/.neurosearch/fold-i`, where the checkpoints lie.
    pub const fn private(&self) -> &Below {
        &self.private
    }
    /// What its results were when they were finished.
    pub fn record(&self) -> Below {
        self.private.beside(&format!("fold-{}.json", self.index))
    }
    pub fn checkpoint(&self, epoch: u32) -> Below {
        self.private.join(format!("checkpoint-{epoch}"))
    }
    /// `network` is the position of a multicnn's CNN.
    pub fn training_table(&self, network: Option<usize>) -> Below {
        match network {
            None => self.path.join("training.tsv"),
            Some(p) => self.path.join("tensorboard_logs").join(format!("cnn-{p}")).join("training.tsv"),
        }
    }
    /// `set` is `train` or `validation`.
    pub fn tensorboard(&self, network: Option<usize>, set: &str) -> Below {
        let logs = self.path.join("tensorboard_logs");
        match network {
            None => logs.join(set),
            Some(p) => logs.join(format!("cnn-{p}")).join(set),
        }
    }
    pub fn model(&self, network: Option<usize>, selection: Selection) -> Below {
        let models = self.path.join("models");
        let models = match network {
            None => models,
            Some(p) => models.join(format!("cnn-{p}")),
        };
        models.join(selection.as_str()).join("model_best.pth.tar")
    }
    /// The folder that appears, complete, when the fold is finished.
    pub fn classification(&self) -> Below {
        self.path.join(CLASSIFICATION)
    }
    pub fn reconstruction(&self) -> Below {
        self.path.join("autoencoder_reconstruction")
    }
    pub fn metrics(&self, selection: Selection, set: &str, level: Mode) -> Below {
        self.path.join(format!("{CLASSIFICATION}/{selection}/{set}_{level}_level_metrics.tsv"))
    }
    /// The metrics by which jobs are compared: those of the validation images.
    pub fn validation_metrics(&self, selection: Selection) -> Below {
        self.metrics(selection, "validation", Mode::Image)
    }
    pub fn predictions(&self, selection: Selection, set: &str, level: Mode) -> Below {
        self.classification().join(selection.as_str()).join(format!("{set}_{level}_level_prediction.tsv"))
    }
}
