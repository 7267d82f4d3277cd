//! The daemon's program: its arguments, and how it ends.

use neurosearch::daemon::boot;
use neurosearch::daemon::configuration::Configuration;
use neurosearch::store::settings_arguments::{self, Arguments};
use std::io::Write;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments = Arguments::new(&settings_arguments::command().get_matches());
    let check_only = arguments.check_config;
    let ended = Configuration::first(move || arguments.settings())
        .and_then(|configuration| if check_only { Ok(()) } else { boot::run(configuration) });
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(sentences) => {
            for sentence in sentences.lines() {
                let safe: String =
                    sentence.chars().flat_map(|c| if c.is_control() { c.escape_debug().collect() } else { vec![c] }).collect();
                // Nowhere is left to say that stderr cannot be written.
                let _ = writeln!(std::io::stderr(), "neurosearchd: {safe}");
            }
            ExitCode::from(2)
        }
    }
}
