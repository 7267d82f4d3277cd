//! The daemon's command line: a flag and a variable for every key of the configuration, from the keys themselves.

use super::keys::{KEYS, SettingKey};
use super::{Given, Settings};
use crate::domain::text::escape;
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use std::ffi::OsString;
use std::path::PathBuf;

/// What the command line and the environment ask for.
#[derive(Debug)]
pub struct DaemonArguments {
    config: Option<PathBuf>,
    /// Say what is wrong with the configuration, and end.
    pub check_config: bool,
    given: Vec<Given>,
}

const AFTER_HELP: &str = "\
A flag wins over its variable, a variable over the configuration file, and that over the defaults.

Exit codes:
  0  it ended as it was asked to, or --check-config found no fault
  2  the command line or the configuration is wrong, or it cannot work here; stderr says how";

/// What the arguments, the program's name first, and the environment ask for.
///
/// # Errors
/// A refusal of the arguments, or the help or version that was asked for.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<DaemonArguments, clap::Error> {
    escape::parsed(arguments, |arguments| command().try_get_matches_from(arguments)).map(|matches| DaemonArguments::new(&matches))
}

/// The command line's definition.
pub fn command() -> Command {
    Command::new("neurosearchd")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Watches directories for random_search.json files and runs their searches.")
        .after_help(AFTER_HELP)
        .max_term_width(100)
        .arg(
            Arg::new("config")
                .long("config")
                .env("NEUROSEARCHD_CONFIG")
                .value_name("FILE")
                .value_parser(value_parser!(PathBuf))
                .help("Configuration file, in which config/neurosearchd.toml explains every key"),
        )
        .arg(
            Arg::new("check-config")
                .long("check-config")
                .action(ArgAction::SetTrue)
                .help("Check the configuration, say what is wrong with it, and end"),
        )
        .args(KEYS.iter().map(flag))
}

fn flag(key: &SettingKey) -> Arg {
    let flag = Arg::new(key.name).long(key.flag).env(key.variable).value_name(key.value);
    match key.separator() {
        Some(separator) => {
            let help = format!("{}; several are separated by `{separator}`, or given by one flag each", key.help);
            flag.help(help).action(ArgAction::Append).value_delimiter(separator)
        }
        None => flag.help(key.help),
    }
}

impl DaemonArguments {
    /// What was matched; a variable that is empty counts as absent.
    pub fn new(matches: &ArgMatches) -> Self {
        let given = KEYS.iter().filter_map(|key| {
            let words: Vec<String> = matches.get_many(key.name)?.cloned().collect();
            let by = match matches.value_source(key.name) {
                Some(ValueSource::EnvVariable) if words.iter().all(String::is_empty) => return None,
                Some(ValueSource::EnvVariable) => key.variable.to_string(),
                _ => format!("--{}", key.flag),
            };
            Some(Given { key, by, words })
        });
        let config = matches.get_one::<PathBuf>("config").filter(|path| !path.as_os_str().is_empty());
        DaemonArguments { config: config.cloned(), check_config: matches.get_flag("check-config"), given: given.collect() }
    }

    /// The configuration as it stands now: the file, with variables and flags over it.
    ///
    /// # Errors
    /// Every fault on a line of its own.
    pub fn settings(&self) -> Result<Settings, String> {
        super::judge(self.config.as_deref(), &self.given)
    }
}
