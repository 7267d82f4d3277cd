//! The trainer's command line, defined here so that the manual and the completions can be made without libtorch.

use super::trainer_exit_code::Exit;
use crate::domain::network::precision::Precision;
use crate::domain::text::escape;
use clap::builder::{PathBufValueParser, TypedValueParser};
use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, Subcommand, ValueEnum};
use std::ffi::OsString;
use std::fmt::Write;
use std::path::PathBuf;

/// What the trainer is asked for.
#[derive(Debug)]
pub enum TrainerCommand {
    /// Train the job in this folder, whose path is absolute.
    Train(PathBuf),
    /// Wait, loaded, for the order that names one.
    Standby,
    Bench(Bench),
}

/// Trains the job in a folder, from where an earlier attempt left it
///
/// The daemon starts it, and so do `neurosearch generate`, `retrain` and `continue`; by hand or in a cluster's batch job it is
/// the same. It reads the folder's commandline.json and writes its folds' results, and .neurosearch/{trainer,progress,end}.json.
#[derive(Debug, Parser)]
#[command(name = "neurosearch-trainer", version, max_term_width = 100, after_help = after_help())]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true, disable_help_subcommand = true)]
struct Arguments {
    /// The job's folder, by its absolute path
    #[arg(value_name = "JOB", required = true, value_parser = PathBufValueParser::new().try_map(absolute))]
    job: Option<PathBuf>,
    #[command(subcommand)]
    other: Option<Other>,
}

#[derive(Debug, Subcommand)]
enum Other {
    Standby(Standby),
    Bench(Bench),
}

/// Load, and wait for the job that the daemon then names
///
/// It says `ready` on its standard output, and reads the job's folder and environment from its standard input. Where that
/// ends before, so does the trainer. The daemon keeps one while a search begins, and two while short jobs follow one another,
/// so that none waits for libtorch.
#[derive(Debug, clap::Args)]
struct Standby {
    /// Room in the process's command line for the job's folder
    #[arg(hide = true)]
    _room: Option<OsString>,
}

/// Time one network's training steps and forward passes on resident tensors
///
/// Prints one line of JSON, with seconds an item.
#[derive(Debug, clap::Args)]
pub struct Bench {
    /// A commandline.json; only what shapes the network is read
    pub commandline: PathBuf,
    /// Channels and sizes of an item
    #[arg(long, default_value = "1x169x208x179", value_parser = parse_shape)]
    pub item: Shape,
    /// Items in a batch
    #[arg(long, default_value_t = 2)]
    pub batch: usize,
    /// The CPU, or the first GPU that is visible
    #[arg(long, value_enum, default_value = "cpu")]
    pub device: On,
    /// How to compute: fp32, tf32 or bf16
    #[arg(long, default_value_t)]
    pub precision: Precision,
    /// Steps timed, after one that is not; on a GPU each stands for ten, between which nobody waits
    #[arg(long, default_value_t = 5)]
    pub steps: usize,
    /// Threads to compute with; all cores where none is given
    #[arg(long)]
    pub threads: Option<usize>,
    /// Measure how far the process's memory rises above what it was before the network was built
    #[arg(long)]
    pub memory: bool,
}

/// Where a network is timed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum On {
    Cpu,
    Cuda,
}

/// Channels, then two or three sizes; none is 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape(pub Vec<usize>);

fn parse_shape(text: &str) -> Result<Shape, String> {
    let sizes: Result<Vec<usize>, _> = text.split('x').map(str::parse).collect();
    match sizes {
        Ok(sizes) if (3..=4).contains(&sizes.len()) && !sizes.contains(&0) => Ok(Shape(sizes)),
        _ => Err(format!("{text:?} is not a shape such as 1x169x208x179: channels, then two or three sizes")),
    }
}

fn absolute(path: PathBuf) -> Result<PathBuf, String> {
    if path.is_absolute() { Ok(path) } else { Err("it is not an absolute path".to_string()) }
}

/// The command line's definition.
pub fn command() -> clap::Command {
    Arguments::command()
}

/// What the arguments, the program's name first, ask for.
///
/// # Errors
/// A refusal of the arguments, or the help or version that was asked for.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<TrainerCommand, clap::Error> {
    let Arguments { job, other } = escape::parsed(arguments, Arguments::try_parse_from)?;
    match (other, job) {
        (Some(Other::Bench(bench)), _) => Ok(TrainerCommand::Bench(bench)),
        (Some(Other::Standby(_)), _) => Ok(TrainerCommand::Standby),
        (None, Some(job)) => Ok(TrainerCommand::Train(job)),
        (None, None) => Err(command().error(ErrorKind::MissingRequiredArgument, "the job's folder is missing")),
    }
}

fn after_help() -> String {
    let mut text = String::from(
        "Environment (all optional):\n  \
         NEUROSEARCH_DEVICE     cpu, or the UUID of the GPU that CUDA_VISIBLE_DEVICES leaves visible\n  \
         NEUROSEARCH_THREADS    threads on the CPU; a job keeps those of its first attempt\n  \
         NEUROSEARCH_ATTEMPT    number of this attempt, from 1\n  \
         NEUROSEARCH_PRECISION  fp32, tf32 or bf16; a job keeps that of its first attempt\n  \
         NEUROSEARCH_CACHE_DIR  where decoded images are shared between trainers, empty for nowhere;\n                         \
         else the user's cache folder\n  \
         NEUROSEARCH_CACHE_GIGABYTES  what that folder may hold\n  \
         NEUROSEARCH_RUN        what runs it, as trainer.json then names it; else this process\n\n\
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

    fn request(arguments: &[&str]) -> Result<TrainerCommand, clap::Error> {
        parse(std::iter::once("neurosearch-trainer").chain(arguments.iter().copied()).map(OsString::from))
    }

    #[test]
    fn one_absolute_folder_is_a_job_and_everything_else_is_explained() {
        command().debug_assert();
        assert!(matches!(request(&["/jobs/job-0"]), Ok(TrainerCommand::Train(job)) if job.ends_with("job-0")));
        for (wrong, sentence) in [
            (&[][..], "<JOB>"),
            (&["job-0"], "not an absolute path"),
            (&["--quiet"], "--quiet"),
            (&["/a", "/b"], "/b"),
            (&["bench"], "<COMMANDLINE>"),
            (&["bench", "c.json", "--item", "1x2"], "is not a shape"),
        ] {
            let refusal = request(wrong).map(|request| panic!("{wrong:?} is {request:?}")).unwrap_err();
            assert_eq!(refusal.exit_code(), i32::from(Exit::Usage.code()), "{wrong:?}");
            assert!(refusal.to_string().contains(sentence), "{wrong:?}: {refusal}");
        }
    }

    #[test]
    fn a_trainer_waits_with_and_without_room_for_its_jobs_name() {
        for words in [&["standby"][..], &["standby", "      "]] {
            assert!(matches!(request(words), Ok(TrainerCommand::Standby)), "{words:?}");
        }
    }

    #[test]
    fn a_network_is_timed_as_its_options_say() {
        let Ok(TrainerCommand::Bench(bench)) = request(&["bench", "c.json", "--item", "3x224x224", "--device", "cuda"]) else {
            panic!()
        };
        assert_eq!((bench.item, bench.device, bench.batch), (Shape(vec![3, 224, 224]), On::Cuda, 2));
    }

    #[test]
    fn the_help_names_every_exit_code_once() {
        let help = command().render_help().to_string();
        let mut codes: Vec<u8> = Exit::ALL.iter().map(|(exit, _)| exit.code()).collect();
        assert!(codes.iter().all(|code| help.contains(&format!("\n  {code:>2}  "))), "{help}");
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), Exit::ALL.len());
    }
}
