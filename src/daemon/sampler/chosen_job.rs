//! Makes the folder of a job whose options a user chose.

use crate::domain::device::Need;
use crate::domain::job::JobName;
use crate::domain::network::footprint::Footprint;
use crate::store::records::create_job::{self, Made};
use crate::store::records::job_records::{JobRecord, Starter};
use crate::store::records::layout::LaunchDir;

/// Prefix of such jobs' names.
const PREFIX: &str = "chosen";

/// A job's checked options: the text of its `commandline.json`, and the estimated cost of its training.
#[derive(Debug)]
pub struct Chosen {
    pub text: String,
    pub need: Need,
    pub footprint: Footprint,
}

/// Makes the job's folder under the first free name.
pub fn make(launch: &LaunchDir, chosen: &Chosen) -> Result<JobName, String> {
    let record = JobRecord { footprint: Some(chosen.footprint), ..JobRecord::queued(Starter::Daemon) };
    for number in 0..u64::MAX {
        let name = JobName::numbered(PREFIX, number).map_err(|e| e.to_string())?;
        if launch.job(&name).path().symlink_metadata().is_ok() {
            continue;
        }
        match create_job::make(launch, &name, &chosen.text, &record).map_err(|e| e.to_string())? {
            Made::Made(_) => return Ok(name),
            Made::NameTaken => {}
        }
    }
    Err("every name is taken".to_string())
}
