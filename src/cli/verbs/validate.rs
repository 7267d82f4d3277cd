//! `neurosearch validate`: whether a search space can be searched, said without a daemon and before anything starts.

use crate::check;
use crate::cli::exit::{Exit, Failure, VerbResult};
use crate::cli::output::out::{self, Out};
use crate::cli::path_kind;
use crate::domain::folds::Folds;
use crate::domain::space::{Parsed, SearchSpace};
use crate::executor::local::gpus;
use crate::store::data::labels;
use crate::store::fs::rights::Rights;
use crate::store::records::layout::LaunchDir;
use crate::store::records::space_file::{self, SpaceFile};
use std::path::{Path, PathBuf};

/// Check a launch directory's random_search.json and the data it names
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The launch directory
    dir: PathBuf,
}

pub fn run(args: &Args, out: &mut Out) -> VerbResult {
    let space = accepted(&args.dir)?;
    note_all(&space, check::space(&space)?);
    if !space.use_cpu && gpus::find().gpus.is_empty() {
        let file = &space.origin.file;
        out::note(format!(
            "{file}: use_cpu is false, and this machine shows no GPU: here its jobs train only with \"use_cpu\": true"
        ));
    }
    out.line(format!("{}: valid, and its data are there", space.origin.file))?;
    if let Some(line) = labels_taken(&space.tsv_path, &space.folds)? {
        out.line(line)?;
    }
    Ok(Exit::Done)
}

/// Which folder labels are read from, if they are a split of ClinicaDL 1.2 or later: there may be several below `tsv_path`.
///
/// # Errors
/// When that cannot be known.
pub fn labels_taken(tsv_path: &Path, folds: &Folds) -> Result<Option<String>, Failure> {
    let n_splits = match folds {
        Folds::Single => "null, a single split".to_string(),
        Folds::Splits { n, .. } => n.to_string(),
    };
    let root = labels::tree(tsv_path, folds)?;
    Ok(root.map(|root| format!("labels are read from {}; n_splits is {n_splits}", root.display())))
}

/// Tells what is no fault of the data, on stderr.
pub fn note_all(space: &SearchSpace, notices: Vec<String>) {
    for notice in notices {
        out::note(format!("{}: {notice}", space.origin.file));
    }
}

/// The search space of the launch directory `dir`; its notices go to stderr.
///
/// # Errors
/// It is missing, refused, or faulty: every fault on a line of its own.
pub fn accepted(dir: &Path) -> Result<SearchSpace, Failure> {
    path_kind::folder(dir)?;
    let base = std::path::absolute(dir).map_err(|e| Failure::new(Exit::BadInput, format!("{}: {e}", dir.display())))?;
    let launch = LaunchDir::new(dir);
    let file = launch.space().display().to_string();
    let text = match space_file::read(&launch, None, &Rights::default()) {
        SpaceFile::Text { text, .. } => text,
        SpaceFile::Refused { sentence, .. } => return Err(Failure::new(Exit::BadInput, sentence)),
        SpaceFile::Missing | SpaceFile::Unchanged => {
            return Err(Failure::new(
                Exit::NotFound,
                format!("{file} is not there; neurosearch init {} writes one", dir.display()),
            ));
        }
    };
    let Parsed { space, notices, .. } = SearchSpace::parse(&text, &file, &base)?;
    for notice in notices {
        out::note(format!("{file}: {notice}"));
    }
    Ok(match dir.canonicalize() {
        Ok(real) => space.without_detours(&base, &real),
        Err(_) => space,
    })
}
