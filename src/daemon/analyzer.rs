//! The actor that keeps one launch directory's tables true: any number of changes during a run cost one more run.

use crate::analysis::Tables;
use crate::domain::job::JobName;
use crate::engine::coalesce::Coalesce;
use crate::store::error::StoreError;
use crate::store::layout::LaunchDir;
use actix::{Actor, ActorFutureExt, AsyncContext, Context, Handler, Message, WrapFuture};
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::task::spawn_blocking;
use tracing::{info, warn};

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
}

/// What changed in the launch directory.
#[derive(Debug, Clone, PartialEq, Eq, Message)]
#[rtype(result = "()")]
pub enum Changed {
    Job(JobName),
    All,
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
            _ => *self = Due::All,
        }
    }
}

impl Analyzer {
    pub fn new(launch: LaunchDir) -> Self {
        Analyzer { launch, work: Coalesce::default(), due: Due::All, tables: None }
    }

    fn run(&mut self, ctx: &mut Context<Self>) {
        let due = std::mem::replace(&mut self.due, Due::Jobs(BTreeSet::new()));
        let (tables, launch) = (self.tables.take(), self.launch.clone());
        let work = spawn_blocking(move || tabulate(tables, launch, &due));
        ctx.spawn(work.into_actor(self).map(|done, this, ctx| {
            match done {
                Ok(Ok(tables)) => this.tables = Some(tables),
                Ok(Err(e)) => {
                    // The folder may be gone, or the disk full: the next change, or the next scan that misses a table,
                    // tries again, from the folders.
                    this.due = Due::All;
                    warn!(launch = ?this.launch.path(), error = e.to_string(), "the tables were not replaced");
                }
                Err(e) => warn!(launch = ?this.launch.path(), error = e.to_string(), "the analysis was cut short"),
            }
            ctx.run_later(APART, |this, ctx| {
                if this.work.on_finished() {
                    this.run(ctx);
                }
            });
        }));
    }
}

/// Brings the tables up to date, in memory and on the disk.
fn tabulate(tables: Option<Tables>, launch: LaunchDir, due: &Due) -> Result<Tables, StoreError> {
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
            tables
        }
    };
    for notice in notices {
        info!(launch = ?launch.path(), notice = notice.to_string(), "analysis");
    }
    let mut tables = tables;
    tables.write()?;
    Ok(tables)
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

impl Handler<AreYouThere> for Analyzer {
    type Result = ();

    fn handle(&mut self, _: AreYouThere, _: &mut Self::Context) {}
}
