//! What a trainer's folder shows once its process is gone.

use crate::domain::job::Ended;
use crate::engine::outcome::Outcome;
use crate::process::memory::OomKills;
use crate::process::{self, Identity, Look};
use crate::store::job::EndRecord;
use crate::store::layout::JobDir;
use crate::store::{answers, finished, progress, record, room, sweep};
use std::path::Path;
use std::process::ExitStatus;
use tracing::warn;

/// What the folder shows once the process is gone.
pub enum Left {
    Over(Outcome),
    /// The job was another trainer's all along, which was started by a daemon that died before it could say so.
    Another(Identity),
    Unclear(String),
}

/// Reads what the trainer of attempt `attempt` left, and clears up after it. `before`: the kernel's counters while it lived;
/// `followed`: a process was seen, and is gone.
pub fn what_is_left(job: &JobDir, attempt: u32, followed: bool, status: Option<ExitStatus>, before: Option<OomKills>) -> Left {
    let checkpoints = progress::read(job).ok().flatten().map_or(0, |progress| progress.checkpoints);
    let own_word = record::read::<EndRecord>(&job.end()).ok().filter(|end| end.attempt == attempt);
    let unread = own_word.as_ref().and_then(|end| end.unread.clone());
    let over = |ended: Option<Ended>| {
        let ended = ended.map(|ended| finished::hold_to_results(ended, job));
        // A trainer that was killed leaves temporary files, and there may be no other attempt that sweeps them. What stays now
        // goes with the next one, or does no harm.
        if let Err(e) = sweep::after_end(job) {
            warn!(job = ?job.path(), error = e.to_string(), "leftovers stay");
        }
        let hindered = matches!(&ended, Some(Ended::Interrupted { sentence: Some(_) }));
        let room_wanted = if hindered && unread.is_none() { room::wanted(job) } else { 0 };
        let input = unread.as_deref().map(Path::new).filter(|_| hindered);
        let input_alone = input.is_some_and(answers::otherwise);
        let out_of_reach = input.filter(|_| !input_alone).map(Path::to_path_buf);
        Left::Over(Outcome { ended, checkpoints, room_wanted, input_alone, out_of_reach })
    };
    let look = if followed { process::look_after_end(job) } else { process::look(job) };
    match (look, status) {
        (Look::Alive(identity), _) => Left::Another(identity),
        (Look::Unknown(why), _) => Left::Unclear(why),
        (_, Some(status)) => {
            let memory_ran_out = before.is_some_and(|before| OomKills::now().rose_since(&before));
            over(Some(own_word.map_or_else(|| process::verdict(status, memory_ran_out), |end| end.ended)))
        }
        (Look::Ended(end), None) => over(Some(end.ended)),
        (Look::Gone, None) => over(None),
    }
}
