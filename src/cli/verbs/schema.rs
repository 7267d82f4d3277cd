//! `neurosearch schema`: the JSON Schema of `random_search.json`.

use crate::cli::exit::{Exit, Failure, VerbResult};
use crate::cli::output::out::Out;
use crate::domain::space::json_schema;

/// Print the JSON Schema of random_search.json, for editors
#[derive(Debug, clap::Args)]
pub struct Args {}

pub fn run(_: &Args, out: &mut Out) -> VerbResult {
    let text = serde_json::to_string_pretty(&json_schema::schema())
        .map_err(|e| Failure::new(Exit::Failed, format!("cannot write the schema as JSON: {e}")))?;
    out.line(text)?;
    Ok(Exit::Done)
}
