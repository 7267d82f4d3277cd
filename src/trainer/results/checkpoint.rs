//! A training at the end of an epoch, kept so that a later attempt goes on exactly there.

use super::checkpoint_stamp::{CheckpointPlace, CheckpointStamp};
use super::container;
use crate::evaluate::{Answers, Evaluation};
use crate::model::state_dict::State;
use crate::training_state::{BestModel, TrainingState};
use crate::training_table::TrainingRow;
use neurosearch::domain::stopping::{BestModels, EarlyStopping};
use neurosearch::domain::words::Selection;
use neurosearch::store::fs::atomic;
use neurosearch::store::fs::error::StoreError;
use neurosearch::store::fs::open_dir::Folder;
use neurosearch::store::fs::owned_path::Place;
use neurosearch::store::records::layout::FoldDir;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::rc::Rc;
use tch::Tensor;

/// 2: with the rows that it was trained on.
const VERSION: u32 = 2;

/// A training as it is kept and read again.
#[derive(Debug)]
pub struct Checkpoint {
    pub stamp: CheckpointStamp,
    /// Checkpoints of this job so far, this one included.
    pub count: u64,
    pub course: TrainingState,
    /// The running weights and Adam's moments; empty where the training is finished.
    pub weights: Rc<State>,
    pub adam: State,
}

/// A checkpoint on its way to the disk: its tensors are handles, so that it belongs to no thread.
#[derive(Debug)]
pub struct Draft {
    record: CheckpointRecord,
    tensors: State,
}

/// The part that is not tensors.
#[derive(Debug, Serialize, Deserialize)]
struct CheckpointRecord {
    version: u32,
    stamp: CheckpointStamp,
    count: u64,
    epochs_done: u32,
    finished: bool,
    elapsed: f64,
    rows: Vec<TrainingRow>,
    stopping: EarlyStopping,
    figures: BestModels,
    best: Vec<BestRecord>,
}

#[derive(Debug, Serialize, Deserialize)]
struct BestRecord {
    /// For which selections it is the best, by name.
    selections: Vec<String>,
    epoch: u32,
    valid_loss: f64,
    valid_acc: Option<f64>,
    train_loss: f64,
    train_items: usize,
    validation_loss: f64,
    validation_items: usize,
    /// Its weights are the running ones.
    is_running: bool,
}

impl Checkpoint {
    /// As it is written.
    pub fn draft(self) -> Draft {
        let mut tensors = State::new();
        push(&mut tensors, "weights", &self.weights);
        push(&mut tensors, "adam", &self.adam);
        let mut best = Vec::new();
        for (i, (model, selections)) in distinct(&self.course.best).iter().enumerate() {
            let is_running = Rc::ptr_eq(&model.state, &self.weights);
            if !is_running {
                push(&mut tensors, &format!("best{i}"), &model.state);
            }
            for (set, evaluation) in [("train", &model.train), ("validation", &model.validation)] {
                tensors.extend(evaluation.answers.iter().flat_map(|answers| tensors_of(answers, &format!("best{i}-{set}"))));
            }
            best.push(BestRecord::of(model, selections, is_running));
        }
        Draft { record: self.record(best), tensors }
    }

    fn record(self, best: Vec<BestRecord>) -> CheckpointRecord {
        let course = self.course;
        CheckpointRecord {
            version: VERSION,
            stamp: self.stamp,
            count: self.count,
            epochs_done: course.epochs_done,
            finished: course.finished,
            elapsed: course.elapsed,
            rows: course.rows,
            stopping: course.stopping,
            figures: course.figures,
            best,
        }
    }

    /// The checkpoint in `place`.
    ///
    /// # Errors
    /// Names the file: damaged, of another version, or lacking a part.
    pub fn read(place: &(impl Place + ?Sized)) -> Result<Self, StoreError> {
        let (record, tensors): (CheckpointRecord, State) = container::read(place)?;
        let broken = |what: &str| StoreError::content(place.path(), format!("lacks {what}"));
        if record.version != VERSION {
            return Err(StoreError::content(place.path(), format!("has version {}, expected {VERSION}", record.version)));
        }
        let mut groups = grouped(tensors);
        let weights = Rc::new(groups.remove("weights").unwrap_or_default());
        let adam = groups.remove("adam").unwrap_or_default();
        let mut best = BTreeMap::new();
        for (i, kept) in record.best.into_iter().enumerate() {
            let selections = kept.selections().ok_or_else(|| broken("a known selection"))?;
            let model = kept.model(i, &weights, &mut groups).ok_or_else(|| broken("a best model's weights or predictions"))?;
            let model = Rc::new(model);
            best.extend(selections.into_iter().map(|selection| (selection, Rc::clone(&model))));
        }
        let course = TrainingState {
            epochs_done: record.epochs_done,
            finished: record.finished,
            elapsed: record.elapsed,
            rows: record.rows,
            stopping: record.stopping,
            figures: record.figures,
            best,
        };
        Ok(Checkpoint { stamp: record.stamp, count: record.count, course, weights, adam })
    }
}

impl Draft {
    /// Makes this the content of `place`.
    pub fn write(&self, place: &(impl Place + ?Sized)) -> Result<(), StoreError> {
        container::write(place, &self.record, &self.tensors)
    }

    /// Checkpoints of the job so far, this one included.
    pub const fn count(&self) -> u64 {
        self.record.count
    }

    /// The rows of the training's table up to here.
    pub fn rows(&self) -> &[TrainingRow] {
        &self.record.rows
    }
}

impl BestRecord {
    fn of(model: &BestModel, selections: &[Selection], is_running: bool) -> Self {
        BestRecord {
            selections: selections.iter().map(|selection| selection.as_str().to_string()).collect(),
            epoch: model.epoch,
            valid_loss: model.valid_loss,
            valid_acc: model.valid_acc,
            train_loss: model.train.total_loss,
            train_items: model.train.items,
            validation_loss: model.validation.total_loss,
            validation_items: model.validation.items,
            is_running,
        }
    }

    fn selections(&self) -> Option<Vec<Selection>> {
        self.selections.iter().map(|word| Selection::from_word(word)).collect()
    }

    /// The `i`-th best model, of its own tensors in `groups` or the running `weights`, or None if a part is missing.
    fn model(&self, i: usize, weights: &Rc<State>, groups: &mut BTreeMap<String, State>) -> Option<BestModel> {
        let state = if self.is_running { Rc::clone(weights) } else { Rc::new(groups.remove(&format!("best{i}"))?) };
        let mut evaluation = |set: &str, total_loss, items| {
            let answers = match groups.remove(&format!("best{i}-{set}")) {
                Some(tensors) => Some(answers_of(tensors)?),
                None => None,
            };
            Some(Evaluation { total_loss, items, answers })
        };
        let train = evaluation("train", self.train_loss, self.train_items)?;
        let validation = evaluation("validation", self.validation_loss, self.validation_items)?;
        let (epoch, valid_loss, valid_acc) = (self.epoch, self.valid_loss, self.valid_acc);
        Some(BestModel { epoch, valid_loss, valid_acc, state, train, validation })
    }
}

/// Each best model once, with the selections for which it is the best.
fn distinct(best: &BTreeMap<Selection, Rc<BestModel>>) -> Vec<(Rc<BestModel>, Vec<Selection>)> {
    let mut found: Vec<(Rc<BestModel>, Vec<Selection>)> = Vec::new();
    for (selection, model) in best {
        match found.iter_mut().find(|(other, _)| Rc::ptr_eq(other, model)) {
            Some((_, selections)) => selections.push(*selection),
            None => found.push((Rc::clone(model), vec![*selection])),
        }
    }
    found
}

fn push(tensors: &mut State, group: &str, state: &State) {
    tensors.extend(state.iter().map(|(name, tensor)| (format!("{group}/{name}"), tensor.shallow_clone())));
}

/// Tensors by the first part of their names.
fn grouped(tensors: State) -> BTreeMap<String, State> {
    let mut groups: BTreeMap<String, State> = BTreeMap::new();
    for (name, tensor) in tensors {
        let (group, rest) = name.split_once('/').unwrap_or((name.as_str(), ""));
        groups.entry(group.to_string()).or_default().push((rest.to_string(), tensor));
    }
    groups
}

fn tensors_of(answers: &Answers, group: &str) -> [(String, Tensor); 2] {
    [
        (format!("{group}/predicted"), Tensor::from_slice(&answers.predicted)),
        (format!("{group}/probabilities"), Tensor::from_slice(&answers.probabilities)),
    ]
}

fn answers_of(tensors: State) -> Option<Answers> {
    let find = |name: &str| tensors.iter().find(|(n, _)| n == name).map(|(_, tensor)| tensor);
    let predicted = Vec::<u8>::try_from(find("predicted")?).ok()?;
    let probabilities = Vec::<f32>::try_from(find("probabilities")?).ok()?;
    Some(Answers { predicted, probabilities })
}

/// Number of the checkpoint at the end of `epoch` of the network at `position` (0 where there is only one), of `epochs` each.
pub const fn number(position: usize, epoch: u32, epochs: u32) -> u32 {
    (position as u32).saturating_mul(epochs).saturating_add(epoch)
}

/// The place, in fold `fold`, of the checkpoint with this number.
pub const fn place(fold: u32, number: u32, epochs: u32) -> CheckpointPlace {
    CheckpointPlace { fold, network: network(number, epochs), epoch: number % epochs }
}

/// The position, from 0, of the network whose checkpoint has this number.
pub const fn network(number: u32, epochs: u32) -> usize {
    (number / epochs) as usize
}

/// The `numbers` that no network of the fold can have, as when `epochs` was larger when they were written.
pub fn beyond(numbers: &[u32], networks: usize, epochs: u32) -> impl Iterator<Item = u32> {
    numbers.iter().copied().filter(move |number| network(*number, epochs) >= networks)
}

/// Numbers of the checkpoints of a fold, ascending, or None if it has no folder.
pub fn numbers(fold: &FoldDir) -> Result<Vec<u32>, StoreError> {
    let Some(folder) = Folder::find(fold.private())? else { return Ok(Vec::new()) };
    let names = folder.entries()?.into_iter().filter_map(|entry| entry.name.into_string().ok());
    let mut numbers: Vec<u32> = names.filter_map(|name| name.strip_prefix("checkpoint-")?.parse().ok()).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

/// Removes what the checkpoint `latest` makes superfluous: of its own network all but the last two, of those before all but the last.
pub fn prune(fold: &FoldDir, latest: u32, epochs: u32) -> Result<(), StoreError> {
    let numbers = numbers(fold)?;
    for (i, number) in numbers.iter().enumerate() {
        let last_of_network = numbers.get(i + 1).is_none_or(|next| network(*next, epochs) != network(*number, epochs));
        let own = network(*number, epochs) == network(latest, epochs);
        let superfluous = if own { number + 1 < latest } else { !last_of_network };
        if superfluous {
            atomic::remove(&fold.checkpoint(*number))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::tempdir;
    use crate::training_table::Figures;
    use neurosearch::domain::network::precision::Precision;
    use neurosearch::store::records::layout::JobDir;
    use std::fs;
    use std::path::Path;

    fn evaluation(answers: bool) -> Evaluation {
        let answers = answers.then(|| Answers { predicted: vec![1, 0], probabilities: vec![0.1, 0.9, 0.75, 0.25] });
        Evaluation { total_loss: 0.1 + 0.2, items: 2, answers }
    }

    fn state(value: f32) -> Rc<State> {
        Rc::new(vec![("features.conv0.0.weight".to_string(), Tensor::from_slice(&[value, 1.0 / 3.0]))])
    }

    fn checkpoint(shared: bool, answers: bool) -> Checkpoint {
        let weights = state(1.0);
        let best = |state: &Rc<State>, epoch| {
            let (train, validation) = (evaluation(answers), evaluation(answers));
            Rc::new(BestModel {
                epoch,
                valid_loss: 1.0 / 3.0,
                valid_acc: answers.then_some(0.5),
                state: Rc::clone(state),
                train,
                validation,
            })
        };
        let loss = best(&weights, 3);
        let accuracy = if shared { Rc::clone(&loss) } else { best(&state(2.0), 1) };
        let figures = Figures { loss: 1.0 / 3.0, balanced_accuracy: Some(0.5) };
        let row = TrainingRow {
            epoch: 3,
            iteration: 5,
            time: 0.7,
            train: figures,
            validation: figures,
            step: 24,
            wall_time: 1e9 + 0.1,
        };
        let course = TrainingState {
            epochs_done: 4,
            finished: false,
            elapsed: 0.7,
            rows: vec![row],
            stopping: EarlyStopping::new(3, 0.1),
            figures: BestModels::default(),
            best: BTreeMap::from([(Selection::BestLoss, loss), (Selection::BestBalancedAccuracy, accuracy)]),
        };
        let adam = vec![("mean.0".to_string(), Tensor::from_slice(&[0.25_f32]))];
        Checkpoint {
            stamp: CheckpointStamp {
                options: "ab".to_string(),
                rows: "cd".to_string(),
                place: None,
                threads: 2,
                precision: Precision::Tf32,
            },
            count: 9,
            course,
            weights,
            adam,
        }
    }

    #[test]
    fn a_training_comes_back_as_it_was() {
        let dir = tempdir();
        let path = dir.path().join("checkpoint-3");
        for (shared, answers) in [(true, true), (false, true), (true, false)] {
            let placed = || {
                let mut checkpoint = checkpoint(shared, answers);
                checkpoint.stamp.place = Some(place(2, 8, 5));
                checkpoint
            };
            let written = placed();
            placed().draft().write(&path).expect("written");
            let read = Checkpoint::read(&path).expect("read");
            assert_eq!((read.stamp, read.count), (written.stamp, written.count));
            assert_eq!(read.course.rows, written.course.rows);
            assert_eq!((read.course.epochs_done, read.course.finished), (4, false));
            assert_eq!(read.course.stopping, written.course.stopping);
            assert!(read.weights[0].1.equal(&written.weights[0].1) && read.adam[0].1.equal(&written.adam[0].1));
            let [loss, accuracy] =
                [Selection::BestLoss, Selection::BestBalancedAccuracy].map(|s| Rc::clone(&read.course.best[&s]));
            assert_eq!(Rc::ptr_eq(&loss, &accuracy), shared);
            assert!(Rc::ptr_eq(&loss.state, &read.weights));
            assert_eq!(loss.train, evaluation(answers));
            let original = &written.course.best[&Selection::BestBalancedAccuracy];
            assert!(accuracy.state[0].1.equal(&original.state[0].1));
            assert_eq!(
                (accuracy.epoch, accuracy.valid_loss, accuracy.valid_acc),
                (original.epoch, 1.0 / 3.0, answers.then_some(0.5))
            );
        }
    }

    #[test]
    fn a_checkpoint_of_this_version_is_read() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/records/checkpoint-2");
        let (read, wanted) = (Checkpoint::read(&path).expect("read"), checkpoint(false, true));
        assert_eq!((read.stamp, read.count), (wanted.stamp, wanted.count));
        assert_eq!((read.course.rows, read.course.epochs_done), (wanted.course.rows, wanted.course.epochs_done));
        assert_eq!(read.course.stopping, wanted.course.stopping);
        assert!(read.weights[0].1.equal(&wanted.weights[0].1) && read.adam[0].1.equal(&wanted.adam[0].1));
        for (selection, best) in &wanted.course.best {
            let read = &read.course.best[selection];
            assert!(read.state[0].1.equal(&best.state[0].1), "{selection:?}");
            assert_eq!((read.epoch, read.valid_loss, &read.validation), (best.epoch, best.valid_loss, &best.validation));
        }
    }

    #[test]
    fn the_last_two_of_the_running_network_and_the_last_of_each_finished_one_stay() {
        let dir = tempdir();
        let fold = JobDir::new(dir.path()).fold(0);
        fs::create_dir_all(fold.private()).expect("made");
        for number in [0, 1, 2, 5, 6, 10, 11, 12] {
            fs::write(fold.checkpoint(number), b"").expect("written");
        }
        prune(&fold, 12, 5).expect("pruned");
        assert_eq!(numbers(&fold).expect("listed"), [2, 6, 11, 12]);
    }

    #[test]
    fn a_fold_without_a_folder_has_no_checkpoints() {
        let dir = tempdir();
        assert!(numbers(&JobDir::new(dir.path()).fold(3)).expect("listed").is_empty());
    }
}
