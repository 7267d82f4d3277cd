//! A search space against its data: every fault that no draw could avoid, each under its key.

use super::job::Checker;
use super::transfer_source;
use crate::domain::data::item_geometry::Geometry;
use crate::domain::input::keys::{self, Key};
use crate::domain::input::object_reader::Span;
use crate::domain::options::JobOptions;
use crate::domain::space::SearchSpace;
use crate::domain::space::draw::draw;
use crate::domain::text::fault::{Fault, Faults};
use crate::domain::words::Mode;

/// Faults that are listed, at most.
const LISTED: usize = 20;

/// The most sizes and distances of patches that are tried. If none of these can train, the draws have to tell.
const TRIED: usize = 100_000;

/// As [`super::space()`].
pub fn check(space: &SearchSpace) -> Result<Vec<String>, Faults> {
    let mut checker = Checker::thorough();
    let mut found = FaultList::default();
    sources(space, &mut found);
    worst_ends(space, &mut checker, &mut found);
    combinations(space, &mut checker, &mut found);
    if found.0.is_empty() {
        return Ok(checker.notices());
    }
    found.0.sort_by_key(|fault| fault.place);
    Err(Faults { file: space.origin.file.clone(), faults: found.0 })
}

/// Different faults, and no more than are listed.
#[derive(Default)]
struct FaultList(Vec<Fault>);

impl FaultList {
    fn push(&mut self, fault: Fault) {
        if self.0.len() < LISTED && !self.0.contains(&fault) {
            self.0.push(fault);
        }
    }
}

fn fault(space: &SearchSpace, key: &Key, sentence: impl Into<String>) -> Fault {
    space.origin.fault(key.name, sentence)
}

/// Every transfer source that is listed has to be a job folder, whichever is drawn.
fn sources(space: &SearchSpace, found: &mut FaultList) {
    for path in space.transfer_learning_path.iter().flatten() {
        if let Err(flaw) = transfer_source::outline(path) {
            found.push(fault(space, &keys::TRANSFER_PATH, flaw.sentence));
        }
    }
}

/// The largest patch has to fit the image, and every listed mask has to be there, whatever else the space allows.
fn worst_ends(space: &SearchSpace, checker: &mut Checker, found: &mut FaultList) {
    for mode in [Mode::Patch, Mode::Roi] {
        let mut problems = FaultList::default();
        for options in narrowed(space, mode) {
            let Ok(facts) = checker.facts(&options) else { continue };
            let problem = match mode {
                Mode::Patch => {
                    let largest = space.mode_options(mode, space.patch_size.high, space.stride_size.low, 0);
                    let geometry = Geometry::new(&largest, options.preprocessing, facts.volume, &[]);
                    geometry.err().map(|e| fault(space, &keys::PATCH_SIZE, e.sentence))
                }
                _ => checker.boxes(&options, facts.volume).err().map(|flaw| fault(space, &keys::ROI_LIST, flaw.sentence)),
            };
            match problem {
                Some(problem) => problems.push(problem),
                None => {
                    problems = FaultList::default();
                    break;
                }
            }
        }
        problems.0.into_iter().for_each(|problem| found.push(problem));
    }
}

/// The faults of all combinations, if none can train.
fn combinations(space: &SearchSpace, checker: &mut Checker, found: &mut FaultList) {
    let mut problems = FaultList::default();
    for options in space.mode.iter().flat_map(|&mode| narrowed(space, mode)) {
        match checker.facts(&options) {
            Err(flaws) => flaws.into_iter().for_each(|flaw| problems.push(space.origin.fault(flaw.key, flaw.sentence))),
            Ok(facts) => match checker.job(&options) {
                Err(problem) if !some_patch(space, &options, facts.volume, checker) => {
                    problems.push(space.origin.fault(&problem.key, problem.clause));
                }
                Ok(_) | Err(_) => return,
            },
        }
    }
    problems.0.into_iter().for_each(|problem| found.push(problem));
}

/// Whether the job can train with another patch of the space. Neither end is the easiest: a large patch leaves an
/// instance normalisation more voxels, a small one leaves a multicnn more positions, and only one may be extracted.
fn some_patch(space: &SearchSpace, options: &JobOptions, volume: [usize; 3], checker: &mut Checker) -> bool {
    if options.mode.mode() != Mode::Patch {
        return false;
    }
    let [least, most] = [volume.iter().min(), volume.iter().max()].map(|side| side.map_or(0, |&side| side as u64));
    // Beyond the image every distance cuts the same, single patch; the last one may be what was extracted.
    let strides = || (space.stride_size.low..=space.stride_size.high.min(most)).chain([space.stride_size.high]);
    let patches = space.patch_size.low..=space.patch_size.high.min(least);
    let mut options = options.clone();
    for (tried, (patch, stride)) in patches.flat_map(|patch| strides().map(move |stride| (patch, stride))).enumerate() {
        options.mode = space.mode_options(Mode::Patch, patch, stride, 0);
        if tried == TRIED || checker.job(&options).is_ok() {
            return true;
        }
    }
    false
}

/// One job for each combination of the variables on which its data and the fit of its network depend, with the others at
/// the end at which a job is most easily trained. Combinations that do not go together are left out.
fn narrowed(space: &SearchSpace, mode: Mode) -> impl Iterator<Item = JobOptions> {
    let mut easy = space.clone();
    easy.mode = vec![mode];
    // Filled one by one below; copies of long lists would add up.
    easy.transfer_learning_path = Vec::new();
    for span in [&mut easy.n_convblocks, &mut easy.accumulation_steps, &mut easy.patch_size, &mut easy.stride_size] {
        *span = Span { low: span.low, high: span.low };
    }
    let spaces: Spaces<'_> = Box::new(space.mode.contains(&mode).then_some(easy).into_iter());
    let spaces = spread(spaces, &space.network_type, |s, v| s.network_type = vec![v]);
    let spaces = spread(spaces, &space.preprocessing, |s, v| s.preprocessing = vec![v]);
    let spaces = spread(spaces, &space.baseline, |s, v| s.baseline = vec![v]);
    let spaces = spread(spaces, &space.d_reduction, |s, v| s.d_reduction = vec![v]);
    let spaces = spread(spaces, &space.network_normalization, |s, v| s.network_normalization = vec![v]);
    let spaces = spread(spaces, &space.slice_direction, |s, v| s.slice_direction = vec![v]);
    let spaces = spread(spaces, &space.transfer_learning_selection, |s, v| s.transfer_learning_selection = vec![v]);
    let spaces = spread(spaces, &space.transfer_learning_path, |s, v| s.transfer_learning_path = vec![v]);
    spaces.filter_map(|space| draw(&space, 0, 0).ok())
}

/// Boxed: the name of the type that eight adapters would nest fills 100 MB of each program's debug information.
type Spaces<'a> = Box<dyn Iterator<Item = SearchSpace> + 'a>;

/// Each space once for each different value.
fn spread<'a, T: Clone + PartialEq + 'a>(spaces: Spaces<'a>, values: &[T], set: fn(&mut SearchSpace, T)) -> Spaces<'a> {
    let mut different: Vec<T> = Vec::new();
    for value in values {
        if !different.contains(value) {
            different.push(value.clone());
        }
    }
    Box::new(spaces.flat_map(move |space| {
        different.clone().into_iter().map(move |value| {
            let mut one = space.clone();
            set(&mut one, value);
            one
        })
    }))
}
