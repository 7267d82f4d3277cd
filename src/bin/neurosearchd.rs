//! The daemon's program: its arguments, and how it ends.

use clap::Parser;
use neurosearch::daemon::boot;
use neurosearch::daemon::configuration::Configuration;
use neurosearch::store::settings::{Devices, Settings};
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

/// Watches directories for random_search.json files and runs their searches.
#[derive(Debug, Parser)]
#[command(name = "neurosearchd", version, max_term_width = 100)]
struct Arguments {
    /// Configuration file; flags and the environment win over it
    #[arg(long, env = "NEUROSEARCH_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,

    /// Check the configuration, say what is wrong with it, and end
    #[arg(long)]
    check_config: bool,

    /// Directory to watch, instead of the configuration's; may be given more than once
    #[arg(long, value_name = "DIR")]
    watch: Vec<PathBuf>,

    /// Where to listen
    #[arg(long, env = "NEUROSEARCH_SOCKET", value_name = "PATH")]
    socket: Option<PathBuf>,

    /// "auto", "cpu", or GPU UUIDs separated by commas
    #[arg(long, value_name = "DEVICES")]
    devices: Option<String>,

    /// What is logged, as "info" or "info,neurosearch=debug"
    #[arg(long, env = "NEUROSEARCH_LOG", value_name = "FILTER")]
    log: Option<String>,
}

fn settings(arguments: &Arguments) -> Result<Settings, String> {
    let mut settings = match &arguments.config {
        Some(path) => Settings::read(path).map_err(|e| e.to_string())?,
        None => Settings::default(),
    };
    let absolute = |path: &PathBuf| std::path::absolute(path).map_err(|e| format!("{}: {e}", path.display()));
    if !arguments.watch.is_empty() {
        settings.watch = arguments.watch.iter().map(absolute).collect::<Result<_, _>>()?;
    }
    if let Some(socket) = &arguments.socket {
        settings.socket = absolute(socket)?;
    }
    if let Some(devices) = &arguments.devices {
        settings.devices = match devices.as_str() {
            "auto" => Devices::Auto,
            "cpu" => Devices::Cpu,
            list => Devices::Only(list.split(',').map(|device| device.trim().to_string()).collect()),
        };
    }
    if let Some(log) = &arguments.log {
        settings.log.clone_from(log);
    }
    Ok(settings)
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let check_only = arguments.check_config;
    let ended = Configuration::first(move || settings(&arguments))
        .and_then(|configuration| if check_only { Ok(()) } else { boot::run(configuration) });
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(sentence) => {
            let safe: String = sentence
                .chars()
                .flat_map(|c| {
                    if c.is_control() && c != '\n' { c.escape_debug().to_string() } else { c.to_string() }
                        .chars()
                        .collect::<Vec<_>>()
                })
                .collect();
            // Nowhere is left to say that stderr cannot be written.
            let _ = writeln!(std::io::stderr(), "neurosearchd: {safe}");
            ExitCode::from(2)
        }
    }
}
