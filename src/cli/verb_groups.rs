//! The verbs by what a person wants to do, as `neurosearch --help` lists them.

use super::output::out;
use clap::Command;
use std::fmt::Write;

/// Each group and its verbs, in the order in which a person needs them.
const GROUPS: &[(&str, &[&str])] = &[
    ("Set up a search", &["init", "validate", "sample", "make-caps"]),
    ("Run jobs without a daemon", &["generate", "retrain", "continue"]),
    ("Look", &["watch", "status", "jobs", "best", "show", "explain", "logs", "devices"]),
    ("Steer", &["pause", "resume", "cancel", "retry", "set", "enqueue"]),
    ("Serve", &["add", "remove", "drain", "reload", "ping", "shutdown"]),
    ("Hand on", &["analysis", "schema", "completions", "man"]),
];

/// Columns of the verbs' names, with the blanks around them.
const INDENT: usize = 15;

/// The widest help, whatever the terminal has.
const WIDEST: u16 = 100;

/// The command with a help that lists its verbs in groups.
pub fn grouped(command: Command) -> Command {
    let width = out::columns().min(WIDEST);
    let header = *command.get_styles().get_header();
    let literal = *command.get_styles().get_literal();
    let mut listing = String::new();
    for (group, verbs) in GROUPS {
        // Writing into text cannot fail.
        let _ = writeln!(listing, "{header}{group}:{header:#}");
        for verb in *verbs {
            let about = command.find_subcommand(verb).and_then(Command::get_about).map(ToString::to_string).unwrap_or_default();
            let line = format!("{:INDENT$}{about}", "");
            let line = out::wrapped(&line, Some(width), INDENT);
            let _ = writeln!(listing, "  {literal}{verb}{literal:#}{}", &line[2 + verb.len()..]);
        }
        listing.push('\n');
    }
    let template = format!(
        "{{about}}\n\n{{usage-heading}} {{usage}}\n\n{listing}{header}Options:{header:#}\n{{options}}\n\n`neurosearch help VERB` says more of a verb.{{after-help}}"
    );
    command.help_template(template)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_verb_is_in_exactly_one_group() {
        let definition = crate::cli::definition();
        let verbs: BTreeSet<&str> = definition.get_subcommands().map(Command::get_name).filter(|name| *name != "help").collect();
        let listed: Vec<&str> = GROUPS.iter().flat_map(|(_, verbs)| *verbs).copied().collect();
        assert_eq!(listed.iter().copied().collect::<BTreeSet<_>>(), verbs);
        assert_eq!(listed.len(), verbs.len(), "none stands twice");
        assert!(listed.iter().all(|verb| verb.len() + 3 < INDENT));
    }
}
