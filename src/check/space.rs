//! A search space against its data: every fault that no draw could avoid, each under its key.

use super::job::{Checker, JobFault};
use super::source;
use crate::domain::draw::draw;
use crate::domain::fault::{Fault, Faults};
use crate::domain::items::Geometry;
use crate::domain::keys::{self, Key};
use crate::domain::options::{JobOptions, Mode, Transfer};
use crate::domain::reader::Span;
use crate::domain::space::SearchSpace;

/// Faults that are listed, at most.
const LISTED: usize = 20;

/// As [`super::space`].
pub fn check(space: &SearchSpace) -> Result<(), Faults> {
    let mut checker = Checker::thorough();
    let mut faults = sources(space);
    faults.extend(worst_ends(space, &mut checker));
    faults.extend(combinations(space, &mut checker));
    let mut kept: Vec<Fault> = Vec::new();
    for fault in faults {
        if !kept.contains(&fault) {
            kept.push(fault);
        }
    }
    if kept.is_empty() {
        return Ok(());
    }
    kept.sort_by_key(|fault| fault.place);
    kept.truncate(LISTED);
    Err(Faults { file: space.origin.file.clone(), faults: kept })
}

fn fault(space: &SearchSpace, key: &Key, sentence: impl Into<String>) -> Fault {
    space.origin.fault(key.name, sentence)
}

/// Every transfer source that is listed has to be a job folder, whichever is drawn.
fn sources(space: &SearchSpace) -> Vec<Fault> {
    let sentence = |path: &std::path::PathBuf| {
        let transfer = Transfer { path: path.clone(), selection: space.transfer_learning_selection.first().copied()? };
        source::outline(&transfer).err()
    };
    let paths = space.transfer_learning_path.iter().flatten();
    paths.filter_map(sentence).map(|sentence| fault(space, &keys::TRANSFER_PATH, sentence)).collect()
}

/// The largest patch has to fit the image, and every listed mask has to be there, whatever else the space allows.
fn worst_ends(space: &SearchSpace, checker: &mut Checker) -> Vec<Fault> {
    let mut faults = Vec::new();
    for mode in [Mode::Patch, Mode::Roi] {
        let mut found = Vec::new();
        for options in narrowed(space, mode) {
            let Ok(facts) = checker.facts(&options) else { continue };
            let problem = match mode {
                Mode::Patch => {
                    let largest = space.mode_options(mode, space.patch_size.high, space.stride_size.low, 0);
                    let geometry = Geometry::new(&largest, options.preprocessing, facts.volume, &[]);
                    geometry.err().map(|e| fault(space, &keys::PATCH_SIZE, e.sentence))
                }
                _ => checker.boxes(&options, facts.volume).err().map(|sentence| fault(space, &keys::ROI_LIST, sentence)),
            };
            match problem {
                Some(problem) => found.push(problem),
                None => {
                    found.clear();
                    break;
                }
            }
        }
        faults.extend(found);
    }
    faults
}

/// The faults of all combinations, if none can train.
fn combinations(space: &SearchSpace, checker: &mut Checker) -> Vec<Fault> {
    let mut faults = Vec::new();
    for &mode in &space.mode {
        for options in narrowed(space, mode) {
            let problem: JobFault = match checker.facts(&options) {
                Err(flaws) => {
                    faults.extend(flaws.into_iter().map(|flaw| space.origin.fault(flaw.key, flaw.sentence)));
                    continue;
                }
                Ok(_) => match checker.job(&options) {
                    Ok(_) => return Vec::new(),
                    Err(problem) => problem,
                },
            };
            faults.push(space.origin.fault(&problem.key, problem.clause));
        }
    }
    faults
}

/// One job for each combination of the variables on which its data and the fit of its network depend, with the others at
/// the end at which a job is most easily trained. Combinations that do not go together are left out.
fn narrowed(space: &SearchSpace, mode: Mode) -> Vec<JobOptions> {
    if !space.mode.contains(&mode) {
        return Vec::new();
    }
    let mut easy = space.clone();
    easy.mode = vec![mode];
    for span in [&mut easy.n_convblocks, &mut easy.accumulation_steps, &mut easy.patch_size, &mut easy.stride_size] {
        *span = Span { low: span.low, high: span.low };
    }
    let mut spaces = vec![easy];
    spread(&mut spaces, &space.network_type, |s, v| s.network_type = vec![v]);
    spread(&mut spaces, &space.preprocessing, |s, v| s.preprocessing = vec![v]);
    spread(&mut spaces, &space.baseline, |s, v| s.baseline = vec![v]);
    spread(&mut spaces, &space.network_normalization, |s, v| s.network_normalization = vec![v]);
    spread(&mut spaces, &space.slice_direction, |s, v| s.slice_direction = vec![v]);
    spread(&mut spaces, &space.transfer_learning_path, |s, v| s.transfer_learning_path = vec![v]);
    spread(&mut spaces, &space.transfer_learning_selection, |s, v| s.transfer_learning_selection = vec![v]);
    spaces.iter().filter_map(|space| draw(space, 0, 0).ok()).collect()
}

/// Each space once for each different value.
fn spread<T: Clone + PartialEq>(spaces: &mut Vec<SearchSpace>, values: &[T], set: impl Fn(&mut SearchSpace, T)) {
    let mut different: Vec<T> = Vec::new();
    for value in values {
        if !different.contains(value) {
            different.push(value.clone());
        }
    }
    let mut all = Vec::with_capacity(spaces.len() * different.len());
    for space in spaces.iter() {
        for value in &different {
            let mut one = space.clone();
            set(&mut one, value.clone());
            all.push(one);
        }
    }
    *spaces = all;
}
