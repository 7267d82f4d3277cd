//! Draws one job, checks it against its data and device, and writes it with its record.

use super::accept_space::Accepted;
use crate::check::{self, Checker, JobFault};
use crate::domain::device::Device;
use crate::domain::job::{FailureClass, JobName, JobState};
use crate::domain::missing_input::Input;
use crate::domain::network::device_fit::{self, Fit, OnTooLarge};
use crate::domain::network::footprint::Footprint;
use crate::domain::options::JobOptions;
use crate::domain::search_terms::Terms;
use crate::domain::space::SearchSpace;
use crate::domain::space::draw::{Misfit, redraw};
use crate::engine::react::{Drawn, NotDrawn};
use crate::store::fs::rights::Rights;
use crate::store::records::create_job::{self, Made};
use crate::store::records::job_records::{JobRecord, Starter};
use crate::store::records::layout::LaunchDir;

/// The slot that waits for a draw.
#[derive(Debug)]
pub struct DrawSlot {
    pub device: Device,
    /// Bytes that the job may take. `None` if unknown.
    pub room: Option<u64>,
    pub on_too_large: OnTooLarge,
}

/// The result of drawing a job.
struct Draw {
    options: JobOptions,
    /// `None` if the options cannot train.
    footprint: Option<Footprint>,
    failure: Option<(FailureClass, String)>,
    redraws: u32,
}

/// Draws job `index` and makes its folder. If there is no slot, the job is recorded as failed for the given reason. Reads label
/// files and image headers, so it may take a while.
pub fn draw_job(
    launch: &LaunchDir,
    accepted: &Accepted,
    terms: &Terms,
    index: u64,
    slot: &Result<DrawSlot, String>,
) -> Result<(JobName, Drawn), NotDrawn> {
    let name = JobName::numbered(&terms.job_prefix, index).map_err(|e| NotDrawn::Refused(e.to_string()))?;
    let rights = Rights::of_owner(launch.path()).map_err(|e| NotDrawn::OutOfReach(e.to_string(), None))?;
    let draw = rights.read(|| fitting(&accepted.space, terms.seed, index, slot))?;
    let need = terms.need;
    let (state, drawn) = match draw.failure {
        None => (JobState::Queued, Drawn::Ready { need }),
        Some((class, sentence)) => {
            (JobState::Failed { class, sentence: sentence.clone() }, Drawn::Failed { need, class, sentence })
        }
    };
    let record = JobRecord {
        index: Some(index),
        search_seed: Some(terms.seed),
        space_sha256: Some(terms.space_sha256.clone()),
        state,
        redraws: draw.redraws,
        footprint: draw.footprint,
        ..JobRecord::queued(Starter::Daemon)
    };
    match create_job::make(launch, &name, &text(&draw.options)?, &record) {
        Ok(Made::Made(_)) => Ok((name, drawn)),
        Ok(Made::NameTaken) => Err(NotDrawn::NameTaken),
        Err(e) => Err(NotDrawn::Refused(e.to_string())),
    }
}

/// The first draw that fits, or the one that nothing more is tried after.
fn fitting(space: &SearchSpace, seed: u64, index: u64, slot: &Result<DrawSlot, String>) -> Result<Draw, NotDrawn> {
    let mut checker = Checker::default();
    let mut redraws = 0;
    loop {
        let failed = |options, JobFault { class, sentence, .. }| Draw {
            options,
            footprint: None,
            failure: Some((class, sentence)),
            redraws,
        };
        let options = match redraw(space, seed, index, u64::from(redraws)) {
            Ok(options) => options,
            Err(Misfit { options: Some(options), fault }) => return Ok(failed(*options, fault.into())),
            Err(Misfit { options: None, fault }) => return Err(NotDrawn::Refused(fault.to_string())),
        };
        let (options, footprint) = match checker.weighed(&options) {
            Ok(weighed) => weighed,
            Err(fault) if fault.passing => {
                return Err(NotDrawn::OutOfReach(fault.to_string(), fault.file.map(Input::File)));
            }
            Err(fault) => match check::gone(&options) {
                // They existed when the space was accepted.
                Some(input) => return Err(NotDrawn::OutOfReach(format!("an input is out of reach: {input}"), Some(input))),
                None => return Ok(failed(options, fault)),
            },
        };
        let failure = match slot {
            Err(no_device) => Some((FailureClass::Device, no_device.clone())),
            Ok(slot) => match device_fit::judge(&footprint, slot.room, slot.device.as_str(), slot.on_too_large, redraws) {
                Fit::Redraw => {
                    redraws += 1;
                    continue;
                }
                Fit::Fits => None,
                Fit::TooLarge(sentence) => Some((FailureClass::TooLarge, sentence)),
            },
        };
        return Ok(Draw { options, footprint: Some(footprint), failure, redraws });
    }
}

fn text(options: &JobOptions) -> Result<String, NotDrawn> {
    serde_json::to_string_pretty(&options.to_json())
        .map(|text| text + "\n")
        .map_err(|e| NotDrawn::Refused(format!("commandline.json cannot be written: {e}")))
}
