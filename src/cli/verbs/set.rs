//! `neurosearch set`: a search's terms change while it runs.

use crate::cli::daemon_request::Ask;
use crate::cli::exit::{Exit, Failure, VerbResult};
use crate::cli::output::out::Out;
use crate::control::request::Set;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Change a search's terms: n_jobs, priority, slots, time_limit_hours
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The launch directory
    launch_dir: PathBuf,
    /// As `n_jobs=40`, `priority=5`, `slots=2` (or `all`), `time_limit_hours=12` (or `none`)
    #[arg(required = true, value_name = "KEY=VALUE")]
    terms: Vec<String>,
    #[command(flatten)]
    ask: Ask,
}

pub fn run(args: &Args, out: &mut Out) -> VerbResult {
    let mut set = BTreeMap::new();
    for term in &args.terms {
        let (key, value) = term
            .split_once('=')
            .ok_or_else(|| Failure::new(Exit::Usage, format!("{term:?} is not KEY=VALUE, as in n_jobs=40")))?;
        set.insert(key.to_string(), value.to_string());
    }
    args.ask.send(Set { target: Some(args.ask.place(&args.launch_dir)?), set, ..Set::default() }, out)
}
