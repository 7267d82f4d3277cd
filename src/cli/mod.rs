//! The command line: the verbs, one file each, and how the program ends.

pub mod add;
pub mod analysis;
pub mod args;
pub mod ask;
pub mod best;
pub mod cancel;
pub mod choose_device;
pub mod completions;
pub mod continue_;
pub mod devices;
pub mod drain;
mod drawing;
pub mod enqueue;
pub mod exit;
pub mod explain;
pub mod flags;
pub mod generate;
pub mod init;
mod init_sizes;
pub mod interrupt;
pub mod job_folder;
pub mod jobs;
mod listing;
pub mod logs;
pub mod make_caps;
mod make_caps_files;
mod make_caps_labels;
mod make_caps_volume;
pub mod man;
mod named;
pub mod out;
pub mod pause;
pub mod ping;
pub mod programs;
pub mod progress_view;
pub mod reload;
pub mod remove;
pub mod render;
pub mod resume;
pub mod retrain;
pub mod retry;
pub mod run_job;
pub mod sample;
pub mod schema;
mod screen;
pub mod set;
pub mod show;
pub mod shutdown;
pub mod status;
mod terminal;
pub mod validate;
pub mod watch;

use crate::domain::escape;
use clap::{CommandFactory, Parser, Subcommand};
use exit::{Exit, Failure, Outcome};
use out::Out;
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
    Add(add::Args),
    Analysis(analysis::Args),
    Best(best::Args),
    Cancel(cancel::Args),
    Completions(completions::Args),
    Continue(continue_::Args),
    Devices(devices::Args),
    Drain(drain::Args),
    Enqueue(enqueue::Args),
    Explain(explain::Args),
    Generate(generate::Args),
    Init(init::Args),
    Jobs(jobs::Args),
    Logs(logs::Args),
    MakeCaps(make_caps::Args),
    Man(man::Args),
    Pause(pause::Args),
    Ping(ping::Args),
    Reload(reload::Args),
    Remove(remove::Args),
    Resume(resume::Args),
    Retrain(retrain::Args),
    Retry(retry::Args),
    Sample(sample::Args),
    Schema(schema::Args),
    Set(set::Args),
    Show(show::Args),
    Shutdown(shutdown::Args),
    Status(status::Args),
    Validate(validate::Args),
    Watch(watch::Args),
}

fn run(command: Command, out: &mut Out) -> Outcome {
    match command {
        Command::Add(args) => add::run(&args, out),
        Command::Analysis(args) => analysis::run(args, out),
        Command::Best(args) => best::run(&args, out),
        Command::Cancel(args) => cancel::run(&args, out),
        Command::Completions(args) => completions::run(&args, out),
        Command::Continue(args) => continue_::run(&args, out),
        Command::Devices(args) => devices::run(&args, out),
        Command::Drain(args) => drain::run(&args, out),
        Command::Enqueue(args) => enqueue::run(&args, out),
        Command::Explain(args) => explain::run(&args, out),
        Command::Generate(args) => generate::run(&args, out),
        Command::Init(args) => init::run(&args, out),
        Command::Jobs(args) => jobs::run(&args, out),
        Command::Logs(args) => logs::run(&args, out),
        Command::MakeCaps(args) => make_caps::run(&args, out),
        Command::Man(args) => man::run(&args, out),
        Command::Pause(args) => pause::run(&args, out),
        Command::Ping(args) => ping::run(&args, out),
        Command::Reload(args) => reload::run(&args, out),
        Command::Remove(args) => remove::run(&args, out),
        Command::Resume(args) => resume::run(&args, out),
        Command::Retrain(args) => retrain::run(&args, out),
        Command::Retry(args) => retry::run(&args, out),
        Command::Sample(args) => sample::run(&args, out),
        Command::Schema(args) => schema::run(&args, out),
        Command::Set(args) => set::run(&args, out),
        Command::Show(args) => show::run(&args, out),
        Command::Shutdown(args) => shutdown::run(&args, out),
        Command::Status(args) => status::run(&args, out),
        Command::Validate(args) => validate::run(&args, out),
        Command::Watch(args) => watch::run(&args, out),
    }
}

/// The definition of the whole command line, for completions and manual pages.
pub fn command() -> clap::Command {
    Cli::command()
}

/// Does what the arguments (the program's name first) ask for, and says how it ended; every failure has been said on stderr.
pub fn main(args: impl IntoIterator<Item = OsString>) -> Exit {
    let mut out = Out::stdout();
    let outcome = match escape::parsed(args, Cli::try_parse_from) {
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
fn answer(refusal: &clap::Error, out: &mut Out) -> Outcome {
    if refusal.use_stderr() {
        // Nowhere is left to say that stderr cannot be written.
        let _ = if out::colour_wanted() { refusal.print() } else { write!(std::io::stderr(), "{}", refusal.render()) };
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
        out::note(line);
    }
    failure.exit
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_of_the_command_line_is_consistent() {
        command().debug_assert();
    }
}
