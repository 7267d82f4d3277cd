//! One job, drawn, checked against its data, and put on the disk with its record.

use super::accept::Accepted;
use crate::check;
use crate::domain::draw::{self, Misfit};
use crate::domain::job::{FailureClass, JobName, JobState};
use crate::domain::options::JobOptions;
use crate::engine::react::{Drawn, NotDrawn};
use crate::engine::state::{Need, Terms};
use crate::store::job::{JobRecord, Starter};
use crate::store::layout::LaunchDir;
use crate::store::new_job::{self, Made};

/// Draws job `index` and makes its folder. `failure` says why it will not be launched whatever is drawn, as where there
/// is no device for it. Reads label files and image headers, so it may take a while.
pub fn draw_job(
    launch: &LaunchDir,
    accepted: &Accepted,
    terms: &Terms,
    index: u64,
    failure: Option<String>,
) -> Result<(JobName, Drawn), NotDrawn> {
    let name = JobName::numbered(&terms.job_prefix, index).map_err(|e| NotDrawn::Refused(e.to_string()))?;
    let need = terms.need;
    let (options, drawn) = match draw::draw(&accepted.space, terms.seed, index) {
        Err(Misfit { options: None, fault }) => return Err(NotDrawn::Refused(fault.to_string())),
        Err(Misfit { options: Some(options), fault }) => (*options, failed(need, FailureClass::BadOptions, fault.to_string())),
        Ok(options) => match check::job(&options) {
            Ok(checked) => {
                let drawn = failure.map_or(Drawn::Ready { need }, |sentence| failed(need, FailureClass::Device, sentence));
                (checked, drawn)
            }
            Err(fault) => (options, failed(need, fault.class, fault.sentence)),
        },
    };
    let state = match &drawn {
        Drawn::Ready { .. } => JobState::Queued,
        Drawn::Failed { class, sentence, .. } => JobState::Failed { class: *class, sentence: sentence.clone() },
    };
    let record = JobRecord {
        index: Some(index),
        search_seed: Some(terms.seed),
        space_sha256: Some(terms.space_sha256.clone()),
        state,
        ..JobRecord::queued(Starter::Daemon)
    };
    match new_job::make(launch, &name, &text(&options)?, &record) {
        Ok(Made::Made(_)) => Ok((name, drawn)),
        Ok(Made::NameTaken) => Err(NotDrawn::NameTaken),
        Err(e) => Err(NotDrawn::Refused(e.to_string())),
    }
}

fn failed(need: Need, class: FailureClass, sentence: String) -> Drawn {
    Drawn::Failed { need, class, sentence }
}

fn text(options: &JobOptions) -> Result<String, NotDrawn> {
    serde_json::to_string_pretty(&options.to_json())
        .map(|text| text + "\n")
        .map_err(|e| NotDrawn::Refused(format!("commandline.json cannot be written: {e}")))
}
