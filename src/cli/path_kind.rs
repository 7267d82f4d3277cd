//! A file that somebody names where a folder is asked for, or the other way round: the sentence says what to name.

use super::exit::{Exit, Failure};
use std::path::Path;

/// For a verb that asks for a folder; that nothing is there is for the verb to say.
///
/// # Errors
/// It is a file.
pub fn folder(path: &Path) -> Result<(), Failure> {
    if !path.is_file() {
        return Ok(());
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let sentence = format!("{} is a file; name the folder that it is in, {}", path.display(), folder.display());
    Err(Failure::new(Exit::BadInput, sentence))
}

/// For a verb that asks for a commandline.json.
///
/// # Errors
/// It is a folder.
pub fn options_file(path: &Path) -> Result<(), Failure> {
    if !path.is_dir() {
        return Ok(());
    }
    let file = path.join("commandline.json");
    let sentence = format!("{} is a folder; name the file with the options, such as {}", path.display(), file.display());
    Err(Failure::new(Exit::BadInput, sentence))
}
