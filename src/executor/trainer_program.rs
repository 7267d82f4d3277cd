//! Finds the trainer's program.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// The environment variable that names a trainer to use in place of the one beside this program.
pub const VARIABLE: &str = "NEUROSEARCH_TRAINER";

/// The program's file name, beside the daemon and the command line.
pub const NAME: &str = "neurosearch-trainer";

/// There is no trainer to start.
#[derive(Debug, thiserror::Error)]
pub enum NoTrainer {
    #[error(
        "no trainer at {}: build it with `cargo build --release` (it needs libtorch: `make libtorch`), or name one in {VARIABLE}",
        path.display()
    )]
    Missing { path: PathBuf },
    #[error("{} is not a program that this user may run; {cure}", path.display())]
    NotExecutable { path: PathBuf, cure: &'static str },
    #[error("cannot find where this program lies, to look for the trainer beside it ({source}); name the trainer in {VARIABLE}")]
    Lost { source: std::io::Error },
}

/// The trainer: what `NEUROSEARCH_TRAINER` names, else `neurosearch-trainer` beside this program. The path is absolute.
///
/// # Errors
/// If there is no such program, or it cannot be run. Each names the path and the cure.
pub fn find_trainer() -> Result<PathBuf, NoTrainer> {
    find(std::env::var_os(VARIABLE).as_deref(), std::env::current_exe())
}

/// The file names that a trainer may run under: the usual one, that of the named one, and that of what a link of this name
/// leads to. There need be no such program now: it may be replaced while its trainers run.
pub fn names() -> Vec<OsString> {
    let named = std::env::var_os(VARIABLE).filter(|name| !name.is_empty()).map(PathBuf::from);
    let behind = named.as_ref().and_then(|path| fs::canonicalize(path).ok());
    let names = named.iter().chain(&behind).filter_map(|path| path.file_name()).map(OsStr::to_owned);
    names.chain([NAME.into()]).collect()
}

fn find(named: Option<&OsStr>, own: std::io::Result<PathBuf>) -> Result<PathBuf, NoTrainer> {
    let path = match named.filter(|name| !name.is_empty()) {
        Some(named) => std::path::absolute(named).map_err(|source| NoTrainer::Lost { source })?,
        None => own.map_err(|source| NoTrainer::Lost { source })?.with_file_name(NAME),
    };
    runnable(&path)?;
    Ok(path)
}

fn runnable(path: &Path) -> Result<(), NoTrainer> {
    let cure = if path.file_name() == Some(OsStr::new(NAME)) { "set its execute permission" } else { "mend NEUROSEARCH_TRAINER" };
    match fs::metadata(path) {
        Ok(found) if found.is_file() && found.permissions().mode() & 0o111 != 0 => Ok(()),
        Ok(_) => Err(NoTrainer::NotExecutable { path: path.to_path_buf(), cure }),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Err(NoTrainer::Missing { path: path.to_path_buf() }),
        Err(_) => Err(NoTrainer::NotExecutable { path: path.to_path_buf(), cure }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::tempdir;

    fn program(path: &Path, mode: u32) {
        fs::write(path, "#!/bin/sh\n").expect("written");
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("permitted");
    }

    #[test]
    fn the_trainer_beside_the_program_is_found_and_the_variable_wins_over_it() {
        let dir = tempdir();
        let own = dir.path().join("neurosearch");
        let beside = dir.path().join(NAME);
        let error = find(None, Ok(own.clone())).expect_err("nothing there").to_string();
        assert!(error.contains("neurosearch-trainer") && error.contains(VARIABLE), "{error}");
        program(&beside, 0o755);
        assert_eq!(find(None, Ok(own.clone())).expect("found"), beside);
        assert_eq!(find(Some(OsStr::new("")), Ok(own.clone())).expect("found"), beside);
        let other = dir.path().join("other");
        program(&other, 0o755);
        assert_eq!(find(Some(other.as_os_str()), Ok(own)).expect("found"), other);
    }

    #[test]
    fn a_folder_or_a_file_without_execute_permission_is_no_trainer() {
        let dir = tempdir();
        let plain = dir.path().join("plain");
        program(&plain, 0o644);
        for path in [plain.as_path(), dir.path()] {
            let error = find(Some(path.as_os_str()), Ok(PathBuf::new())).expect_err("not a program");
            assert!(matches!(error, NoTrainer::NotExecutable { .. }), "{error}");
        }
    }
}
