//! The actor that keeps one launch directory's tables up to date. Changes during a run cause one more run, however many they are.

use super::blocking::Workshop;
use super::messages::AreYouThere;
use super::ranking_json;
use crate::analysis::{Ranking, SpaceFolds, Tables};
use crate::domain::job::JobName;
use crate::engine::coalesce::Coalesce;
use crate::engine::outcome;
use crate::executor::local::memory;
use crate::store::fs::error::StoreError;
use crate::store::records::layout::LaunchDir;
use actix::{Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Handler, Message, MessageResult, Recipient, WrapFuture};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tracing::{debug, info, warn};

/// Shortest time between the end of a run and the next. A storm of changes costs at most two runs a second.
const APART: Duration = Duration::from_millis(500);

/// Above this many changed jobs, a full scan costs no more. It also keeps the list of changes bounded.
const MOST: usize = 10_000;

/// One launch directory's tables.
pub struct Analyzer {
    launch: LaunchDir,
    work: Coalesce,
    due: Due,
    /// The folds that the next run uses.
    folds: SpaceFolds,
    /// `None` while a run holds them, and before the first run.
    tables: Option<Tables>,
    workshop: Workshop,
    /// Receives word of whether the tables are up to date.
    search: Option<Recipient<Tabulated>>,
    trouble: Trouble,
    /// As the last run left it.
    ranking: Arc<Ranking>,
}

/// The jobs with a result, best first, as the tables on the disk have them.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "Arc<Ranking>")]
pub struct Rank;

/// Report the state of the tables to this search.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct ReportTo(pub Recipient<Tabulated>);

/// The tables are up to date, or one sentence on why they are not.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Tabulated(pub Option<String>);

/// What changed in the launch directory.
#[derive(Debug, Clone, PartialEq, Eq, Message)]
#[rtype(result = "()")]
pub enum TableChange {
    Job(JobName),
    All,
    /// No job changed, but a table is missing: write it from what is known.
    Nothing,
}

/// The space file was read: the tables go by its folds from now on.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct GoBy(pub SpaceFolds);

/// What keeps the tables from being replaced.
#[derive(Debug, Default)]
struct Trouble {
    /// Runs in a row that failed.
    failures: u32,
    /// Why the last run failed. `None` if it succeeded.
    why: Option<String>,
}

impl Trouble {
    /// Returns whether the reason is new. A directory that is away for long does not deserve a log line for each attempt.
    fn on_failed(&mut self, why: &str) -> bool {
        self.failures = self.failures.saturating_add(1);
        self.why.replace(why.to_string()).as_deref() != Some(why)
    }

    /// Returns whether there was a problem before.
    fn on_success(&mut self) -> bool {
        self.failures = 0;
        self.why.take().is_some()
    }
}

/// What the next run has to read.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Due {
    Jobs(BTreeSet<JobName>),
    All,
}

impl Due {
    fn add(&mut self, changed: TableChange) {
        match (&mut *self, changed) {
            (Due::Jobs(jobs), TableChange::Job(job)) if jobs.len() < MOST => {
                jobs.insert(job);
            }
            (_, TableChange::Nothing) => {}
            _ => *self = Due::All,
        }
    }
}

impl Analyzer {
    pub fn new(workshop: Workshop, launch: LaunchDir) -> Self {
        let (work, due) = (Coalesce::default(), Due::All);
        Analyzer {
            launch,
            work,
            due,
            folds: SpaceFolds::default(),
            tables: None,
            workshop,
            search: None,
            trouble: Trouble::default(),
            ranking: Arc::default(),
        }
    }

    fn run(&mut self, ctx: &mut Context<Self>) {
        let due = std::mem::replace(&mut self.due, Due::Jobs(BTreeSet::new()));
        let tables = self.tables.take().unwrap_or_else(|| Tables::new(self.launch.clone()));
        let (launch, folds) = (self.launch.clone(), self.folds.clone());
        let place = self.launch.path().parent().unwrap_or(Path::new("/")).to_path_buf();
        let work = self.workshop.run(&place, move || tabulate(tables, &launch, folds, &due));
        ctx.spawn(work.into_actor(self).map(|done, this, ctx| {
            if this.is_left() {
                return ctx.stop();
            }
            let pause = match done {
                Ok(Ok(tabulated)) => this.on_tabulated(tabulated),
                Ok(Err(e)) => this.try_again(&e),
                Err(e) => this.try_again(&e),
            };
            ctx.run_later(pause, |this, ctx| {
                if this.is_left() {
                    ctx.stop();
                } else if this.work.on_finished() {
                    this.run(ctx);
                }
            });
        }));
    }

    /// Whether the search has ended with its directory. Nobody asks for its tables then, and nothing else would end the retries.
    fn is_left(&self) -> bool {
        self.search.as_ref().is_some_and(|search| !search.connected())
    }

    fn on_tabulated(&mut self, (tables, ranking): (Tables, Ranking)) -> Duration {
        self.tables = Some(tables);
        self.ranking = Arc::new(ranking);
        if self.trouble.on_success() {
            info!(launch = ?self.launch.path(), "the tables are replaced again");
            self.tell(None);
        }
        APART
    }

    /// The folder may be away, or the disk full. Schedules another run, which reads the folders, after a growing pause.
    fn try_again(&mut self, error: &dyn std::error::Error) -> Duration {
        let why = error.to_string();
        if self.trouble.on_failed(&why) {
            warn!(launch = ?self.launch.path(), error = why.as_str(), "the tables were not replaced, which is tried again");
        } else {
            debug!(launch = ?self.launch.path(), error = why.as_str(), "the tables were not replaced");
        }
        self.tell(Some(format!("the tables are out of date, and are written again before long: {why}")));
        self.due = Due::All;
        // A run is under way, so this request is due after it.
        self.work.on_request();
        APART.max(Duration::from_secs(outcome::pause(self.trouble.failures)))
    }

    fn tell(&self, trouble: Option<String>) {
        if let Some(search) = &self.search {
            search.do_send(Tabulated(trouble));
        }
    }
}

/// Brings the tables up to date, in memory and on the disk.
fn tabulate(mut tables: Tables, launch: &LaunchDir, folds: SpaceFolds, due: &Due) -> Result<(Tables, Ranking), StoreError> {
    let mut notices = Vec::new();
    let outdated = tables.go_by(folds);
    match due {
        Due::Jobs(jobs) if !outdated => {
            for job in jobs {
                notices.extend(tables.refresh(job.as_str())?);
            }
        }
        Due::Jobs(_) | Due::All => {
            notices.extend(tables.scan()?);
            memory::give_back();
        }
    }
    for notice in notices {
        if notice.is_passing() {
            debug!(launch = ?launch.path(), notice = notice.to_string(), "analysis");
        } else {
            info!(launch = ?launch.path(), notice = notice.to_string(), "analysis");
        }
    }
    tables.write()?;
    let ranking = tables.ranking();
    if let Err(e) = ranking_json::beforehand(&ranking) {
        warn!(launch = ?launch.path(), error = e.to_string(), "a ranking has to be written at each question");
    }
    Ok((tables, ranking))
}

impl Actor for Analyzer {
    type Context = Context<Self>;
}

impl Handler<TableChange> for Analyzer {
    type Result = ();

    fn handle(&mut self, changed: TableChange, ctx: &mut Self::Context) {
        self.due.add(changed);
        if self.work.on_request() {
            self.run(ctx);
        }
    }
}

impl Handler<GoBy> for Analyzer {
    type Result = ();

    fn handle(&mut self, GoBy(folds): GoBy, ctx: &mut Context<Self>) {
        let same = std::mem::replace(&mut self.folds, folds) == self.folds;
        // Before the first run no tables can be wrong, and that run uses these folds.
        if !same && self.due != Due::All {
            ctx.notify(TableChange::Nothing);
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
    use crate::testing::tempdir;
    use tokio::sync::mpsc;

    /// A fake search that only records what it receives.
    struct Told(mpsc::UnboundedSender<Option<String>>);

    /// The search ends.
    #[derive(Message)]
    #[rtype(result = "()")]
    struct End;

    impl Actor for Told {
        type Context = Context<Self>;
    }

    impl Handler<Tabulated> for Told {
        type Result = ();

        fn handle(&mut self, Tabulated(trouble): Tabulated, _: &mut Self::Context) {
            self.0.send(trouble).expect("heard");
        }
    }

    impl Handler<End> for Told {
        type Result = ();

        fn handle(&mut self, _: End, ctx: &mut Self::Context) {
            ctx.stop();
        }
    }

    /// The next message to the search.
    async fn heard(told: &mut mpsc::UnboundedReceiver<Option<String>>) -> Option<String> {
        let soon = tokio::time::timeout(Duration::from_secs(60), told.recv());
        soon.await.expect("before long").expect("the search is there")
    }

    #[actix::test]
    async fn an_analyzer_goes_on_when_its_directory_is_back_and_ends_with_its_search() {
        let dir = tempdir();
        let launch = dir.path().join("away");
        let (teller, mut told) = mpsc::unbounded_channel();
        let search = Told(teller).start();
        let analyzer = Analyzer::new(Workshop::default(), LaunchDir::new(&launch)).start();
        analyzer.do_send(ReportTo(search.clone().recipient()));
        analyzer.do_send(TableChange::All);
        assert!(heard(&mut told).await.is_some_and(|trouble| trouble.contains("away")));
        std::fs::create_dir(&launch).expect("made");
        while heard(&mut told).await.is_some() {}
        assert!(launch.join("jobs.tsv").exists());
        std::fs::remove_dir_all(&launch).expect("removed");
        analyzer.do_send(TableChange::All);
        assert!(heard(&mut told).await.is_some());
        search.send(End).await.expect("ended");
        let ended = async {
            while analyzer.connected() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), ended).await.expect("it ends without another word");
    }

    #[test]
    fn the_same_trouble_is_said_once_until_it_is_over() {
        let mut trouble = Trouble::default();
        assert!(!trouble.on_success(), "there was none");
        let said: Vec<bool> = ["gone", "gone", "full", "full", "gone"].iter().map(|why| trouble.on_failed(why)).collect();
        assert_eq!((said, trouble.failures), (vec![true, false, true, false, true], 5));
        assert!(trouble.on_success() && trouble.failures == 0);
        assert!(trouble.on_failed("gone"));
    }

    #[test]
    fn a_missing_table_makes_nothing_be_read_again_and_takes_nothing_from_what_is_due() {
        let job = JobName::try_from("job-1".to_string()).expect("a name");
        let mut due = Due::Jobs(BTreeSet::new());
        due.add(TableChange::Nothing);
        assert_eq!(due, Due::Jobs(BTreeSet::new()));
        due.add(TableChange::Job(job.clone()));
        due.add(TableChange::Nothing);
        assert_eq!(due, Due::Jobs(BTreeSet::from([job])));
        due.add(TableChange::All);
        due.add(TableChange::Nothing);
        assert_eq!(due, Due::All);
    }
}
