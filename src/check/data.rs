//! What labels and images come to: the sides of each fold, and the size of every image.

use crate::domain::folds::Folds;
use crate::domain::options::JobOptions;
use crate::domain::text::units::dimensions;
use crate::domain::words::{Diagnosis, Preprocessing};
use crate::store::data::caps::Caps;
use crate::store::data::labels::{self, FoldLabels, LabelRow};
use crate::store::data::probe;
use crate::store::formats::nifti;
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
                    let cure = "put the label's table there, or leave the label out of diagnoses";
                    flaws.push(Flaw::missing("tsv_path", &error, cure));
                }
            }
        }
        let volume = volume(options, &folds, look);
        match volume {
            Ok(volume) if flaws.is_empty() => Ok(Facts { folds, volume }),
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

/// The size of every image; without any image neither a size nor a flaw.
fn volume(options: &JobOptions, folds: &[(u32, FoldLabels)], look: Look) -> Result<[usize; 3], Vec<Flaw>> {
    let caps = Caps::new(&options.caps_dir, options.preprocessing);
    let mut first: Option<([usize; 3], PathBuf)> = None;
    let mut flaws = Vec::new();
    let needed = if options.mode.use_extracted() { 1 } else { usize::MAX };
    for row in images(folds).into_iter().take(needed) {
        match (image(&caps, row), &first) {
            (Err(flaw), _) => flaws.push(flaw),
            (Ok(_), Some(_)) if look == Look::First => {}
            (Ok(image), known) => match image.size(known.as_ref().map(|(size, _)| *size)) {
                Err(error) => flaws.push(Flaw::unread("caps_dir", &error)),
                Ok(size) => match known {
                    None => first = Some((size, image.path)),
                    Some((wanted, path)) if size != *wanted => {
                        let (file, of) = (image.path.display(), path.display());
                        flaws.push(Flaw::new(
                            "caps_dir",
                            format!(
                                "{file} has the size {}, and {of} {}; all must have one",
                                dimensions(size),
                                dimensions(*wanted)
                            ),
                        ));
                    }
                    Some(_) => {}
                },
            },
        }
    }
    let more = flaws.len().saturating_sub(LISTED);
    flaws.truncate(LISTED);
    if more > 0 {
        flaws.push(Flaw::new("caps_dir", format!("{more} more images are at fault")));
    }
    match first {
        Some((size, _)) if flaws.is_empty() => Ok(size),
        _ => Err(flaws),
    }
}

/// Where an image is, and in which form.
struct Image {
    path: PathBuf,
    is_tensor: bool,
}

/// The tensor where it is there, else the volume.
fn image(caps: &Caps, row: &LabelRow) -> Result<Image, Flaw> {
    let is_file = |path: &Path| probe::is_file(path).map_err(|error| Flaw::unread("caps_dir", &error));
    let tensor = caps.tensor(row.at());
    if is_file(&tensor)? {
        return Ok(Image { path: tensor, is_tensor: true });
    }
    let nifti = caps.nifti(row.at());
    match nifti {
        Some(path) if is_file(&path)? => Ok(Image { path, is_tensor: false }),
        nifti => {
            let path = nifti.as_ref().unwrap_or(&tensor);
            let (participant, session, line) = (&row.participant, &row.session, row.source.line);
            let file = row.source.file.display();
            let cure = "put it there, or take the row out";
            let sentence =
                format!("{participant} {session} (line {line} of {file}) has no image: {} is not there; {cure}", path.display());
            Err(Flaw::new("caps_dir", sentence))
        }
    }
}

impl Image {
    /// The size; where one is expected, a tensor of so many bytes is taken to have it.
    fn size(&self, expected: Option<[usize; 3]>) -> Result<[usize; 3], StoreError> {
        if !self.is_tensor {
            return nifti::shape(&self.path);
        }
        if let Some(size) = expected {
            let bytes = size.iter().fold(4_u64, |product, &side| product.saturating_mul(side as u64));
            if probe::tensor_has_bytes(&self.path, bytes)? {
                return Ok(size);
            }
        }
        match probe::tensor(&self.path)?.as_slice() {
            [1, x, y, z] => Ok([*x, *y, *z]),
            other => {
                Err(StoreError::content(&self.path, format!("a tensor of {}; an image's is 1 x X x Y x Z", dimensions(other))))
            }
        }
    }
}
