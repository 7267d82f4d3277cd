//! Label files of a synthetic CAPS: who is in which class, and on which side of which split.

use crate::domain::folds::Folds;
use crate::domain::words::Diagnosis;
use crate::store::data::caps::Names;
use crate::store::data::labels::side_folder;
use crate::store::formats::tsv::Table;
use crate::store::fs::error::StoreError;
use std::fs;
use std::path::Path;

/// One participant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Participant {
    pub name: String,
    pub index: u64,
    pub diagnosis: Diagnosis,
    /// Place among the participants of the same diagnosis.
    pub rank: usize,
}

/// `count` participants, diagnoses in turn.
pub fn participants(count: usize, diagnoses: &[Diagnosis]) -> Vec<Participant> {
    let one = |index: usize| Participant {
        name: format!("sub-SYN{index:04}"),
        index: index as u64,
        diagnosis: diagnoses[index % diagnoses.len()],
        rank: index / diagnoses.len(),
    };
    (0..count).map(one).collect()
}

/// Name of a session: half a year between one and the next. Clinica's converters write three digits since 2022.
pub fn session(index: u64, names: Names) -> String {
    match names {
        Names::Today => format!("ses-M{:03}", 6 * index),
        Names::Old => format!("ses-M{:02}", 6 * index),
    }
}

/// Whether a participant validates: every fourth of a diagnosis in the single split, in turn in the folds.
fn validates(participant: &Participant, folds: &Folds, fold: u32) -> bool {
    match folds {
        Folds::Single => participant.rank % 4 == 1,
        Folds::Splits { n, .. } => participant.rank % *n as usize == fold as usize,
    }
}

/// Writes both sides of every fold below `root`: `<label>.tsv` with all sessions, `<label>_baseline.tsv` with the first.
///
/// # Errors
/// Names the file that cannot be written.
pub fn write(
    root: &Path,
    participants: &[Participant],
    diagnoses: &[Diagnosis],
    folds: &Folds,
    sessions: &[String],
) -> Result<(), StoreError> {
    for fold in folds.indices() {
        for (side, validation) in [("train", false), ("validation", true)] {
            let folder = root.join(side_folder(folds, side, fold));
            fs::create_dir_all(&folder).map_err(|e| StoreError::io("make", &folder, e))?;
            for diagnosis in diagnoses {
                let here = |p: &&Participant| p.diagnosis == *diagnosis && validates(p, folds, fold) == validation;
                let rows: Vec<&Participant> = participants.iter().filter(here).collect();
                table(&rows, sessions).write(&folder.join(format!("{diagnosis}.tsv")))?;
                table(&rows, &sessions[..1.min(sessions.len())]).write(&folder.join(format!("{diagnosis}_baseline.tsv")))?;
            }
        }
    }
    Ok(())
}

fn table(participants: &[&Participant], sessions: &[String]) -> Table {
    let mut table = Table::new(&["participant_id", "session_id", "diagnosis", "age", "sex"]);
    for participant in participants {
        let sex = if participant.index.is_multiple_of(2) { "F" } else { "M" };
        for session in sessions {
            let age = (60 + participant.index % 20).to_string();
            table.push(vec![participant.name.clone(), session.clone(), participant.diagnosis.to_string(), age, sex.to_string()]);
        }
    }
    table
}
