//! Why a job is where it is, in sentences: what it does, or everything that stands between it and its start.

use super::pool::called;
use super::state::{Job, NO_INDEX, Search, Space, Standing};
use crate::domain::device::Need;
use crate::domain::job::{JobName, JobState, RunElsewhere};

/// What is to be said of one job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explained {
    /// One clause: what it does, or that it waits, without the reasons.
    pub what: String,
    /// What its own search keeps it from starting for, the strongest reason first. What the devices say comes after these.
    pub reasons: Vec<String>,
    /// The kind of slot that it waits for, or None if it waits for none.
    pub waits_for: Option<Need>,
}

impl Explained {
    fn at_rest(what: impl Into<String>) -> Self {
        Explained { what: what.into(), reasons: Vec::new(), waits_for: None }
    }

    /// One sentence: the clause, and the first reason where there are some.
    pub fn sentence(&self) -> String {
        match self.reasons.first() {
            Some(reason) => format!("{}: {reason}", self.what),
            None => self.what.clone(),
        }
    }
}

/// A job that has its folder.
pub fn known(search: &Search, name: &JobName, job: &Job) -> Explained {
    match &job.standing {
        Standing::Waiting => {
            let before = search.waiting.range(..(job.index.unwrap_or(NO_INDEX), name.clone()));
            let before = before.filter(|(_, other)| search.jobs.get(other).is_some_and(|other| other.need == job.need)).count();
            let mut reasons = closed(search);
            reasons.extend(own_limit(search));
            reasons.extend(place(before as u64));
            let what = format!("it waits for a slot on {}", called(job.need));
            Explained { what, reasons, waits_for: Some(job.need) }
        }
        Standing::Resting => {
            let failed = job.history.failures_in_a_row;
            Explained::at_rest(format!("it failed {failed} times in a row and pauses before the next attempt"))
        }
        Standing::Starting(lease) => Explained::at_rest(format!("its trainer is being started on {}", lease.device)),
        Standing::Adopting => Explained::at_rest("its live trainer is being taken over"),
        Standing::Running(lease) => Explained::at_rest(format!("it runs on {}, attempt {}", lease.device, job.history.attempts)),
        Standing::Unclear(why) => Explained::at_rest(format!("it is left alone: {why}")),
        Standing::Stopping(lease, _) => Explained::at_rest(format!("it was asked to stop, on {}", lease.device)),
        Standing::Paused => Explained::at_rest("it is paused; resume it"),
        Standing::Done => Explained::at_rest("every fold has its results"),
        Standing::Cancelled => Explained::at_rest("it was cancelled; retry starts it again"),
        Standing::Failed(class, sentence) => Explained::at_rest(format!("it failed ({class}): {sentence}")),
        Standing::Foreign(state) => Explained::at_rest(match (&job.elsewhere, state) {
            (Some(elsewhere), _) => by_another(elsewhere),
            (None, Some(JobState::Failed { class, sentence })) => {
                format!("it failed ({class}): {sentence}; the daemon only tabulates it")
            }
            (None, Some(JobState::Done)) => {
                "every fold has its results; it is not the daemon's, which only tabulates it".to_string()
            }
            (None, _) => "somebody else runs it, or it was made elsewhere; the daemon only tabulates it".to_string(),
        }),
    }
}

/// Who runs a job in the daemon's stead, and how it becomes the daemon's again.
pub fn by_another(elsewhere: &RunElsewhere) -> String {
    let RunElsewhere { pid, host, away } = elsewhere;
    if *away {
        format!(
            "`neurosearch continue` on {host:?} (process {pid}) took it, and whether that still runs cannot be seen from here; \
             once it does not, `neurosearch retry` of this job gives it back to the daemon"
        )
    } else {
        format!("`neurosearch continue` (process {pid}) runs it; it is the daemon's again when that ends")
    }
}

/// The job of this index, which has no folder yet, or None if the search draws no such job.
pub fn undrawn(search: &Search, index: u64) -> Option<Explained> {
    let terms = search.terms.as_ref().filter(|terms| index < terms.n_jobs)?;
    if search.drawing.contains_key(&index) {
        return Some(Explained::at_rest("it is being drawn at this moment"));
    }
    if search.indices.contains(&index) {
        return Some(Explained::at_rest(match search.jobs.iter().find(|(_, job)| job.index == Some(index)) {
            Some((name, _)) => format!("{name} has this index already, so no other job is drawn for it"),
            None => "its folder's name belongs to something that is not a job, so this index is left out; move that away".into(),
        }));
    }
    let waiting = search.waiting.iter().filter(|(_, name)| search.jobs.get(name).is_some_and(|job| job.need == terms.need));
    let drawn = search.indices.range(..index).count() + search.drawing.range(..index).count();
    let before = waiting.count() as u64 + index.saturating_sub(drawn as u64);
    let mut reasons = closed(search);
    reasons.extend(undrawable(search));
    reasons.extend(own_limit(search));
    reasons.extend(place(before));
    let what = format!("it is not drawn yet, which happens when a slot on {} is free for it", called(terms.need));
    Some(Explained { what, reasons, waits_for: Some(terms.need) })
}

/// The index of a job that has no folder and is still to be drawn.
pub fn index_to_draw(search: &Search, name: &JobName) -> Option<u64> {
    let terms = search.terms.as_ref()?;
    name.index(&terms.job_prefix).filter(|index| *index < terms.n_jobs && !search.jobs.contains_key(name))
}

/// Why nothing of this search is started.
fn closed(search: &Search) -> Vec<String> {
    let mut reasons = Vec::new();
    reasons.extend(search.holds.values().map(|held| format!("nothing new is started here: {held}")));
    if search.terms.as_ref().is_some_and(|terms| terms.paused) {
        reasons.push("its search is paused; `neurosearch resume` with the launch directory lets it go on".to_string());
    }
    if search.time_over {
        let cure = "`neurosearch set LAUNCH time_limit_hours=H` gives it more, `time_limit_hours=none` takes the limit away";
        reasons.push(format!("its search's time limit is over; {cure}"));
    }
    reasons
}

/// Why no new job is drawn from the space.
fn undrawable(search: &Search) -> Option<String> {
    match &search.space {
        Space::Accepted => None,
        Space::Unsettled => Some("random_search.json is still being looked at".to_string()),
        Space::Missing => Some("random_search.json is gone; put it back".to_string()),
        Space::Refused(_) => Some("random_search.json is refused; `neurosearch status` shows its faults, mend them".to_string()),
    }
}

/// The search's own limit on slots, where it is reached.
fn own_limit(search: &Search) -> Option<String> {
    let most = search.terms.as_ref()?.slots?;
    let has = search.jobs.values().filter(|job| job.lease().is_some()).count()
        + search.drawing.values().filter(|lease| lease.is_some()).count();
    let cure = "`neurosearch set LAUNCH slots=all` lets it have as many as there are";
    match most {
        0 => Some(format!("its search may use no slot (slots=0); {cure}")),
        1 if has >= 1 => Some(format!("its search uses the one slot that it may have (slots=1); {cure}")),
        _ if has >= most as usize => Some(format!("its search uses the {most} slots that it may have (slots={most}); {cure}")),
        _ => None,
    }
}

fn place(before: u64) -> Option<String> {
    match before {
        0 => None,
        1 => Some("one other job of its search comes before it".to_string()),
        _ => Some(format!("{before} other jobs of its search come before it")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::state::{Hold, Lease};
    use crate::testing::{device, terms};

    fn name(index: u64) -> JobName {
        JobName::numbered("job", index).expect("a name")
    }

    /// Five jobs wanted, of which job-0 runs and job-1 waits.
    fn search() -> Search {
        let mut search = Search { terms: Some(terms(5)), space: Space::Accepted, ..Search::default() };
        let lease = Lease { id: 1, device: device("cpu"), need: Need::Cpu };
        search.add(name(0), Job::new(Some(0), Need::Cpu, Standing::Running(lease)));
        search.add(name(1), Job::new(Some(1), Need::Cpu, Standing::Waiting));
        search
    }

    #[test]
    fn each_thing_that_stands_in_the_way_is_said_with_its_cure() {
        type Change = fn(&mut Search);
        let cases: [(Change, &str); 8] = [
            (|s| drop(s.holds.insert(Hold::Surroundings, "the disk is full".into())), "the disk is full"),
            (|s| s.terms.as_mut().expect("terms").paused = true, "paused; `neurosearch resume`"),
            (|s| s.time_over = true, "time_limit_hours=H"),
            (|s| s.terms.as_mut().expect("terms").slots = Some(0), "slots=0"),
            (|s| s.terms.as_mut().expect("terms").slots = Some(1), "slots=1"),
            (|s| s.space = Space::Refused("line 1".into()), "refused"),
            (|s| s.space = Space::Missing, "put it back"),
            (|s| s.space = Space::Unsettled, "looked at"),
        ];
        for (i, (change, words)) in cases.into_iter().enumerate() {
            let mut search = search();
            change(&mut search);
            let later = undrawn(&search, 3).expect("one that is to be drawn");
            assert!(later.sentence().contains(words), "{later:?}");
            let waiting = known(&search, &name(1), &search.jobs[&name(1)]);
            // What is drawn already does not need the file any more.
            assert_eq!(waiting.reasons.len(), usize::from(i < 5), "{waiting:?}");
        }
    }

    #[test]
    fn an_index_that_another_job_has_is_said_to_be_its() {
        let mut search = search();
        search.add(JobName::try_from("try-1".to_string()).expect("a name"), Job::new(Some(3), Need::Cpu, Standing::Done));
        let taken = undrawn(&search, 3).expect("below n_jobs");
        assert_eq!(
            (taken.sentence().as_str(), taken.waits_for),
            ("try-1 has this index already, so no other job is drawn for it", None)
        );
        search.indices.insert(4);
        assert!(undrawn(&search, 4).expect("below n_jobs").sentence().contains("is not a job"));
    }

    #[test]
    fn the_searchs_own_limit_is_a_reason_once_it_is_reached() {
        let lease = |id| Lease { id, device: device("cpu"), need: Need::Cpu };
        // The limit, the slots of running jobs and of draws, and what is said.
        for (slots, running, drawing, said) in [
            (Some(0), 0, 0, Some("its search may use no slot (slots=0); ")),
            (Some(1), 0, 0, None),
            (Some(1), 1, 0, Some("its search uses the one slot that it may have (slots=1); ")),
            (Some(2), 1, 0, None),
            (Some(2), 1, 1, Some("its search uses the 2 slots that it may have (slots=2); ")),
            (Some(2), 2, 1, Some("its search uses the 2 slots that it may have (slots=2); ")),
            (None, 2, 1, None),
        ] {
            let mut search = Search { terms: Some(terms(9)), space: Space::Accepted, ..Search::default() };
            search.terms.as_mut().expect("terms").slots = slots;
            (0..running).for_each(|i| search.add(name(i), Job::new(Some(i), Need::Cpu, Standing::Running(lease(i)))));
            search.drawing = (7..7 + drawing).map(|index| (index, Some(lease(index)))).collect();
            search.drawing.insert(6, None);
            let answer = own_limit(&search);
            let whole = said.map(|said| format!("{said}`neurosearch set LAUNCH slots=all` lets it have as many as there are"));
            assert_eq!(answer, whole, "{slots:?} {running} {drawing}");
        }
    }

    #[test]
    fn an_index_is_to_be_drawn_where_it_is_wanted_and_has_no_folder() {
        let search = search();
        for (word, index) in [("job-0", None), ("job-2", Some(2)), ("job-4", Some(4)), ("job-5", None), ("try-4", None)] {
            let name = JobName::try_from(word.to_string()).expect("a name");
            assert_eq!(index_to_draw(&search, &name), index, "{word}");
        }
    }

    #[test]
    fn the_place_in_line_counts_what_waits_and_what_is_drawn_before() {
        let mut search = search();
        let before = |search: &Search, index| undrawn(search, index).expect("to be drawn").reasons;
        assert_eq!(before(&search, 2), ["one other job of its search comes before it"]);
        assert_eq!(before(&search, 4), ["3 other jobs of its search come before it"]);
        assert_eq!(undrawn(&search, 5), None, "no such job is wanted");
        search.drawing.insert(2, None);
        assert_eq!(undrawn(&search, 2).expect("known").waits_for, None);
        assert_eq!(before(&search, 4), ["2 other jobs of its search come before it"]);
        assert_eq!(known(&search, &name(1), &search.jobs[&name(1)]).sentence(), "it waits for a slot on the CPU");
        search.add(name(3), Job::new(Some(3), Need::Gpu, Standing::Waiting));
        assert!(known(&search, &name(3), &search.jobs[&name(3)]).reasons.is_empty(), "nothing before it waits for a GPU");
        search.add(name(4), Job::new(Some(4), Need::Cpu, Standing::Waiting));
        let after = known(&search, &name(4), &search.jobs[&name(4)]);
        assert_eq!(after.reasons, ["one other job of its search comes before it"]);
    }
}
