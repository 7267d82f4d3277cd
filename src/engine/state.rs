//! What the daemon believes about one search: its terms, its jobs, and what stands in the way of new ones.

use crate::domain::attempt_history::AttemptHistory;
use crate::domain::device::{Device, Need};
use crate::domain::job::{FailureClass, JobName, JobState, PendingRequest, RunElsewhere};
use crate::domain::missing_input::Input;
use crate::domain::search_state::Counts;
use crate::domain::search_terms::Terms;
use std::collections::{BTreeMap, BTreeSet};

/// A slot on a device, lent to one job until it is given back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// Unique in the life of the daemon.
    pub id: u64,
    pub device: Device,
    pub need: Need,
}

/// Whether new jobs may be drawn from the space file as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Space {
    /// Not looked at yet, or still being written.
    Unsettled,
    /// The file is gone: what was drawn goes on, nothing new is drawn.
    Missing,
    /// The file is at fault: the text of `random_search.error`.
    Refused(String),
    Accepted,
}

/// Why a running job was asked to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopReason {
    Pause,
    Cancel,
    Stall,
    /// The daemon stops with its trainers: the job is queued again.
    Shutdown,
}

impl StopReason {
    /// What somebody asked for over the control socket, which a new daemon has to finish should this one die first.
    pub const fn request(self) -> Option<PendingRequest> {
        match self {
            StopReason::Pause => Some(PendingRequest::Pause),
            StopReason::Cancel => Some(PendingRequest::Cancel),
            StopReason::Stall | StopReason::Shutdown => None,
        }
    }

    pub const fn of(request: PendingRequest) -> Option<Self> {
        match request {
            PendingRequest::Pause => Some(StopReason::Pause),
            PendingRequest::Cancel => Some(StopReason::Cancel),
            PendingRequest::Retry => None,
        }
    }
}

/// What keeps a search from starting anything new, whatever it would like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hold {
    /// The daemon stops.
    Stopping,
    /// The launch directory is gone, or another one has its name.
    Directory,
    /// The disk is full or not writable, or a trainer cannot be started.
    Surroundings,
}

/// Where a job of this search stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Ready for the next slot.
    Waiting,
    /// Queued, but pausing after a failure until its retry is due.
    Resting,
    /// Its record says running, its trainer is being started.
    Starting(Lease),
    /// A live trainer was found, its slot is being claimed.
    Adopting,
    Running(Lease),
    /// Its record says running, and whether that is so cannot be known from here, for this reason: neither finished nor
    /// to be started again.
    Unclear(String),
    Stopping(Lease, StopReason),
    Paused,
    Done,
    Cancelled,
    Failed(FailureClass, String),
    /// Somebody else's: `generate` runs it, or it came from elsewhere. Shown and tabulated, never touched.
    /// None: it has no record that says how far it is.
    Foreign(Option<JobState>),
}

impl Standing {
    /// Whether the job of ours has ended: nothing more happens to it unless somebody asks for it.
    pub const fn is_over(&self) -> bool {
        match self {
            Standing::Done | Standing::Cancelled | Standing::Failed(..) => true,
            Standing::Waiting
            | Standing::Resting
            | Standing::Starting(_)
            | Standing::Adopting
            | Standing::Running(_)
            | Standing::Unclear(_)
            | Standing::Stopping(..)
            | Standing::Paused
            | Standing::Foreign(_) => false,
        }
    }
}

/// One job. Everything else about it stands in its folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    pub index: Option<u64>,
    pub need: Need,
    pub standing: Standing,
    pub history: AttemptHistory,
    /// The count of checkpoints when the last attempt began; more now means that it got somewhere.
    pub checkpoints_at_start: u64,
    /// Seconds since the epoch when the running attempt began.
    pub since: u64,
    /// The slot of the trainer that it seems to have, while nothing more can be known of the two.
    pub held: Option<Lease>,
    /// Who runs it in the daemon's stead, where it is foreign for that.
    pub elsewhere: Option<RunElsewhere>,
    /// Its record could not be read, so that all else here is a guess until it can.
    pub unread: bool,
    /// Its record on the disk is older than this state, since a write failed.
    pub unsaved: bool,
    /// What is wrong with its folder or its trainer, for people to see.
    pub trouble: Option<String>,
}

impl Job {
    pub fn new(index: Option<u64>, need: Need, standing: Standing) -> Self {
        Job {
            index,
            need,
            standing,
            history: AttemptHistory::default(),
            checkpoints_at_start: 0,
            since: 0,
            held: None,
            elsewhere: None,
            unread: false,
            unsaved: false,
            trouble: None,
        }
    }

    /// Takes note of the checkpoints there are: one more than when the attempt began, and no failure counts any more.
    pub(crate) fn note_checkpoints(&mut self, checkpoints: u64) {
        self.history.note_checkpoints(checkpoints, self.checkpoints_at_start);
    }

    /// The state as files and replies name it, or None if nobody recorded one.
    pub fn state(&self) -> Option<JobState> {
        Some(match &self.standing {
            Standing::Waiting | Standing::Resting => JobState::Queued,
            Standing::Starting(lease) | Standing::Running(lease) | Standing::Stopping(lease, _) => {
                JobState::Running { device: Some(lease.device.clone()), since: self.since }
            }
            Standing::Adopting | Standing::Unclear(_) => JobState::Running { device: None, since: self.since },
            Standing::Paused => JobState::Paused,
            Standing::Done => JobState::Done,
            Standing::Cancelled => JobState::Cancelled,
            Standing::Failed(class, sentence) => JobState::Failed { class: *class, sentence: sentence.clone() },
            Standing::Foreign(state) => return state.clone(),
        })
    }

    pub const fn lease(&self) -> Option<&Lease> {
        match &self.standing {
            Standing::Starting(lease) | Standing::Running(lease) | Standing::Stopping(lease, _) => Some(lease),
            _ => None,
        }
    }
}

/// One search. Only the functions of this layer change it.
#[derive(Debug, Clone, PartialEq)]
pub struct Search {
    /// None until a space was accepted once.
    pub terms: Option<Terms>,
    pub space: Space,
    pub jobs: BTreeMap<JobName, Job>,
    /// Waiting jobs, lowest index first; those without an index come last.
    pub waiting: BTreeSet<(u64, JobName)>,
    /// Indices that have a job, or whose folder's name is taken by something else.
    pub indices: BTreeSet<u64>,
    /// The latter of them.
    pub taken: BTreeSet<u64>,
    /// Indices being drawn now, with the slot that waits for each.
    pub drawing: BTreeMap<u64, Option<Lease>>,
    /// Those of them that were cancelled meanwhile.
    pub(crate) cancelled: BTreeSet<u64>,
    /// No index below it is still to be drawn.
    pub(crate) frontier: u64,
    /// The search's record on the disk is older than its terms, since a write failed.
    pub unsaved: bool,
    /// Why nothing new is started, a sentence each.
    pub holds: BTreeMap<Hold, String>,
    /// How often the surroundings held it, or were found no better, without a job getting anywhere in between.
    pub(crate) holds_in_a_row: u32,
    /// Bytes that must be free before it goes on, as far as that is known.
    pub room_wanted: u64,
    /// An input that must be there before it goes on.
    pub out_of_reach: Option<Input>,
    /// Its time limit is over: nothing new is started.
    pub time_over: bool,
    /// The demand that the devices were last told.
    pub told: Demand,
}

/// How many jobs could start now, by what they need, and the search's claim on slots.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Demand {
    pub cpu: u64,
    pub gpu: u64,
    pub priority: i32,
    pub slots: Option<u32>,
}

/// Sorts jobs without an index behind all others.
pub(crate) const NO_INDEX: u64 = u64::MAX;

impl Default for Search {
    fn default() -> Self {
        Search {
            terms: None,
            space: Space::Unsettled,
            jobs: BTreeMap::new(),
            waiting: BTreeSet::new(),
            indices: BTreeSet::new(),
            taken: BTreeSet::new(),
            drawing: BTreeMap::new(),
            cancelled: BTreeSet::new(),
            frontier: 0,
            unsaved: false,
            holds: BTreeMap::new(),
            holds_in_a_row: 0,
            room_wanted: 0,
            out_of_reach: None,
            time_over: false,
            told: Demand::default(),
        }
    }
}

impl Search {
    /// The lowest index without a job, if one is still to be drawn.
    pub fn next_index(&mut self) -> Option<u64> {
        let n_jobs = self.terms.as_ref()?.n_jobs;
        while self.frontier < n_jobs && (self.indices.contains(&self.frontier) || self.drawing.contains_key(&self.frontier)) {
            self.frontier += 1;
        }
        (self.frontier < n_jobs).then_some(self.frontier)
    }

    /// The highest index that the search itself has drawn, or is drawing; jobs of somebody else's do not count.
    pub fn last_drawn(&self) -> Option<u64> {
        let own = self.jobs.values().filter(|job| !matches!(job.standing, Standing::Foreign(_)));
        own.filter_map(|job| job.index).chain(self.drawing.keys().copied()).max()
    }

    /// The jobs by state. One that is being drawn has no folder yet, and counts as not drawn until it has.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts { undrawn: self.undrawn() + self.drawing.len() as u64, ..Counts::default() };
        for job in self.jobs.values() {
            counts.add(job.state().as_ref());
        }
        counts
    }

    /// How many jobs are still to be drawn, without those that are being drawn.
    pub fn undrawn(&self) -> u64 {
        let Some(terms) = &self.terms else { return 0 };
        let below = |last: Option<&u64>, all: usize, some: &dyn Fn() -> usize| match last {
            Some(last) if *last >= terms.n_jobs => some(),
            _ => all,
        };
        let known = below(self.indices.last(), self.indices.len(), &|| self.indices.range(..terms.n_jobs).count());
        let drawing = self.drawing.range(..terms.n_jobs).count();
        terms.n_jobs.saturating_sub((known + drawing) as u64)
    }

    /// Why nothing new is started, if something stands in the way.
    pub fn held(&self) -> Option<&str> {
        self.holds.values().next().map(String::as_str)
    }

    /// Whether jobs may be started at all.
    pub fn is_open(&self) -> bool {
        self.holds.is_empty() && !self.time_over && self.terms.as_ref().is_some_and(|terms| !terms.paused)
    }

    /// Whether new jobs may be drawn.
    pub fn may_draw(&self) -> bool {
        self.is_open() && self.space == Space::Accepted
    }

    /// What could start now.
    pub fn demand(&self) -> Demand {
        let mut demand = Demand::default();
        let Some(terms) = &self.terms else { return demand };
        demand.priority = terms.priority;
        demand.slots = terms.slots;
        if self.is_open() {
            for (_, name) in &self.waiting {
                match self.jobs.get(name).map(|job| job.need) {
                    Some(Need::Cpu) => demand.cpu += 1,
                    Some(Need::Gpu) => demand.gpu += 1,
                    None => {}
                }
            }
        }
        if self.may_draw() {
            match terms.need {
                Need::Cpu => demand.cpu += self.undrawn(),
                Need::Gpu => demand.gpu += self.undrawn(),
            }
        }
        demand
    }

    /// Sets a job's standing and keeps the list of waiting jobs true to it.
    pub(crate) fn set(&mut self, name: &JobName, standing: Standing) {
        let Some(job) = self.jobs.get_mut(name) else { return };
        let key = (job.index.unwrap_or(NO_INDEX), name.clone());
        if standing == Standing::Waiting {
            self.waiting.insert(key);
        } else {
            self.waiting.remove(&key);
        }
        job.standing = standing;
    }

    /// Adds a job that was not known.
    pub(crate) fn add(&mut self, name: JobName, job: Job) {
        self.indices.extend(job.index);
        if job.standing == Standing::Waiting {
            self.waiting.insert((job.index.unwrap_or(NO_INDEX), name.clone()));
        }
        self.jobs.insert(name, job);
    }

    /// Forgets a job whose folder is gone.
    pub(crate) fn remove(&mut self, name: &JobName) {
        if let Some(job) = self.jobs.remove(name) {
            self.waiting.remove(&(job.index.unwrap_or(NO_INDEX), name.clone()));
            if let Some(index) = job.index {
                self.free_index(index);
            }
        }
    }

    /// Makes an index available for drawing again.
    pub(crate) fn free_index(&mut self, index: u64) {
        self.indices.remove(&index);
        self.frontier = self.frontier.min(index);
    }
}
