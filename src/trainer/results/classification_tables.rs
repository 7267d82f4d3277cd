//! `cnn_classification`: what the best models say about each item and each image, in tables that appear all at once.

use crate::data::dataset::Sets;
use crate::evaluate::Evaluation;
use crate::stop::TrainingStop;
use neurosearch::domain::data::metrics::{Confusion, ItemPrediction, Metrics, vote};
use neurosearch::domain::mode::ModeOptions;
use neurosearch::domain::options::JobOptions;
use neurosearch::domain::words::{Mode, Selection};
use neurosearch::store::formats::tsv::{Table, python_repr};
use neurosearch::store::fs::error::StoreError;
use neurosearch::store::fs::owned_path::Below;
use neurosearch::store::fs::staging::Staging;
use neurosearch::store::records::layout::FoldDir;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// What one network's best models said about its sets.
pub struct JudgedNetwork {
    /// Of a multicnn's CNN.
    pub position: Option<usize>,
    pub sets: Sets,
    /// By selection: about the training and the validation set.
    pub said: BTreeMap<Selection, [Evaluation; 2]>,
}

/// Writes all tables of a fold beside their place, and puts them there by one rename.
pub fn write(
    fold: &FoldDir,
    options: &JobOptions,
    items_per_image: usize,
    networks: &[JudgedNetwork],
) -> Result<(), TrainingStop> {
    let place = fold.classification();
    let staging = Staging::begin(&place).map_err(|e| TrainingStop::output(&e))?;
    let selections: BTreeSet<Selection> = networks.iter().flat_map(|network| network.said.keys().copied()).collect();
    for selection in selections {
        for (index, set) in ["train", "validation"].into_iter().enumerate() {
            let tables = SetTables::new(options, items_per_image, networks, selection, index);
            for (path, table) in tables.all(fold, selection, set) {
                let below = path.strip_prefix(&place).unwrap_or(&path);
                write_table(&staging, below, &table).map_err(|e| TrainingStop::output(&e))?;
            }
        }
    }
    staging.publish().map_err(|e| TrainingStop::output(&e))
}

fn write_table(staging: &Staging, below: &Path, table: &Table) -> Result<(), StoreError> {
    let bytes = table.to_bytes().map_err(|sentence| StoreError::content(below, format!("cannot be written: {sentence}")))?;
    staging.write(below, &bytes)
}

/// One network's answers about one set.
struct Answered<'a> {
    /// What stands in the `{mode}_id` cell of the metrics: empty but in a multicnn.
    id: String,
    total_loss: f64,
    items: Vec<ItemPrediction<'a>>,
}

/// The answers of all networks of a fold about one set, as tables.
struct SetTables<'a> {
    mode: Mode,
    /// What is added to an item's index to give its id.
    first_id: usize,
    items_per_image: usize,
    threshold: Option<f64>,
    networks: Vec<Answered<'a>>,
}

impl<'a> SetTables<'a> {
    /// `set` is 0 for training, 1 for validation.
    fn new(
        options: &JobOptions,
        items_per_image: usize,
        networks: &'a [JudgedNetwork],
        selection: Selection,
        set: usize,
    ) -> Self {
        let first_id = match options.mode {
            ModeOptions::Slice { discarded_slices: [begin, _], .. } => begin,
            _ => 0,
        };
        let answered = |network: &'a JudgedNetwork| {
            let evaluation = &network.said.get(&selection)?[set];
            let dataset = if set == 0 { &network.sets.train } else { &network.sets.validation };
            let answers = evaluation.answers.as_ref()?;
            let pairs = answers.predicted.iter().zip(answers.probabilities.chunks_exact(2)).enumerate();
            let items = pairs.map(|(index, (predicted, probabilities))| {
                let (row, position) = dataset.place(index);
                ItemPrediction {
                    participant: &row.participant,
                    session: &row.session,
                    position,
                    truth: row.class,
                    predicted: usize::from(*predicted),
                    probabilities: [f64::from(probabilities[0]), f64::from(probabilities[1])],
                }
            });
            let id = network.position.map(|position| (position + first_id).to_string()).unwrap_or_default();
            Some(Answered { id, total_loss: evaluation.total_loss, items: items.collect() })
        };
        let networks = networks.iter().filter_map(answered).collect();
        SetTables { mode: options.mode.mode(), first_id, items_per_image, threshold: options.selection_threshold, networks }
    }

    /// Every table of the set with its path below the fold's folder.
    fn all(&self, fold: &FoldDir, selection: Selection, set: &str) -> Vec<(Below, Table)> {
        let predictions = |level| fold.predictions(selection, set, level);
        let metrics = |level| fold.metrics(selection, set, level);
        let mut tables = Vec::new();
        if self.mode == Mode::Image {
            tables.push((predictions(Mode::Image), self.images_from_items()));
            tables.push((metrics(Mode::Image), self.item_metrics(true)));
            return tables;
        }
        tables.push((predictions(self.mode), self.item_predictions()));
        tables.push((metrics(self.mode), self.item_metrics(true)));
        if self.items_per_image == 1 {
            tables.push((predictions(Mode::Image), self.images_from_items()));
            tables.push((metrics(Mode::Image), self.item_metrics(false)));
        } else {
            let (votes, figures) = self.voted();
            tables.push((predictions(Mode::Image), votes));
            tables.push((metrics(Mode::Image), figures));
        }
        tables
    }

    fn items(&self) -> impl Iterator<Item = &ItemPrediction<'a>> {
        self.networks.iter().flat_map(|network| &network.items)
    }

    fn item_predictions(&self) -> Table {
        let id = format!("{}_id", self.mode);
        let mut table = Table::new(&["participant_id", "session_id", &id, "true_label", "predicted_label", "proba0", "proba1"]);
        for item in self.items() {
            let mut cells = vec![item.participant.to_string(), item.session.to_string()];
            cells.extend([item.position + self.first_id, item.truth, item.predicted].map(|number| number.to_string()));
            cells.extend(item.probabilities.map(python_repr));
            table.push(cells);
        }
        table
    }

    /// Where an image is one item, its label is the item's.
    fn images_from_items(&self) -> Table {
        let mut table = image_table();
        for item in self.items() {
            table.push(image_row(item.participant, item.session, item.truth, item.predicted));
        }
        table
    }

    /// One row, or in a multicnn one for each position.
    fn item_metrics(&self, with_id: bool) -> Table {
        let id = format!("{}_id", self.mode);
        let mut header = Metrics::COLUMNS.to_vec();
        header.extend(["total_loss", "total_kl_loss", "total_atlas_loss"]);
        header.extend(with_id.then_some(id.as_str()));
        let mut table = Table::new(&header);
        for network in &self.networks {
            let metrics = Confusion::count(network.items.iter().map(|item| (item.truth, item.predicted))).metrics();
            let mut cells: Vec<String> = metrics.values().map(python_repr).to_vec();
            cells.extend([python_repr(network.total_loss), "0".to_string(), "0".to_string()]);
            cells.extend(with_id.then(|| network.id.clone()));
            table.push(cells);
        }
        table
    }

    /// The images' labels and metrics after the vote.
    fn voted(&self) -> (Table, Table) {
        let items: Vec<ItemPrediction<'_>> = self.items().copied().collect();
        let votes = vote(&items, self.threshold);
        let mut labels = image_table();
        votes.iter().for_each(|vote| labels.push(image_row(&vote.participant, &vote.session, vote.truth, vote.predicted)));
        let metrics = Confusion::count(votes.iter().map(|vote| (vote.truth, vote.predicted))).metrics();
        let mut figures = Table::new(&Metrics::COLUMNS);
        figures.push(metrics.values().map(python_repr).to_vec());
        (labels, figures)
    }
}

fn image_table() -> Table {
    Table::new(&["participant_id", "session_id", "true_label", "predicted_label"])
}

fn image_row(participant: &str, session: &str, truth: usize, predicted: usize) -> Vec<String> {
    vec![participant.to_string(), session.to_string(), truth.to_string(), predicted.to_string()]
}
