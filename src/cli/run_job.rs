//! Runs one job's trainer from beginning to end for `generate`, `retrain` and `continue`, which share no daemon.

use super::args::TrainingArguments;
use super::choose_device::choose;
use super::exit::{Exit, Failure, VerbResult};
use super::interrupt::Interrupt;
use super::output::out::{self, Out};
use super::output::progress_view::ProgressView;
use crate::domain::job::{Ended, FailureClass, JobState};
use crate::domain::network::device_fit;
use crate::domain::network::footprint::Footprint;
use crate::domain::network::precision::Precision;
use crate::domain::options::JobOptions;
use crate::domain::progress::Progress;
use crate::executor::local::{cpu, gpus};
use crate::executor::{Assignment, Executor, Identity, Processes, Run, RunState, last_words};
use crate::store::data::volume_cache::CachePlace;
use crate::store::fs::rights::Rights;
use crate::store::records::job_records::{EndRecord, JobRecord};
use crate::store::records::layout::JobDir;
use crate::store::records::{finished_folds, progress, record};
use crate::store::system;
use std::path::Path;
use std::time::Duration;

/// How long a trainer may take to keep its last epoch once it is asked to stop.
const GRACE: Duration = Duration::from_secs(120);

/// Between two looks at the trainer: short beside any training, long beside the look.
const PAUSE: Duration = Duration::from_millis(50);

/// A job whose folder is complete, and everything its trainer needs: found before the folder was made, so that a missing
/// trainer or GPU leaves nothing behind.
pub struct PreparedJob {
    executor: Box<dyn Executor>,
    device: crate::domain::device::Device,
    precision: Precision,
    cache: Option<CachePlace>,
}

impl PreparedJob {
    /// # Errors
    /// No trainer, or no device for a job with this `use_cpu`.
    pub fn for_job(use_cpu: bool, training: &TrainingArguments) -> Result<Self, Failure> {
        let executor = Box::new(Processes::default());
        executor.check().map_err(|sentence| Failure::new(Exit::NotFound, sentence))?;
        let visible = std::env::var("CUDA_VISIBLE_DEVICES").ok();
        let device = choose(use_cpu, gpus::find, visible.as_deref())?;
        Ok(PreparedJob { executor, device, precision: training.precision.unwrap_or_default(), cache: training.cache()? })
    }

    /// Why the job cannot train on the device.
    pub fn too_large(&self, footprint: &Footprint) -> Option<String> {
        device_fit::too_large(footprint, self.executor.room(&self.device, 1), self.device.as_str())
    }
}

/// The rights that inputs are read with for a job in the directory `launch`: those of whoever runs the command. Root may read
/// everything, and what a trainer writes belongs to the directory's owner, so there the owner's count.
pub fn rights(launch: &Path) -> Result<Rights, Failure> {
    if rustix::process::geteuid().is_root() { Ok(Rights::of_owner(launch)?) } else { Ok(Rights::default()) }
}

/// Trains the job and shows its progress; `record` is its record as it stands. Done only when every fold has its results.
pub fn run(ready: PreparedJob, job: &JobDir, options: &JobOptions, mut record: JobRecord, out: &mut Out) -> VerbResult {
    let mut interrupt = Interrupt::watch()?;
    let own = || Identity::own().map_err(|e| Failure::new(Exit::Failed, format!("cannot tell who this process is: {e}")));
    record.borrower = Some(own()?.as_borrower());
    record.history.attempts += 1;
    let threads = *record.threads.get_or_insert_with(cpu::cores);
    let since = system::now();
    record.state = JobState::Running { device: Some(ready.device.clone()), since };
    record::write(&job.record(), &record)?;

    let PreparedJob { executor, device, precision, cache } = ready;
    let (attempt, reads_as) = (record.history.attempts, rights(job.place().folder().as_ref())?.uid());
    let assignment = Assignment { job: job.clone(), device, threads, attempt, precision, cache, reads_as };
    // Its trainer has been loading for a while when it replaces this.
    let earlier = progress::read(job).ok().flatten();
    let ended = match executor.start(&assignment) {
        Ok(run) => {
            let (seen, asked) = follow(run, job, earlier.as_ref(), &mut interrupt)?;
            how_it_ended(job, record.history.attempts, seen, asked)
        }
        Err(e) => Ended::Failed { class: FailureClass::Crashed, sentence: e.to_string() },
    };
    let ended = finished_folds::hold_to_results(ended, job);
    settle(&mut record, job, &ended);
    record.borrower = None;
    record::write(&job.record(), &record)?;
    say(&ended, job, options, record.history.attempts, out)
}

/// Waits for the trainer's end, passing on what it reports, after an `earlier` attempt's report, and whoever asks it to stop.
fn follow(
    mut run: Box<dyn Run>,
    job: &JobDir,
    earlier: Option<&Progress>,
    interrupt: &mut Interrupt,
) -> Result<(Option<Ended>, bool), Failure> {
    let fail =
        |e: std::io::Error| Failure::new(Exit::Failed, format!("lost sight of the trainer of {}: {e}", job.path().display()));
    let mut view = ProgressView::on_stderr();
    let mut asked = false;
    loop {
        if let RunState::Over(seen) = run.poll().map_err(fail)? {
            view.end();
            return Ok((seen, asked));
        }
        if interrupt.asked() {
            if !asked {
                view.say("stopping once the last epoch is kept; Ctrl-C again ends the trainer at once");
            }
            run.stop(if asked { Duration::ZERO } else { GRACE }).map_err(fail)?;
            asked = true;
        }
        // A report that cannot be read now is replaced within a second; the work does not depend on it.
        if let Ok(Some(report)) = progress::read(job)
            && Some(&report) != earlier
        {
            view.show(&report);
        }
        std::thread::sleep(PAUSE);
    }
}

/// The trainer's own word about this attempt, else what its executor saw.
fn how_it_ended(job: &JobDir, attempt: u32, seen: Option<Ended>, asked: bool) -> Ended {
    let own = EndRecord::of_attempt(job, attempt).map(|end| end.ended);
    match own {
        Some(ended) => ended,
        // It was stopped before it could answer, or did not answer in time.
        None if asked => Ended::Interrupted { sentence: None },
        None => match seen {
            Some(seen) => last_words::added(seen, job, attempt),
            None => Ended::Failed {
                class: FailureClass::Lost,
                sentence: "nobody saw how the trainer ended, and it left no word of its own".to_string(),
            },
        },
    }
}

/// Brings the record up to date with the attempt's end.
fn settle(record: &mut JobRecord, job: &JobDir, ended: &Ended) {
    let before = record.history.checkpoints_seen;
    record.history.note_checkpoints(progress::checkpoints(job), before);
    record.state = match ended {
        Ended::Done => JobState::Done,
        Ended::Interrupted { .. } => JobState::Paused,
        Ended::Failed { class, sentence } => {
            record.history.count_failure(*class);
            JobState::Failed { class: *class, sentence: sentence.clone() }
        }
    };
}

fn say(ended: &Ended, job: &JobDir, options: &JobOptions, attempt: u32, out: &mut Out) -> VerbResult {
    let folder = job.path().display();
    match ended {
        Ended::Done => {
            let folds = options.folds.indices().len();
            out.line(format_args!("{folder}: done, {folds} {} with results", if folds == 1 { "fold" } else { "folds" }))?;
            Ok(Exit::Done)
        }
        Ended::Interrupted { sentence: Some(sentence) } => {
            let cure = format!("once it can be, go on with: neurosearch continue {folder}");
            Err(Failure::new(Exit::Failed, format!("{folder}: {sentence}\n{cure}")))
        }
        Ended::Interrupted { sentence: None } => {
            out::note(format_args!("stopped; go on with: neurosearch continue {folder}"));
            Ok(Exit::Interrupted)
        }
        Ended::Failed { class, sentence } => {
            let log = job.attempt_log(attempt);
            Err(Failure::new(Exit::Failed, format!("{folder}: {class}: {sentence}\nthe trainer's words: {}", log.display())))
        }
    }
}
