//! `neurosearch make-caps`: a synthetic CAPS with labels, to try a search without anybody's data.

pub mod files;
pub mod labels;
pub mod volume;

use crate::cli::exit::{Exit, Failure, VerbResult};
use crate::cli::output::out::{Out, note, shows_progress};
use crate::cli::path_kind;
use crate::domain::folds::Folds;
use crate::domain::text::units::dimensions;
use crate::domain::words::{Diagnosis, Preprocessing};
use crate::executor::local::cpu;
use crate::store::data::caps::{Caps, Names};
use crate::store::fs::error::StoreError;
use files::{Plan, REGIONS, write_masks};
use indicatif::ProgressBar;
use labels::Participant;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use volume as synthetic;

/// Make a synthetic CAPS with labels, in which the classes differ at the hippocampi
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The folder to fill with caps/ and labels/
    out: PathBuf,
    /// Voxels of each image; 169x208x179 is that of t1-linear
    #[arg(long, value_name = "XxYxZ", default_value = "42x52x45", value_parser = parse_shape)]
    shape: [usize; 3],
    /// Number of participants, diagnoses in turn
    #[arg(long, default_value_t = 24, value_parser = clap::value_parser!(u32).range(4..=9999))]
    subjects: u32,
    /// Images of each participant, half a year apart
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=16))]
    sessions: u64,
    /// Also write label files of K folds (the single split is always there)
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u32).range(2..=100))]
    folds: Option<u32>,
    /// The same seed makes the same files, on every machine
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// How hard the classes are to tell apart: from 0, a clear difference, to 1, none at all. Between them the difference is
    /// weaker, participants of one class differ more, and there are spots and noise that say nothing
    #[arg(long, value_name = "0..1", default_value_t = 0.0, value_parser = parse_difficulty)]
    difficulty: f64,
    /// The labels
    #[arg(long, value_delimiter = ',', default_value = "AD,CN", value_parser = parse_diagnosis)]
    diagnoses: Vec<Diagnosis>,
    /// The pipeline whose outputs are imitated; t1-extensive and t1-volume have tensors only
    #[arg(long, default_value = "t1-linear", value_parser = parse_preprocessing)]
    preprocessing: Preprocessing,
    /// How files and sessions are named: as Clinica and ClinicaDL name them today, or as in the days of ClinicaDL 0.2.2
    #[arg(long, value_name = "today|0.2.2", default_value = "today", value_parser = parse_names)]
    names: Names,
    /// Also write masks of the regions right, left and both
    #[arg(long)]
    masks: bool,
    /// Also write tensors: whole images, or items as `clinicadl extract` makes them
    #[arg(long, value_delimiter = ',', value_enum)]
    tensors: Vec<Tensors>,
    /// Side of extracted patches
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..))]
    patch_size: u64,
    /// Distance between extracted patches
    #[arg(long, alias = "stride", default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..))]
    stride_size: u64,
}

/// What is written besides the volumes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Tensors {
    Image,
    Patch,
    Slice,
    Roi,
}

/// Largest side; with three of them the voxels still count in the memory of a small machine.
const LARGEST_SIDE: usize = 512;

fn parse_shape(text: &str) -> Result<[usize; 3], String> {
    let sizes: Vec<usize> = text.split('x').filter_map(|size| size.parse().ok()).collect();
    match <[usize; 3]>::try_from(sizes) {
        Ok(shape) if text.split('x').count() == 3 && shape.iter().all(|side| (1..=LARGEST_SIDE).contains(side)) => Ok(shape),
        _ => Err(format!("three sizes from 1 to {LARGEST_SIDE}, as in 42x52x45")),
    }
}

fn parse_difficulty(text: &str) -> Result<f64, String> {
    text.parse().ok().filter(|value| (0.0..=1.0).contains(value)).ok_or_else(|| "a number from 0 to 1".to_string())
}

fn parse_diagnosis(text: &str) -> Result<Diagnosis, String> {
    Diagnosis::from_word(text).ok_or_else(|| format!("one of {}", listed(Diagnosis::ALL)))
}

fn parse_preprocessing(text: &str) -> Result<Preprocessing, String> {
    Preprocessing::from_word(text).ok_or_else(|| format!("one of {}", listed(Preprocessing::ALL)))
}

fn parse_names(text: &str) -> Result<Names, String> {
    match text {
        "today" => Ok(Names::Today),
        "0.2.2" => Ok(Names::Old),
        _ => Err("today or 0.2.2".to_string()),
    }
}

fn listed(words: &[impl ToString]) -> String {
    words.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

pub fn run(args: &Args, out: &mut Out) -> VerbResult {
    path_kind::folder(&args.out)?;
    let (caps_dir, labels_dir) = (args.out.join("caps"), args.out.join("labels"));
    check(args)?;
    for folder in [&caps_dir, &labels_dir] {
        if fs::symlink_metadata(folder).is_ok() {
            let sentence = format!("{} is there already and is not overwritten; name another folder", folder.display());
            return Err(Failure::new(Exit::Exists, sentence));
        }
    }
    let caps = Caps::new(&caps_dir, args.preprocessing);
    let plan = plan(args, &caps);
    plan.check().map_err(|fault| Failure::new(Exit::Usage, fault.to_string()))?;
    let participants = labels::participants(args.subjects as usize, &args.diagnoses);
    if args.masks || args.tensors.contains(&Tensors::Roi) {
        write_masks(&caps, args.names, args.shape)?;
    }
    write_images(&plan, &participants)?;
    // Last of all, so that a CAPS that was interrupted has no labels to be trained with.
    write_labels(args, &labels_dir, &participants)?;
    tell(args, &caps_dir, &labels_dir, out)?;
    Ok(Exit::Done)
}

/// What clap cannot check: options that only fit together or not.
fn check(args: &Args) -> Result<(), Failure> {
    let usage = |sentence: String| Err(Failure::new(Exit::Usage, sentence));
    let labels = args.diagnoses.len();
    if args.diagnoses.iter().enumerate().any(|(i, d)| args.diagnoses[..i].contains(d)) {
        return usage(format!("--diagnoses names one twice: {}", listed(&args.diagnoses)));
    }
    let least = labels * args.folds.unwrap_or(2).max(2) as usize;
    if (args.subjects as usize) < least {
        return usage(format!("--subjects {} leaves a fold without a diagnosis; {least} are enough", args.subjects));
    }
    if args.preprocessing != Preprocessing::T1Linear && args.tensors.iter().any(|tensors| *tensors != Tensors::Image) {
        return usage(format!("extracted items exist for t1-linear only, not for {}", args.preprocessing));
    }
    Ok(())
}

fn plan(args: &Args, caps: &Caps) -> Plan {
    let wants = |tensors: Tensors| args.tensors.contains(&tensors);
    let size = |value: u64| usize::try_from(value).unwrap_or(usize::MAX);
    let regions = REGIONS.map(|(name, which)| (name, synthetic::mask(args.shape, which)));
    Plan {
        caps: caps.clone(),
        names: args.names,
        shape: args.shape,
        seed: args.seed,
        sessions: args.sessions,
        difficulty: args.difficulty,
        tensor: wants(Tensors::Image) || args.preprocessing != Preprocessing::T1Linear,
        patches: wants(Tensors::Patch).then(|| (size(args.patch_size), size(args.stride_size))),
        slices: wants(Tensors::Slice),
        regions: if wants(Tensors::Roi) { regions.to_vec() } else { Vec::new() },
    }
}

/// Every participant's images, on all cores.
fn write_images(plan: &Plan, participants: &[Participant]) -> Result<(), StoreError> {
    let bar = if shows_progress() { ProgressBar::new(participants.len() as u64) } else { ProgressBar::hidden() };
    let next = AtomicUsize::new(0);
    let work = || {
        while let Some(participant) = participants.get(next.fetch_add(1, Ordering::Relaxed)) {
            if let Err(error) = plan.write(participant) {
                // Nobody begins another.
                next.store(participants.len(), Ordering::Relaxed);
                return Err(error);
            }
            bar.inc(1);
        }
        Ok(())
    };
    let cores = cpu::cores();
    let result = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..cores.min(participants.len())).map(|_| scope.spawn(work)).collect();
        threads.into_iter().try_for_each(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    });
    bar.finish_and_clear();
    result
}

fn write_labels(args: &Args, labels_dir: &Path, participants: &[Participant]) -> Result<(), StoreError> {
    let splits = args.folds.map(|n| Folds::Splits { n, chosen: (0..n).collect() });
    let sessions: Vec<String> = (0..args.sessions).map(|index| labels::session(index, args.names)).collect();
    for folds in [Some(Folds::Single), splits].iter().flatten() {
        labels::write(labels_dir, participants, &args.diagnoses, folds, &sessions)?;
    }
    Ok(())
}

fn tell(args: &Args, caps_dir: &Path, labels_dir: &Path, out: &mut Out) -> Result<(), Failure> {
    let images = u64::from(args.subjects) * args.sessions;
    let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    out.line(format!("{images} images of {} voxels, {}, seed {}", dimensions(args.shape), args.preprocessing, args.seed))?;
    out.line(format!("caps_dir  {}", absolute(caps_dir).display()))?;
    out.line(format!("tsv_path  {}", absolute(labels_dir).display()))?;
    if args.folds.is_some() && out.is_terminal() {
        note("the folds are chosen by n_splits in random_search.json");
    }
    Ok(())
}

#[cfg(test)]
#[path = "make_caps_tests.rs"]
mod tests;
