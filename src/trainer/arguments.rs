//! The command line of the trainer.

use crate::exit::Exit;
use std::ffi::OsString;
use std::fmt::Write;
use std::path::PathBuf;

#[derive(Debug, PartialEq, Eq)]
pub enum Request {
    /// Train the job in this folder.
    Train(PathBuf),
    /// Time a network, with these further arguments.
    Bench(Vec<OsString>),
    Help,
    Version,
}

/// What the arguments, without the program's name, ask for; the error is one sentence.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Request, String> {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    match arguments.as_slice() {
        [first, rest @ ..] if first == "bench" => Ok(Request::Bench(rest.to_vec())),
        [one] if one == "--help" || one == "-h" => Ok(Request::Help),
        [one] if one == "--version" || one == "-V" => Ok(Request::Version),
        [one] if one.to_string_lossy().starts_with('-') => Err(format!("there is no option {:?}", one.to_string_lossy())),
        [folder] if PathBuf::from(folder).is_absolute() => Ok(Request::Train(PathBuf::from(folder))),
        [folder] => Err(format!("{:?} is not an absolute path", folder.to_string_lossy())),
        [] => Err("the job's folder is missing".to_string()),
        _ => Err("one job's folder is expected, and nothing else".to_string()),
    }
}

/// The text of `--help`.
pub fn help() -> String {
    let mut text = String::from(
        "Trains the job in a folder, from where an earlier attempt left it.\n\n\
         Usage: neurosearch-trainer /absolute/job/folder\n\
         \x20      neurosearch-trainer bench --help\n\n\
         Reads commandline.json; writes the folds' results, and .neurosearch/{trainer,progress,end}.json.\n\n\
         Environment (all optional):\n  \
         NEUROSEARCH_DEVICE     cpu, or the UUID of the GPU that CUDA_VISIBLE_DEVICES leaves visible\n  \
         NEUROSEARCH_THREADS    threads on the CPU; a job keeps those of its first attempt\n  \
         NEUROSEARCH_ATTEMPT    number of this attempt, from 1\n  \
         NEUROSEARCH_PRECISION  fp32, tf32 or bf16; a job keeps that of its first attempt\n  \
         NEUROSEARCH_CACHE_DIR  where decoded images are shared between trainers, empty for nowhere;\n                         \
         else the user's cache folder\n  \
         NEUROSEARCH_CACHE_GIGABYTES  what that folder may hold\n\n\
         Exit codes:\n",
    );
    for (exit, meaning) in Exit::ALL {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "  {:>2}  {meaning}", exit.code());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(arguments: &[&str]) -> Result<Request, String> {
        parse(arguments.iter().map(OsString::from))
    }

    #[test]
    fn one_absolute_folder_is_a_job_and_everything_else_is_explained() {
        assert_eq!(request(&["/jobs/job-0"]), Ok(Request::Train(PathBuf::from("/jobs/job-0"))));
        assert_eq!(request(&["--version"]), Ok(Request::Version));
        for wrong in [&[][..], &["job-0"], &["--quiet"], &["/a", "/b"]] {
            assert!(request(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn the_help_names_every_exit_code_once() {
        let help = help();
        let mut codes: Vec<u8> = Exit::ALL.iter().map(|(exit, _)| exit.code()).collect();
        assert!(codes.iter().all(|code| help.contains(&format!("\n  {code:>2}  "))), "{help}");
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), Exit::ALL.len());
    }
}
