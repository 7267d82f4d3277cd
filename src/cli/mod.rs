//! The command line: the verbs, one file each, and how the program ends.

pub mod args;
pub mod choose_device;
pub mod daemon_request;
mod draw_lock;
pub mod exit;
pub mod flags;
pub mod interrupt;
pub mod job_folder;
pub mod output;
mod path_kind;
pub mod programs;
pub mod run_job;
mod verb_groups;
pub mod verbs;

use crate::domain::text::escape;
use crate::store::system;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use exit::{Exit, Failure, VerbResult};
use output::out::Out;
use std::ffi::OsString;
use std::io::Write;

/// Random search for convolutional networks on brain MRI.
#[derive(Debug, Parser)]
#[command(name = "neurosearch", version, arg_required_else_help = true, after_help = Exit::table(), max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// What can be asked for; each verb's arguments and work stand in the file of its name.
#[derive(Debug, Subcommand)]
enum Command {
    Add(verbs::add::Args),
    Analysis(verbs::analysis::Args),
    Best(verbs::best::Args),
    Cancel(verbs::cancel::Args),
    Completions(verbs::completions::Args),
    Continue(verbs::continue_::Args),
    Devices(verbs::devices::Args),
    Drain(verbs::drain::Args),
    Enqueue(verbs::enqueue::Args),
    Explain(verbs::explain::Args),
    Generate(verbs::generate::Args),
    Init(verbs::init::Args),
    Jobs(verbs::jobs::Args),
    Logs(verbs::logs::Args),
    MakeCaps(verbs::make_caps::Args),
    Man(verbs::man::Args),
    Pause(verbs::pause::Args),
    Ping(verbs::ping::Args),
    Reload(verbs::reload::Args),
    Remove(verbs::remove::Args),
    Resume(verbs::resume::Args),
    Retrain(verbs::retrain::Args),
    Retry(verbs::retry::Args),
    Sample(verbs::sample::Args),
    Schema(verbs::schema::Args),
    Set(verbs::set::Args),
    Show(verbs::show::Args),
    Shutdown(verbs::shutdown::Args),
    Status(verbs::status::Args),
    Validate(verbs::validate::Args),
    Watch(verbs::watch::Args),
}

fn run(command: Command, out: &mut Out) -> VerbResult {
    match command {
        Command::Add(args) => verbs::add::run(&args, out),
        Command::Analysis(args) => verbs::analysis::run(args, out),
        Command::Best(args) => verbs::best::run(&args, out),
        Command::Cancel(args) => verbs::cancel::run(&args, out),
        Command::Completions(args) => verbs::completions::run(&args, &definition(), out),
        Command::Continue(args) => verbs::continue_::run(&args, out),
        Command::Devices(args) => verbs::devices::run(&args, out),
        Command::Drain(args) => verbs::drain::run(&args, out),
        Command::Enqueue(args) => verbs::enqueue::run(&args, out),
        Command::Explain(args) => verbs::explain::run(&args, out),
        Command::Generate(args) => verbs::generate::run(&args, out),
        Command::Init(args) => verbs::init::run(&args, out),
        Command::Jobs(args) => verbs::jobs::run(&args, out),
        Command::Logs(args) => verbs::logs::run(&args, out),
        Command::MakeCaps(args) => verbs::make_caps::run(&args, out),
        Command::Man(args) => verbs::man::run(&args, &definition(), out),
        Command::Pause(args) => verbs::pause::run(&args, out),
        Command::Ping(args) => verbs::ping::run(&args, out),
        Command::Reload(args) => verbs::reload::run(&args, out),
        Command::Remove(args) => verbs::remove::run(&args, out),
        Command::Resume(args) => verbs::resume::run(&args, out),
        Command::Retrain(args) => verbs::retrain::run(&args, out),
        Command::Retry(args) => verbs::retry::run(&args, out),
        Command::Sample(args) => verbs::sample::run(&args, out),
        Command::Schema(args) => verbs::schema::run(&args, out),
        Command::Set(args) => verbs::set::run(&args, out),
        Command::Show(args) => verbs::show::run(&args, out),
        Command::Shutdown(args) => verbs::shutdown::run(&args, out),
        Command::Status(args) => verbs::status::run(&args, out),
        Command::Validate(args) => verbs::validate::run(&args, out),
        Command::Watch(args) => verbs::watch::run(&args, out),
    }
}

/// The definition of the whole command line, for completions and manual pages.
pub fn definition() -> clap::Command {
    verb_groups::grouped(Cli::command())
}

fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Cli, clap::Error> {
    Cli::from_arg_matches(&definition().try_get_matches_from(args)?)
}

/// Does what the arguments (the program's name first) ask for, and says how it ended; every failure has been said on stderr.
pub fn main(args: impl IntoIterator<Item = OsString>) -> Exit {
    system::stay_open_to_owner();
    let mut out = Out::stdout();
    let outcome = match escape::parsed(args, parse) {
        Ok(cli) => run(cli.command, &mut out),
        Err(refusal) => answer(&refusal, &mut out),
    };
    // A verb that did its work has not succeeded while its answer is still in the buffer of a full disk.
    match (outcome, out.flush()) {
        (Ok(exit), Ok(())) => exit,
        (Err(failure), _) | (Ok(_), Err(failure)) => tell(&failure),
    }
}

/// Help and version are answers; anything else clap says is a refusal of the command line.
fn answer(refusal: &clap::Error, out: &mut Out) -> VerbResult {
    if refusal.use_stderr() {
        // Nowhere is left to say that stderr cannot be written.
        let _ = if output::out::colour_wanted() { refusal.print() } else { write!(std::io::stderr(), "{}", refusal.render()) };
        return Ok(Exit::Usage);
    }
    let text = refusal.render();
    if out.colours() {
        out.raw(&text.ansi().to_string())?
    } else {
        out.raw(&text.to_string())?
    }
    Ok(Exit::Done)
}

fn tell(failure: &Failure) -> Exit {
    for line in failure.sentence.lines() {
        output::out::note(line);
    }
    failure.exit
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_of_the_command_line_is_consistent() {
        definition().debug_assert();
    }
}
