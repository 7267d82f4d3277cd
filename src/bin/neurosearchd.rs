//! The daemon's program: its arguments, and how it ends.

use neurosearch::daemon::boot;
use neurosearch::daemon::configuration::{self, Configuration};
use neurosearch::store::settings::arguments;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments = arguments::parse(std::env::args_os()).unwrap_or_else(|answer| answer.exit());
    let check_only = arguments.check_config;
    let ended = Configuration::first(move || arguments.settings())
        .and_then(|configuration| if check_only { Ok(()) } else { boot::run(configuration) });
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(sentences) => {
            configuration::complain(&sentences);
            ExitCode::from(2)
        }
    }
}
