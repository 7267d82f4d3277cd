//! The command line's manners: exit codes, closed pipes, full disks, completions and manual pages.

use crate::harness::tempdir;
use crate::needs::needs;
use crate::stand_in::until;
use crate::terminal::Terminal;
use std::fs::{self, File};
use std::process::{Command, Output, Stdio};

fn neurosearch(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_neurosearch"));
    command.args(arguments).env_remove("NEUROSEARCH_SOCKET").stdin(Stdio::null());
    command
}

fn output(arguments: &[&str]) -> Output {
    neurosearch(arguments).output().expect("started")
}

/// The programs that this build has, each with a heading of its help: without libtorch there is no trainer.
fn programs() -> Vec<(&'static str, &'static str)> {
    let mut programs =
        vec![(env!("CARGO_BIN_EXE_neurosearch"), "Set up a search:"), (env!("CARGO_BIN_EXE_neurosearchd"), "Options:")];
    if cfg!(feature = "torch") {
        programs.push((env!("CARGO_BIN_EXE_neurosearch-trainer"), "Options:"));
    }
    programs
}

/// The verbs, as the help lists them in groups before its options.
fn verbs() -> Vec<String> {
    let help = String::from_utf8(output(&["--help"]).stdout).expect("UTF-8");
    let (groups, _) = help.split_once("\nOptions:\n").expect("options at the end");
    let words = groups.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    words.filter_map(|line| line.split_whitespace().next()).map(str::to_string).collect()
}

#[test]
fn help_and_version_are_answers_and_a_wrong_command_line_is_exit_code_2() {
    let version = output(&["--version"]);
    assert_eq!(String::from_utf8_lossy(&version.stdout), format!("neurosearch {}\n", env!("CARGO_PKG_VERSION")));
    assert_eq!(version.status.code(), Some(0));
    let help = output(&["--help"]);
    assert!(String::from_utf8_lossy(&help.stdout).contains("Exit codes:") && help.stderr.is_empty());
    for wrong in [&["analyse"][..], &["analysis"], &["analysis", "a", "b"], &["--no-such-flag"], &[]] {
        let refused = output(wrong);
        assert_eq!(refused.status.code(), Some(2), "{wrong:?}");
        assert!(refused.stdout.is_empty() && !refused.stderr.is_empty(), "{wrong:?}");
    }
}

#[test]
fn the_usage_of_a_verb_is_the_same_whether_the_environment_names_the_socket_or_not() {
    let named = neurosearch(&["jobs"]).env("NEUROSEARCH_SOCKET", "/run/here.sock").output().expect("started");
    let plain = output(&["jobs"]);
    assert_eq!(String::from_utf8_lossy(&named.stderr), String::from_utf8_lossy(&plain.stderr));
    assert!(!String::from_utf8_lossy(&plain.stderr).contains("--socket"), "{plain:?}");
}

#[test]
fn a_reader_that_goes_away_is_no_error_and_no_panic() {
    for arguments in [&["--help"][..], &["completions", "bash"], &["schema"]] {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let ended = neurosearch(arguments).stdout(writer).stderr(Stdio::piped()).output().expect("started");
        assert_eq!((ended.status.code(), String::from_utf8_lossy(&ended.stderr).as_ref()), (Some(0), ""), "{arguments:?}");
    }
}

#[test]
fn a_full_disk_is_said_and_has_its_own_exit_code() {
    for arguments in [&["--help"][..], &["completions", "fish"], &["schema"]] {
        let full = File::options().write(true).open("/dev/full").expect("the device that is always full");
        let ended = neurosearch(arguments).stdout(full).stderr(Stdio::piped()).output().expect("started");
        assert_eq!(ended.status.code(), Some(8), "{arguments:?}");
        assert!(String::from_utf8_lossy(&ended.stderr).contains("cannot write to standard output"), "{arguments:?}");
    }
}

#[test]
fn nothing_is_coloured_where_no_terminal_shows_it() {
    for arguments in [&["--help"][..], &["nonsense"]] {
        let said = output(arguments);
        assert!(!said.stdout.contains(&0x1b) && !said.stderr.contains(&0x1b), "{arguments:?}");
    }
}

#[test]
fn a_terminal_shows_help_in_colour_and_no_color_takes_it_away() {
    let Some(tmux) = needs("tmux") else { return };
    let dir = tempdir();
    let terminal = Terminal::open(tmux, dir.path(), 120, 100);
    // Each run has a number, or the words of the one before would do for its end.
    let mut run = 0;
    for (program, heading) in programs() {
        for arguments in ["--help", "--no-such-flag"] {
            let mut painted = |environment: &str| {
                run += 1;
                terminal.keys(&[&format!("clear; {environment} {program} {arguments}; echo run {run} ended with $?"), "Enter"]);
                let ended = format!("run {run} ended with {}", if arguments == "--help" { 0 } else { 2 });
                until("it has ended", || terminal.screen().contains(&ended));
                terminal.painted()
            };
            let (coloured, plain) = (painted("env"), painted("NO_COLOR=1"));
            let said = if arguments == "--help" { heading } else { "error:" };
            assert!(plain.contains(said) && !plain.contains('\u{1b}'), "{program} {arguments}: {plain:?}");
            assert!(coloured.contains('\u{1b}'), "{program} {arguments}: {coloured:?}");
        }
    }
}

#[test]
fn every_verb_has_completions() {
    let verbs = verbs();
    assert!(verbs.iter().any(|verb| verb == "analysis"), "{verbs:?}");
    for shell in ["bash", "zsh", "fish"] {
        let script = String::from_utf8(output(&["completions", shell]).stdout).expect("UTF-8");
        for verb in &verbs {
            assert!(script.contains(verb.as_str()), "{verb} is not in the completions for {shell}");
        }
        for (program, word) in [("neurosearchd", "slots-per-device"), ("neurosearch-trainer", "bench")] {
            let script = String::from_utf8(output(&["completions", shell, program]).stdout).expect("UTF-8");
            assert!(script.contains(program) && script.contains(word), "{program}: {word} is not in the completions for {shell}");
        }
    }
}

#[test]
fn every_program_and_verb_has_a_manual_page_that_names_only_real_pages() {
    let dir = tempdir();
    let written = output(&["man", dir.path().to_str().expect("UTF-8")]);
    assert!(written.status.success(), "{written:?}");
    // The pages write every hyphen as `\-`.
    let page = |name: &str| fs::read_to_string(dir.path().join(name)).expect(name).replace('\\', "");
    let mut wanted: Vec<String> = verbs().iter().map(|verb| format!("-{verb}")).collect();
    wanted.extend(["", "-devices-drain", "-devices-restore", "-trainer", "-trainer-bench", "-trainer-standby"].map(String::from));
    wanted.iter_mut().for_each(|name| *name = format!("neurosearch{name}.1"));
    wanted.push("neurosearchd.8".to_string());
    wanted.sort();
    let mut found: Vec<String> = String::from_utf8_lossy(&written.stdout).lines().map(str::to_string).collect();
    found.iter_mut().for_each(|path| *path = path.rsplit('/').next().expect("a name").to_string());
    found.sort();
    assert_eq!(found, wanted);
    for name in &found {
        let (title, section) = name.rsplit_once('.').expect("a section");
        let text = page(name);
        assert!(text.contains(&format!(".TH {title} {section}")) && text.contains("SYNOPSIS"), "{name}: {text}");
        for line in text.lines().filter(|line| line.starts_with("neurosearch") && line.ends_with(')')) {
            let other = line.replace('(', ".").replace(')', "");
            assert!(found.contains(&other), "{name} names {line}");
        }
    }
    for name in ["neurosearch.1", "neurosearchd.8", "neurosearch-trainer.1"] {
        assert!(page(name).contains("Exit codes:"), "{name}");
    }
    assert!(page("neurosearchd.8").contains("NEUROSEARCHD_WATCH"), "the page names the variables");
    assert_eq!(output(&["man", "/no/such/directory"]).status.code(), Some(4));
}

#[test]
fn foreign_text_reaches_the_terminal_escaped() {
    let ended = output(&["analysis", "/no/such/\u{1b}[31mfolder"]);
    assert_eq!(ended.status.code(), Some(4));
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(said.contains("\\u{1b}[31mfolder") && !said.contains('\u{1b}'), "{said}");
}

#[test]
fn a_refusal_quotes_the_arguments_escaped_in_colour_as_without() {
    let Some(tmux) = needs("tmux") else { return };
    let dir = tempdir();
    // Concealed text, which no refusal asks for itself.
    let foreign = "--\u{1b}[8mhidden\u{7}";
    let script = dir.path().join("refused");
    let programs: Vec<&str> = programs().into_iter().map(|(program, _)| program).collect();
    for program in &programs {
        let refused = Command::new(program).arg(foreign).stdin(Stdio::null()).output().expect("started");
        let said = String::from_utf8_lossy(&refused.stderr);
        assert_eq!(refused.status.code(), Some(2), "{program}: {said}");
        assert!(said.contains("--\\u{1b}[8mhidden\\u{7}") && !said.contains(['\u{1b}', '\u{7}']), "{program}: {said:?}");
    }
    let lines: String = programs.iter().map(|program| format!("{program} '{foreign}'\n")).collect();
    fs::write(&script, lines + "echo all are refused\n").expect("written");
    let terminal = Terminal::open(tmux, dir.path(), 160, 60);
    terminal.keys(&[&format!("sh {}", script.display()), "Enter"]);
    until("all are refused", || terminal.screen().contains("all are refused"));
    let painted = terminal.painted();
    assert_eq!(painted.matches("[8mhidden\\u{7}").count(), terminal.screen().matches("[8mhidden").count(), "{painted:?}");
    assert!(painted.contains('\u{1b}') && !painted.contains("\u{1b}[8m"), "{painted:?}");
}

#[test]
fn the_documentation_names_only_verbs_and_flags_that_there_are() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let verbs = verbs();
    let mut pages: Vec<_> = fs::read_dir(root.join("docs")).expect("docs").map(|page| page.expect("a page").path()).collect();
    pages.push(root.join("README.md"));
    let mut tried = 0;
    for page in pages.iter().filter(|page| page.extension().is_some_and(|e| e == "md")) {
        let text = fs::read_to_string(page).expect("a page");
        // A command stands between backticks, or begins a line of a listing.
        let fenced = text.split("```").skip(1).step_by(2).flat_map(str::lines);
        let quoted = text.split("```").step_by(2).flat_map(|prose| prose.split('`').skip(1).step_by(2)).chain(fenced);
        for command in quoted.filter_map(|code| code.strip_prefix("neurosearch ")) {
            let command = command.split('#').next().unwrap_or_default();
            let mut words = command.split_whitespace();
            let Some(verb) = words.next().filter(|word| word.starts_with(|c: char| c.is_ascii_lowercase())) else { continue };
            assert!(verbs.iter().any(|known| known == verb), "{}: neurosearch {command}", page.display());
            let help = String::from_utf8(output(&[verb, "--help"]).stdout).expect("UTF-8");
            for flag in words.filter(|word| word.starts_with('-')) {
                let flag = flag.trim_matches(['[', ']']).split('=').next().unwrap_or_default();
                assert!(help.contains(flag), "{}: neurosearch {command}: no {flag}", page.display());
            }
            tried += 1;
        }
    }
    assert!(tried > 20, "only {tried} commands were found");
}
