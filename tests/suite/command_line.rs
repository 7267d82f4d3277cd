//! The command line's manners: exit codes, closed pipes, full disks, completions and manual pages.

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

/// The verbs, as the help lists them.
fn verbs() -> Vec<String> {
    let help = String::from_utf8(output(&["--help"]).stdout).expect("UTF-8");
    let commands = help.split("Commands:\n").nth(1).and_then(|rest| rest.split("\n\n").next()).expect("a list of commands");
    let words = commands.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   "));
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
fn every_verb_has_completions_and_a_manual_page() {
    let verbs = verbs();
    assert!(verbs.iter().any(|verb| verb == "analysis"), "{verbs:?}");
    for shell in ["bash", "zsh", "fish"] {
        let script = String::from_utf8(output(&["completions", shell]).stdout).expect("UTF-8");
        for verb in &verbs {
            assert!(script.contains(verb.as_str()), "{verb} is not in the completions for {shell}");
        }
    }
    let dir = tempfile::tempdir().expect("a temporary directory");
    let pages = output(&["man", dir.path().to_str().expect("UTF-8")]);
    assert!(pages.status.success(), "{pages:?}");
    for verb in verbs.iter().filter(|verb| *verb != "help") {
        let page = fs::read_to_string(dir.path().join(format!("neurosearch-{verb}.1"))).expect(verb);
        // The pages write every hyphen as `\-`.
        let page = page.replace('\\', "");
        assert!(page.contains(&format!("neurosearch-{verb}")) && page.contains("SYNOPSIS"), "{verb}");
    }
    assert!(fs::read_to_string(dir.path().join("neurosearch.1")).expect("the program's page").contains("Exit codes"));
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
