//! Whatever happens to a search, each of its jobs is counted once, and `finished` is said only when all have ended.

use super::*;
use crate::domain::random::below;
use crate::domain::search_state::{Counts, SearchState};
use crate::domain::seed;
use crate::engine::command::{Command, on_command};
use crate::engine::search_state;
use rand_chacha::ChaCha12Rng;
use std::collections::BTreeSet;

/// A search and the world that carries out its effects, one at a time and in any order.
struct World {
    search: Search,
    random: ChaCha12Rng,
    n_jobs: u64,
    chosen: u64,
    leases: u64,
    /// Slots that were asked for and not granted yet.
    wanted: u64,
    drawing: BTreeSet<u64>,
    /// Trainers that are being started, run, or were asked to stop.
    trainers: BTreeSet<JobName>,
    resting: BTreeSet<JobName>,
    /// The jobs whose folders exist.
    folders: BTreeSet<JobName>,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut world = World {
            search: Search::default(),
            random: seed::stream(seed, "events", &[]),
            n_jobs: 3,
            chosen: 0,
            leases: 0,
            wanted: 0,
            drawing: BTreeSet::new(),
            trainers: BTreeSet::new(),
            resting: BTreeSet::new(),
            folders: BTreeSet::new(),
        };
        let effects = react::on_space(&mut world.search, SpaceNews::Accepted(terms(3)));
        world.carry_out(effects);
        world
    }

    fn below(&mut self, count: usize) -> usize {
        below(&mut self.random, count as u64) as usize
    }

    fn carry_out(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Ask(demand) => self.wanted = demand.cpu,
                Effect::Draw { index, .. } => assert!(self.drawing.insert(index), "{index} is drawn twice"),
                Effect::Launch { job, .. } => assert!(self.trainers.insert(job), "two trainers of one job"),
                Effect::Rest { job, .. } => drop(self.resting.insert(job)),
                _ => {}
            }
        }
    }

    /// One thing that may happen now.
    fn step(&mut self) {
        let pick = |random: &mut ChaCha12Rng, names: &BTreeSet<JobName>| {
            names.iter().nth(below(random, names.len() as u64) as usize).cloned()
        };
        let trainer = pick(&mut self.random, &self.trainers);
        let folder = pick(&mut self.random, &self.folders);
        let drawn = self.drawing.iter().nth(below(&mut self.random, self.drawing.len() as u64) as usize).copied();
        let effects = match (self.below(12), drawn, trainer, folder) {
            (0..=1, ..) if self.wanted > 0 => {
                self.leases += 1;
                react::on_slot(&mut self.search, lease(self.leases), 100)
            }
            (2..=4, Some(index), ..) => self.drawn(index),
            (5..=7, _, Some(job), _) => self.ended(&job),
            (8, _, Some(job), _) => react::on_started(&mut self.search, &job),
            (9, ..) => self.edited(),
            (10, .., Some(job)) => self.asked(job),
            (11, ..) => match self.resting.pop_first() {
                Some(job) => attempt_end::on_retry_due(&mut self.search, &job),
                None => self.enqueued(),
            },
            _ => Vec::new(),
        };
        self.carry_out(effects);
    }

    fn drawn(&mut self, index: u64) -> Vec<Effect> {
        self.drawing.remove(&index);
        let failed = Drawn::Failed { need: Need::Cpu, class: FailureClass::BadData, sentence: "bad".into() };
        let drawn = match self.below(4) {
            0 => return react::on_not_drawn(&mut self.search, index, NotDrawn::Refused("the disk is full".into())),
            1 => failed,
            _ => Drawn::Ready { need: Need::Cpu },
        };
        self.folders.insert(name(index));
        react::on_drawn(&mut self.search, index, name(index), drawn, 100)
    }

    fn ended(&mut self, job: &JobName) -> Vec<Effect> {
        self.trainers.remove(job);
        let outcome = match self.below(3) {
            0 => crashed(),
            1 => ended(Some(Ended::Interrupted { sentence: None })),
            _ => ended(Some(Ended::Done)),
        };
        attempt_end::on_ended(&mut self.search, job, &outcome)
    }

    /// The file is written anew, with a job more where there are few.
    fn edited(&mut self) -> Vec<Effect> {
        self.n_jobs = (self.n_jobs + self.below(2) as u64).min(6);
        let mut effects = crate::engine::holds::on_room(&mut self.search);
        let news = if self.below(4) == 0 { SpaceNews::Unsettled } else { SpaceNews::Accepted(terms(self.n_jobs)) };
        effects.extend(react::on_space(&mut self.search, news));
        self.n_jobs = self.search.terms.as_ref().map_or(0, |terms| terms.n_jobs);
        effects
    }

    fn asked(&mut self, job: JobName) -> Vec<Effect> {
        let command = match self.below(7) {
            0 => Command::PauseSearch,
            1 => Command::ResumeSearch,
            2 => Command::PauseJob(job),
            3 => Command::ResumeJob(job),
            4 => Command::CancelJob(job),
            5 => Command::CancelSearch,
            _ => Command::RetryJob(job),
        };
        on_command(&mut self.search, command).map_or_else(|_| Vec::new(), |(_, effects)| effects)
    }

    fn enqueued(&mut self) -> Vec<Effect> {
        self.chosen += 1;
        let job = JobName::numbered("chosen", self.chosen).expect("a name");
        self.folders.insert(job.clone());
        react::on_enqueued(&mut self.search, job, Need::Cpu)
    }

    /// Each job is counted once, whether it is drawn, being drawn, or not drawn yet. Returns the state that is shown.
    fn check(&self) -> SearchState {
        let Counts { undrawn, queued, running, paused, done, cancelled, failed, unrecorded } = self.search.counts();
        let ended = done + cancelled + failed;
        let all = self.n_jobs + self.chosen;
        assert_eq!(undrawn + queued + running + paused + ended + unrecorded, all, "{:?}", self.search);
        let shown = search_state::of(&self.search, &self.search.counts(), true);
        if shown == SearchState::Finished {
            assert_eq!((ended, self.drawing.len(), self.trainers.len()), (all, 0, 0), "{:?}", self.search);
            assert_eq!(self.folders.len() as u64, all);
        }
        shown
    }
}

#[test]
fn after_any_events_the_counts_add_up_and_finished_means_that_every_job_has_ended() {
    let mut finished = 0;
    for seed in 0..2_000 {
        let mut world = World::new(seed);
        for _ in 0..120 {
            world.step();
            finished += u32::from(world.check() == SearchState::Finished);
        }
    }
    assert!(finished > 1_000, "the property is tested where it matters: {finished} times a search was finished");
}

#[test]
fn a_chosen_job_is_counted_once_whoever_sees_its_folder_first() {
    let mut search = accepted(0);
    let job = || JobName::try_from("chosen-0".to_string()).expect("a name");
    assert_eq!(react::on_enqueued(&mut search, job(), Need::Cpu), [Effect::Tabulate { job: job() }, Effect::Ask(cpu(1))]);
    assert_eq!(react::on_enqueued(&mut search, job(), Need::Cpu), []);
    assert_eq!(search.counts(), Counts { queued: 1, ..Counts::default() });
}
