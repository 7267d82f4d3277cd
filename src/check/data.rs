//! What labels and images come to: the sides of each fold, and the size of every image.

use crate::domain::folds::Folds;
use crate::domain::options::JobOptions;
use crate::domain::text::units::dimensions;
use crate::domain::words::{Diagnosis, Preprocessing};
use crate::store::data::caps::Caps;
use crate::store::data::labels::{self, FoldLabels, LabelRow};
use crate::store::data::probe;
use crate::store::data::{image_files, missing_image};
use crate::store::formats::nifti_grid::Grid;
use crate::store::formats::{nifti, torch_file};
use crate::store::fs::annex;
use crate::store::fs::error::StoreError;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Faults of one kind that are listed before the rest is only counted.
const LISTED: usize = 10;

/// A fault of the data, under the key that names what is at fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flaw {
    pub key: &'static str,
    pub sentence: String,
    /// No fault of the data: they could not be read now, and may be readable soon.
    pub passing: bool,
    /// The file that the disk did not give.
    pub file: Option<PathBuf>,
}

impl Flaw {
    pub fn new(key: &'static str, sentence: impl Into<String>) -> Self {
        Flaw { key, sentence: sentence.into(), passing: false, file: None }
    }

    /// As [`Flaw::unread`]; of what is not there, what can be done.
    pub fn missing(key: &'static str, error: &StoreError, cure: &str) -> Self {
        match error.is_missing() {
            true if annex::is_link_to_nothing(error.path()) => {
                Flaw::new(key, format!("{} {}", error.path().display(), annex::SENTENCE))
            }
            true => Flaw::new(key, format!("{} is not there; {cure}", error.path().display())),
            false => Flaw::unread(key, error),
        }
    }

    /// What could not be read.
    pub fn unread(key: &'static str, error: &StoreError) -> Self {
        let file = error.is_of_the_disk().then(|| error.path().to_path_buf());
        Flaw { key, sentence: error.to_string(), passing: !error.is_of_the_file(), file }
    }
}

/// The options on which the data depend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    pub caps_dir: PathBuf,
    pub tsv_path: PathBuf,
    pub preprocessing: Preprocessing,
    pub baseline: bool,
    pub diagnoses: Vec<Diagnosis>,
    pub folds: Folds,
    /// Items come from extracted tensors, so that only the first image is needed whole.
    pub extracted: bool,
}

impl Asked {
    pub fn of(options: &JobOptions) -> Self {
        Asked {
            caps_dir: options.caps_dir.clone(),
            tsv_path: options.tsv_path.clone(),
            preprocessing: options.preprocessing,
            baseline: options.baseline,
            diagnoses: options.diagnoses.clone(),
            folds: options.folds.clone(),
            extracted: options.mode.use_extracted(),
        }
    }
}

/// The data of a job, as far as they can be known without decoding them.
#[derive(Debug)]
pub struct Facts {
    /// Each fold with its index, in the order in which they are trained.
    pub folds: Vec<(u32, FoldLabels)>,
    /// Size of every image: X, Y, Z.
    pub volume: [usize; 3],
    /// What is no fault and may be a mistake; only known when every image was looked at.
    pub notices: Vec<String>,
}

/// How many images are looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Look {
    /// All of them have to be there, and the first gives the size.
    #[default]
    First,
    /// Each is looked at: whole, and of the first one's size.
    Every,
}

impl Facts {
    /// Reads the labels of every fold and looks at the images.
    ///
    /// # Errors
    /// Every flaw that could be found; never none.
    pub fn read(options: &JobOptions, look: Look) -> Result<Facts, Vec<Flaw>> {
        let mut flaws: Vec<Flaw> =
            [directory("caps_dir", &options.caps_dir), directory("tsv_path", &options.tsv_path)].into_iter().flatten().collect();
        if !flaws.is_empty() {
            return Err(flaws);
        }
        let mut folds = Vec::new();
        for fold in options.folds.indices() {
            match labels::read_fold(options, fold) {
                Ok(labels) => {
                    flaws.extend(leak(fold, &labels));
                    folds.push((fold, labels));
                }
                Err(error) => {
                    flaws.push(Flaw::missing("tsv_path", &error, &cure_of_labels(options)));
                }
            }
        }
        let volume = volume(options, &folds, look);
        match volume {
            Ok((volume, notices)) if flaws.is_empty() => Ok(Facts { folds, volume, notices }),
            Ok(_) => Err(flaws),
            Err(images) => {
                flaws.extend(images);
                if flaws.is_empty() {
                    flaws.push(Flaw::new("tsv_path", "the label files name no image at all"));
                }
                Err(flaws)
            }
        }
    }

    /// Each image once, in the order of the folds.
    pub fn images(&self) -> Vec<&LabelRow> {
        images(&self.folds)
    }
}

/// What cures that a table of labels is not there.
fn cure_of_labels(options: &JobOptions) -> String {
    match (labels::splits(&options.tsv_path), &options.folds) {
        (Some(found), Folds::Splits { n, .. }) if found == *n => {}
        (Some(found), _) => {
            return format!("the labels are split into {found} folds: set n_splits to {found}, or name another folder");
        }
        (None, _) => {}
    }
    "put the label's table there, or leave the label out of diagnoses".to_string()
}

fn directory(key: &'static str, path: &Path) -> Option<Flaw> {
    let error = probe::directory(path).err()?;
    let flaw = Flaw::unread(key, &error);
    let cure = if flaw.passing { "" } else { "; name a directory that can be read" };
    Some(Flaw { sentence: format!("{}{cure}", flaw.sentence), ..flaw })
}

fn images(folds: &[(u32, FoldLabels)]) -> Vec<&LabelRow> {
    let mut seen = BTreeSet::new();
    let rows = folds.iter().flat_map(|(_, labels)| labels.train.iter().chain(&labels.validation));
    rows.filter(|row| seen.insert((row.participant.as_str(), row.session.as_str()))).collect()
}

/// Participants on both sides of the fold.
fn leak(fold: u32, labels: &FoldLabels) -> Option<Flaw> {
    let train: BTreeSet<&str> = labels.train.iter().map(|row| row.participant.as_str()).collect();
    let both: BTreeSet<&str> =
        labels.validation.iter().map(|row| row.participant.as_str()).filter(|p| train.contains(p)).collect();
    if both.is_empty() {
        return None;
    }
    let named: Vec<&str> = both.iter().copied().take(LISTED).collect();
    let more = if both.len() > LISTED { format!(" and {} more", both.len() - LISTED) } else { String::new() };
    let sentence = format!(
        "leak in fold {fold}: {}{more} in both the training and the validation set; keep each on one side",
        named.join(", ")
    );
    Some(Flaw::new("tsv_path", sentence))
}

/// The size of every image, and notices; without any image neither that nor a flaw.
fn volume(options: &JobOptions, folds: &[(u32, FoldLabels)], look: Look) -> Result<([usize; 3], Vec<String>), Vec<Flaw>> {
    let caps = Caps::new(&options.caps_dir, options.preprocessing);
    let mut first: Option<([usize; 3], PathBuf)> = None;
    let (mut causes, mut grids) = (Causes::default(), Grids::default());
    let needed = if options.mode.use_extracted() { 1 } else { usize::MAX };
    for row in images(folds).into_iter().take(needed) {
        match (image(&caps, row), &first) {
            (Err((kind, flaw)), _) => causes.push(kind, flaw),
            (Ok(_), Some(_)) if look == Look::First => {}
            (Ok(image), known) => match image.look(known.is_none()) {
                Err(error) => {
                    let flaw = Flaw::unread("caps_dir", &error);
                    causes.push(Kind::of(row, &flaw), flaw);
                }
                Ok((size, grid)) => {
                    grids.push(grid, &image.path);
                    match known {
                        None => first = Some((size, image.path)),
                        Some((wanted, path)) if size != *wanted => {
                            let (file, of) = (image.path.display(), path.display());
                            let (size, wanted) = (dimensions(size), dimensions(*wanted));
                            let sentence = format!("{file} has the size {size}, and {of} {wanted}; all must have one");
                            let flaw = Flaw::new("caps_dir", sentence);
                            causes.push(Kind::of(row, &flaw), flaw);
                        }
                        Some(_) => {}
                    }
                }
            },
        }
    }
    let flaws = causes.flaws();
    match first {
        Some((size, _)) if flaws.is_empty() => Ok((size, grids.notice().into_iter().collect())),
        _ => Err(flaws),
    }
}

/// How the images lie in space: each kind with its first image, and how many there are.
#[derive(Default)]
struct Grids(Vec<(Grid, PathBuf, usize)>);

impl Grids {
    /// A tensor has no grid.
    fn push(&mut self, grid: Option<Grid>, path: &Path) {
        let Some(grid) = grid else { return };
        match self.0.iter_mut().find(|(known, _, _)| known.agrees(&grid)) {
            Some((_, _, count)) => *count += 1,
            None => self.0.push((grid, path.to_path_buf(), 1)),
        }
    }

    /// What is said of images that cannot be compared voxel by voxel.
    fn notice(self) -> Option<String> {
        if self.0.len() < 2 {
            return None;
        }
        let kinds = self.0.iter().map(|(grid, path, count)| format!("{count} as {} ({grid})", path.display()));
        Some(format!(
            "caps_dir: the images differ in orientation or voxel size, which a network is not told: {}",
            kinds.take(LISTED).collect::<Vec<_>>().join("; ")
        ))
    }
}

/// Flaws of images. Those with one cause are told once.
#[derive(Default)]
struct Causes(Vec<Cause>);

struct Cause {
    /// What is the same for all of its images.
    kind: Kind,
    first: Flaw,
    /// Images after the first.
    more: usize,
}

#[derive(PartialEq, Eq)]
enum Kind {
    Missing(missing_image::Cause),
    /// The sentence without the names of the participant and the session.
    Sentence(String),
}

impl Kind {
    fn of(row: &LabelRow, flaw: &Flaw) -> Self {
        let names = [(row.participant.as_str(), "PARTICIPANT"), (row.session.as_str(), "SESSION")];
        Kind::Sentence(names.iter().fold(flaw.sentence.clone(), |text, (name, word)| text.replace(name, word)))
    }
}

impl Causes {
    fn push(&mut self, kind: Kind, flaw: Flaw) {
        match self.0.iter_mut().find(|cause| cause.kind == kind) {
            Some(cause) => cause.more += 1,
            None => self.0.push(Cause { kind, first: flaw, more: 0 }),
        }
    }

    /// One for each cause, of which the first are listed.
    fn flaws(mut self) -> Vec<Flaw> {
        let rest: usize = self.0.iter().skip(LISTED).map(|cause| cause.more + 1).sum();
        self.0.truncate(LISTED);
        let mut flaws: Vec<Flaw> = self.0.into_iter().map(Cause::flaw).collect();
        if rest > 0 {
            flaws.push(Flaw::new("caps_dir", format!("{rest} more images are at fault")));
        }
        flaws
    }
}

impl Cause {
    fn flaw(self) -> Flaw {
        let likewise = match self.more {
            0 => return self.first,
            1 => "1 more image is at fault likewise".to_string(),
            more => format!("{more} more images are at fault likewise"),
        };
        Flaw { sentence: format!("{}; {likewise}", self.first.sentence), ..self.first }
    }
}

/// Where an image is, and in which form.
struct Image {
    path: PathBuf,
    is_tensor: bool,
}

/// The tensor if it is there, else the volume.
fn image(caps: &Caps, row: &LabelRow) -> Result<Image, (Kind, Flaw)> {
    match image_files::whole(caps, row.at()) {
        Ok(Some(found)) => Ok(Image { is_tensor: image_files::is_tensor(&found.path), path: found.path }),
        Ok(None) => {
            let (cause, clause) = missing_image::explain(caps, row.at());
            let (participant, session, line) = (&row.participant, &row.session, row.source.line);
            let file = row.source.file.display();
            let sentence = format!("{participant} {session} (line {line} of {file}) has no image: {clause}");
            Err((Kind::Missing(cause), Flaw::new("caps_dir", sentence)))
        }
        Err(error) => {
            let flaw = Flaw::unread("caps_dir", &error);
            Err((Kind::of(row, &flaw), flaw))
        }
    }
}

impl Image {
    /// The size, and the grid of a volume. Damage between a file's header and its end is looked for in a `first` tensor alone,
    /// which is read whole.
    fn look(&self, first: bool) -> Result<([usize; 3], Option<Grid>), StoreError> {
        if !self.is_tensor {
            return nifti::header(&self.path).map(|header| (header.shape, Some(header.grid)));
        }
        let shape = if first { probe::tensor(&self.path)? } else { torch_file::shape(&self.path)? };
        match shape.as_slice() {
            [1, x, y, z] => Ok(([*x, *y, *z], None)),
            other => {
                Err(StoreError::content(&self.path, format!("a tensor of {}; an image's is 1 x X x Y x Z", dimensions(other))))
            }
        }
    }
}
