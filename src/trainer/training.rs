//! One network's training: its epochs, what is evaluated, kept and written after each, and where a later attempt goes on.

use super::data::dataset::{Dataset, Items, Sets};
use super::data::epoch_order;
use super::data::loader::{Augmenting, Batches, Section};
use super::evaluate::{self, Evaluation, EvaluationTask, Targets};
use super::model::adam::Adam;
use super::model::network::Network;
use super::model::state_dict::{self, State};
use super::model::{loss, transfer};
use super::network_seeds::NetworkPlace;
use super::reporter::now;
use super::results::background_writer::BackgroundWriter;
use super::results::checkpoint::{self, Checkpoint};
use super::results::checkpoint_stamp::CheckpointStamp;
use super::results::epoch_commit::Commit;
use super::results::fold_files::{Model, Published};
use super::session::Session;
use super::stop::TrainingStop;
use super::training_state::TrainingState;
use super::training_table::TrainingRow;
use neurosearch::domain::job::FailureClass;
use neurosearch::domain::network::footprint;
use neurosearch::domain::progress::Phase;
use neurosearch::domain::words::Selection;
use neurosearch::store::records::layout::FoldDir;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

/// What is done between two points of an epoch, its items already on their way.
enum Stretch {
    /// Some batches of training, the first of them at this index in the epoch.
    Train { batches: Batches, first: u64 },
    /// Both sets, at this batch of the epoch; at its very end or within.
    Evaluate { train: Batches, validation: Batches, end: bool },
}

/// A network that is being trained.
pub struct Training<'a> {
    job: &'a mut Session,
    folder: FoldDir,
    which: NetworkPlace,
    sets: Sets,
    network: Network,
    adam: Adam,
    course: TrainingState,
    published: Published,
    writer: BackgroundWriter,
    /// Items that are evaluated at once.
    evaluated: usize,
    /// When this attempt began, and the seconds of those before it.
    began: Instant,
    before: f64,
}

impl<'a> Training<'a> {
    /// Goes on from `checkpoint`, or begins: weights drawn from the job's seed, then those of a transfer over them.
    pub fn new(
        job: &'a mut Session,
        which: NetworkPlace,
        sets: Sets,
        mut network: Network,
        checkpoint: Option<Checkpoint>,
    ) -> Result<Self, TrainingStop> {
        let began = Instant::now();
        let options = Arc::clone(&job.options);
        let mut adam = Adam::new(network.trainable(), options.learning_rate, options.weight_decay)?;
        let course = match checkpoint {
            Some(checkpoint) => {
                let foreign =
                    |e| TrainingStop::failed(FailureClass::Crashed, format!("the checkpoint is not of this network: {e}"));
                network.load_state(&checkpoint.weights).map_err(foreign)?;
                adam.load_state(&checkpoint.adam).map_err(foreign)?;
                job.control.progress.checkpoints = job.control.progress.checkpoints.max(checkpoint.count);
                job.report_course(&checkpoint.course);
                checkpoint.course
            }
            None => {
                network.init(which.weights(job.seed))?;
                if let Some(transfer) = &options.transfer() {
                    let load = || transfer::load(transfer, which.fold, options.network_type, which.position);
                    job.rights.read(load)?.apply(&network)?;
                }
                TrainingState::new(&options)
            }
        };
        let folder = job.dir.fold(which.fold);
        let published = Published::restore(&folder, which.position, job.task(), &job.host, &course)?;
        let architecture = job.architecture(sets.train.shape())?;
        let evaluated = footprint::evaluation_batch(&architecture, options.network_type, options.batch_size);
        let before = course.elapsed;
        // On the CPU there is nothing to gain, and the copies would count against the memory that was foreseen.
        let writer = BackgroundWriter::new(job.device.is_cuda());
        Ok(Training { job, folder, which, sets, network, adam, course, published, writer, evaluated, began, before })
    }

    /// Trains to the end; what is left is in the course.
    pub fn run(mut self) -> Result<TrainingState, TrainingStop> {
        let trained = self.epochs();
        // However it ended, the last epoch is on the disk when the process ends; that it could not be written came first.
        self.written()?;
        trained?;
        self.job.loader.clear();
        Ok(self.course)
    }

    fn epochs(&mut self) -> Result<(), TrainingStop> {
        self.some_step()?;
        let mut next = self.plan(self.course.epochs_done);
        while !self.course.finished {
            let epoch = self.course.epochs_done;
            next = self.epoch(epoch, next)?;
        }
        Ok(())
    }

    /// Waits for what is being written of the epoch before.
    fn written(&mut self) -> Result<(), TrainingStop> {
        self.writer.wait(&mut self.job.control.progress.checkpoints)
    }

    fn seconds(&self) -> f64 {
        self.before + self.began.elapsed().as_secs_f64()
    }

    /// Batches of one epoch.
    fn batches(&self) -> u64 {
        self.sets.train.len().div_ceil(self.job.options.batch_size) as u64
    }

    /// Queues everything that an epoch reads, in the order in which it reads it.
    fn plan(&self, epoch: u32) -> VecDeque<Stretch> {
        let options = &self.job.options;
        let classes = self.sets.train.classes();
        let order = epoch_order::epoch(options.sampler, classes, options.batch_size, &mut self.which.order(self.job.seed, epoch));
        let kinds = Arc::from(options.data_augmentation.as_slice());
        let augment = Augmenting { kinds, seed: self.job.seed, at: self.which.epoch(epoch) };
        let per_stretch = if options.evaluation_steps == 0 { usize::MAX } else { options.evaluation_steps };
        let mut plan = VecDeque::new();
        let mut done = 0;
        for items in order.chunks(per_stretch.saturating_mul(options.batch_size)) {
            let batches = items.len().div_ceil(options.batch_size);
            let first_position = done * options.batch_size;
            let section = Section {
                items: Arc::clone(&self.sets.train) as Arc<dyn Items>,
                order: items.to_vec(),
                first_position,
                batch: options.batch_size,
                augment: Some(augment.clone()),
            };
            plan.push_back(Stretch::Train { batches: self.job.loader.queue(section), first: done as u64 });
            done += batches;
            if batches == per_stretch && (done as u64) < self.batches() {
                plan.push_back(self.evaluation(false));
            }
        }
        plan.push_back(self.evaluation(true));
        plan
    }

    fn evaluation(&self, end: bool) -> Stretch {
        let queue = |set: &Arc<Dataset>| {
            let order = (0..set.len()).collect();
            let items = Arc::clone(set) as Arc<dyn Items>;
            let batch = self.evaluated;
            self.job.loader.queue(Section { items, order, first_position: 0, batch, augment: None })
        };
        Stretch::Evaluate { train: queue(&self.sets.train), validation: queue(&self.sets.validation), end }
    }

    /// One epoch along its plan; gives the next one's, whose first items are being loaded by then.
    fn epoch(&mut self, epoch: u32, mut plan: VecDeque<Stretch>) -> Result<VecDeque<Stretch>, TrainingStop> {
        let batches = self.batches();
        let progress = &mut self.job.control.progress;
        (progress.epoch, progress.batches_done) = (epoch, 0);
        progress.batches = batches;
        let mut next = VecDeque::new();
        let mut accumulated = 0;
        while let Some(stretch) = plan.pop_front() {
            match stretch {
                Stretch::Train { mut batches, first } => self.train(epoch, first, &mut batches, &mut accumulated)?,
                Stretch::Evaluate { train, validation, end: false } => {
                    self.evaluate(epoch, &[self.step_within(epoch)], train, validation)?;
                }
                Stretch::Evaluate { train, validation, end: true } => {
                    // Gradients that wait for a step that the epoch no longer makes are dropped.
                    self.adam.zero_grad();
                    if epoch + 1 < self.job.options.epochs {
                        next = self.plan(epoch + 1);
                    }
                    self.finish(epoch, train, validation)?;
                }
            }
        }
        Ok(next)
    }

    /// TensorBoard's step after the last batch trained.
    fn step_within(&self, epoch: u32) -> u64 {
        self.job.control.progress.batches_done.saturating_sub(1) + u64::from(epoch) * self.batches()
    }

    /// An epoch that would drop all its gradients trains nothing.
    fn some_step(&self) -> Result<(), TrainingStop> {
        let (steps, batches) = (self.job.options.accumulation_steps, self.batches());
        if batches >= steps as u64 {
            return Ok(());
        }
        let sentence = format!(
            "accumulation_steps: {steps} batches make one step, but an epoch has only {batches}: no step would ever be made"
        );
        Err(TrainingStop::failed(FailureClass::BadOptions, sentence))
    }

    /// Trains on the queued batches; `accumulated` counts those whose gradients wait for a step.
    fn train(&mut self, epoch: u32, first: u64, batches: &mut Batches, accumulated: &mut usize) -> Result<(), TrainingStop> {
        self.job.control.enter(Phase::Training);
        let targets = match self.job.task() {
            EvaluationTask::Classify => Some(Targets::of(batches.order(), self.sets.train.classes(), &self.network)?),
            EvaluationTask::Reconstruct => None,
        };
        let (mut index, mut trained) = (first, 0);
        let mut began = Instant::now();
        while let Some(batch) = self.job.loader.next(batches)? {
            // libtorch's own draws (dropout) must not depend on what was drawn before, or a resumed run would differ.
            tch::manual_seed(self.which.step(self.job.seed, epoch, index) as i64);
            let output = self.network.forward(&batch.voxels, true)?;
            let loss = match &targets {
                Some(targets) => loss::cross_entropy_sum(&output, &targets.batch(trained, batch.indices.len())?)?,
                None => loss::mse(&output, &batch.voxels)?,
            };
            trained += batch.indices.len();
            loss.f_backward()?;
            *accumulated += 1;
            if *accumulated == self.job.options.accumulation_steps {
                self.adam.step()?;
                self.adam.zero_grad();
                *accumulated = 0;
            }
            index += 1;
            self.job.control.stepped(began.elapsed().as_secs_f64());
            began = Instant::now();
            self.writer.look(&mut self.job.control.progress.checkpoints)?;
            self.job.control.check()?;
        }
        Ok(())
    }

    /// Evaluates both sets and adds a row for each of TensorBoard's `steps`; a loss that is not finite ends the job.
    fn evaluate(
        &mut self,
        epoch: u32,
        steps: &[u64],
        mut train: Batches,
        mut validation: Batches,
    ) -> Result<[Evaluation; 2], TrainingStop> {
        self.job.control.enter(Phase::Evaluating);
        let (network, task, loader, control) = (&self.network, self.job.task(), &self.job.loader, &mut self.job.control);
        let [seen, unseen] = [&self.sets.train, &self.sets.validation].map(|set| set.classes());
        let on_train = evaluate::run(network, task, loader, &mut train, seen, control)?;
        let on_validation = evaluate::run(network, task, loader, &mut validation, unseen, control)?;
        let (train, validation) = (on_train.figures(seen), on_validation.figures(unseen));
        self.job.report_figures(&train, &validation);
        let iteration = self.job.control.progress.batches_done.saturating_sub(1);
        for step in steps {
            let row = TrainingRow { epoch, iteration, time: self.seconds(), train, validation, step: *step, wall_time: now() };
            self.published.append(&row)?;
            self.course.rows.push(row);
        }
        if train.loss.is_finite() && validation.loss.is_finite() {
            return Ok([on_train, on_validation]);
        }
        self.written()?;
        self.published.shown().table(&self.course.rows)?;
        let sentence =
            format!("the loss is not finite in epoch {epoch}; a smaller learning_rate may help; the best models so far are kept");
        Err(TrainingStop::failed(FailureClass::BadOptions, sentence))
    }

    /// The end of an epoch: evaluated, judged, kept as a checkpoint, and then shown in the fold's folder.
    fn finish(&mut self, epoch: u32, train: Batches, validation: Batches) -> Result<(), TrainingStop> {
        let end = u64::from(epoch + 1) * self.batches();
        // Where an inner evaluation falls on the last batch, it is this one, and has a row of its own.
        let inner = self.job.options.evaluation_steps as u64;
        let falls_here = inner != 0 && self.batches().is_multiple_of(inner);
        let steps = if falls_here { vec![self.step_within(epoch), end] } else { vec![end] };
        let [train, validation] = self.evaluate(epoch, &steps, train, validation)?;
        self.job.control.enter(Phase::Writing);
        // There is one set of copies at most: that of the epoch before is gone once it is written.
        self.written()?;
        let figures = validation.figures(self.sets.validation.classes());
        let improved = self.course.judge(epoch, &self.network, figures, [train, validation])?;
        self.course.epochs_done = epoch + 1;
        self.course.finished = self.course.stopping.stops_after(figures.loss) || epoch + 1 >= self.job.options.epochs;
        self.course.elapsed = self.seconds();
        let commit = self.commit(epoch, improved)?;
        self.writer.hand(&mut self.job.control.progress.checkpoints, || commit.write())
    }

    /// What is written of the epoch that the course has just taken in.
    fn commit(&self, epoch: u32, improved: Vec<Selection>) -> Result<Commit, TrainingStop> {
        let best = improved.first().and_then(|selection| self.course.best.get(selection));
        // What is written before the next step needs no copy.
        let take = if self.writer.is_beside() { state_dict::copied } else { state_dict::live };
        let (weights, adam) = match best {
            _ if self.course.finished => (Rc::default(), State::new()),
            Some(best) => (Rc::clone(&best.state), self.adam.state_by(take)?),
            None => (Rc::new(self.network.state_by(take)?), self.adam.state_by(take)?),
        };
        let improved = best.map(|best| (improved, Model::of(best)));
        let epochs = self.job.options.epochs;
        let number = checkpoint::number(self.which.position.unwrap_or(0), epoch, epochs);
        let place = Some(checkpoint::place(self.which.fold, number, epochs));
        let (stamp, course) = (CheckpointStamp { place, ..self.job.stamp.clone() }, self.course.clone());
        let count = self.job.control.progress.checkpoints + 1;
        let draft = Checkpoint { stamp, count, course, weights, adam }.draft();
        let (folder, shown) = (self.folder.clone(), self.published.shown().clone());
        Ok(Commit { folder, draft, number, epochs, shown, improved })
    }
}
