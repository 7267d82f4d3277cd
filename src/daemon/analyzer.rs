//! The actor that keeps one launch directory's tables true: any number of changes during a run cost one more run.

use super::workshop::Workshop;
use super::written;
use crate::analysis::{Ranking, Tables};
use crate::domain::job::JobName;
use crate::engine::coalesce::Coalesce;
use crate::engine::outcome;
use crate::process::memory;
use crate::store::error::StoreError;
use crate::store::layout::LaunchDir;
use actix::{Actor, ActorFutureExt, AsyncContext, Context, Handler, Message, MessageResult, Recipient, WrapFuture};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tracing::{debug, info, warn};

/// Shortest time between the end of a run and the next, so that a storm of changes costs two runs a second at most.
const APART: Duration = Duration::from_millis(500);

/// After so many single jobs a scan of all of them is no more work, and the list of them no longer grows.
const MOST: usize = 10_000;

/// One launch directory's tables.
pub struct Analyzer {
    launch: LaunchDir,
    work: Coalesce,
    due: Due,
    /// None while a run has them, and before the first.
    tables: Option<Tables>,
    workshop: Workshop,
    /// Who is told whether the tables are as they should be.
    search: Option<Recipient<Tabulated>>,
    /// Runs in a row that failed.
    failures: u32,
    /// As the last run left it.
    ranking: Arc<Ranking>,
}

/// The jobs with a result, best first, as the tables on the disk have them.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "Arc<Ranking>")]
pub struct Rank;

/// Tell this search of the tables.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct ReportTo(pub Recipient<Tabulated>);

/// The tables are as they should be; or why they are not, in a sentence.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Tabulated(pub Option<String>);

/// What changed in the launch directory.
#[derive(Debug, Clone, PartialEq, Eq, Message)]
#[rtype(result = "()")]
pub enum Changed {
    Job(JobName),
    All,
    /// But a table is not there: it is written from what is known.
    Nothing,
}

/// Answered once every message before it was handled.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct AreYouThere;

/// What the next run has to read.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Due {
    Jobs(BTreeSet<JobName>),
    All,
}

impl Due {
    fn add(&mut self, changed: Changed) {
        match (&mut *self, changed) {
            (Due::Jobs(jobs), Changed::Job(job)) if jobs.len() < MOST => {
                jobs.insert(job);
            }
            (_, Changed::Nothing) => {}
            _ => *self = Due::All,
        }
    }
}

impl Analyzer {
    pub fn new(workshop: Workshop, launch: LaunchDir) -> Self {
        let (work, due) = (Coalesce::default(), Due::All);
        Analyzer { launch, work, due, tables: None, workshop, search: None, failures: 0, ranking: Arc::default() }
    }

    fn run(&mut self, ctx: &mut Context<Self>) {
        let due = std::mem::replace(&mut self.due, Due::Jobs(BTreeSet::new()));
        let (tables, launch) = (self.tables.take(), self.launch.clone());
        let place = self.launch.path().parent().unwrap_or(Path::new("/")).to_path_buf();
        let work = self.workshop.run(&place, move || tabulate(tables, launch, &due));
        ctx.spawn(work.into_actor(self).map(|done, this, ctx| {
            let pause = match done {
                Ok(Ok((tables, ranking))) => {
                    this.tables = Some(tables);
                    this.ranking = Arc::new(ranking);
                    this.tell(None);
                    APART
                }
                Ok(Err(e)) => this.try_again(&e),
                Err(e) => this.try_again(&e),
            };
            ctx.run_later(pause, |this, ctx| {
                if this.work.on_finished() {
                    this.run(ctx);
                }
            });
        }));
    }

    /// The folder may be gone, or the disk full: another run is due, from the folders, after a pause that grows.
    fn try_again(&mut self, error: &dyn std::error::Error) -> Duration {
        warn!(launch = ?self.launch.path(), error = error.to_string(), "the tables were not replaced");
        self.tell(Some(format!("the tables are out of date, and are written again before long: {error}")));
        self.due = Due::All;
        // It runs, so this one is due after it.
        self.work.on_request();
        APART.max(Duration::from_secs(outcome::pause(self.failures)))
    }

    fn tell(&mut self, trouble: Option<String>) {
        let before = self.failures;
        self.failures = if trouble.is_some() { before.saturating_add(1) } else { 0 };
        if let Some(search) = self.search.as_ref().filter(|_| trouble.is_some() || before > 0) {
            search.do_send(Tabulated(trouble));
        }
    }
}

/// Brings the tables up to date, in memory and on the disk.
fn tabulate(tables: Option<Tables>, launch: LaunchDir, due: &Due) -> Result<(Tables, Ranking), StoreError> {
    let mut notices = Vec::new();
    let tables = match (tables, due) {
        (Some(mut tables), Due::Jobs(jobs)) => {
            for job in jobs {
                notices.extend(tables.refresh(job.as_str())?);
            }
            tables
        }
        (tables, _) => {
            let mut tables = tables.unwrap_or_else(|| Tables::new(launch.clone()));
            notices.extend(tables.scan()?);
            memory::give_back();
            tables
        }
    };
    for notice in notices {
        if notice.is_passing() {
            debug!(launch = ?launch.path(), notice = notice.to_string(), "analysis");
        } else {
            info!(launch = ?launch.path(), notice = notice.to_string(), "analysis");
        }
    }
    let mut tables = tables;
    tables.write()?;
    let ranking = tables.ranking();
    if let Err(e) = written::beforehand(&ranking) {
        warn!(launch = ?launch.path(), error = e.to_string(), "a ranking has to be written at each question");
    }
    Ok((tables, ranking))
}

impl Actor for Analyzer {
    type Context = Context<Self>;
}

impl Handler<Changed> for Analyzer {
    type Result = ();

    fn handle(&mut self, changed: Changed, ctx: &mut Self::Context) {
        self.due.add(changed);
        if self.work.on_request() {
            self.run(ctx);
        }
    }
}

impl Handler<ReportTo> for Analyzer {
    type Result = ();

    fn handle(&mut self, ReportTo(search): ReportTo, _: &mut Self::Context) {
        self.search = Some(search);
    }
}

impl Handler<Rank> for Analyzer {
    type Result = MessageResult<Rank>;

    fn handle(&mut self, _: Rank, _: &mut Self::Context) -> Self::Result {
        MessageResult(self.ranking.clone())
    }
}

impl Handler<AreYouThere> for Analyzer {
    type Result = ();

    fn handle(&mut self, _: AreYouThere, _: &mut Self::Context) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_table_makes_nothing_be_read_again_and_takes_nothing_from_what_is_due() {
        let job = JobName::try_from("job-1".to_string()).expect("a name");
        let mut due = Due::Jobs(BTreeSet::new());
        due.add(Changed::Nothing);
        assert_eq!(due, Due::Jobs(BTreeSet::new()));
        due.add(Changed::Job(job.clone()));
        due.add(Changed::Nothing);
        assert_eq!(due, Due::Jobs(BTreeSet::from([job])));
        due.add(Changed::All);
        due.add(Changed::Nothing);
        assert_eq!(due, Due::All);
    }
}
