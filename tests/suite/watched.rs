//! `watch` in a real terminal, which tmux gives: the screen, its size, its end, and a daemon that starts again.

use crate::harness::{Daemon, Setup, drop_space, space, tempdir};
use crate::needs::needs;
use crate::stand_in::until;
use crate::terminal::Terminal;
use serde_json::json;
use std::path::Path;

#[test]
fn watch_fits_its_terminal_outlives_the_daemon_and_leaves_no_trace() {
    let Some(tmux) = needs("tmux") else { return };
    let dir = tempdir();
    let setup = Setup::default().with("STAND_IN_PAUSE", "0.2");
    let mut daemon = Daemon::start(dir.path(), &setup);
    let launch = daemon.launch("watched");
    drop_space(&launch, &space(3, 5000, &json!({})));
    daemon.wait_for("a job runs", &launch, |counts| counts.running == 1);

    let terminal = Terminal::open(tmux, dir.path(), 110, 20);
    let watch = format!("{} watch --socket {}", env!("CARGO_BIN_EXE_neurosearch"), dir.path().join("d.sock").display());
    terminal.keys(&[&watch, "Enter"]);
    let shows =
        |words: &[&str]| until(&format!("it shows {words:?}"), || words.iter().all(|word| terminal.screen().contains(word)));
    shows(&["watched/job-0", "1 running, 2 to draw", "TRAIN LOSS", "0.625", "of 5000", "cpu", "q ends"]);
    assert!(!terminal.screen().contains("ready>"), "the shell's lines are out of sight: {}", terminal.screen());

    terminal.resize(40, 12);
    until("a line that is cut fills the width", || terminal.screen().lines().any(|line| line.chars().count() == 40));
    for (columns, lines) in [(60, 9), (160, 40)] {
        terminal.resize(columns, lines);
        shows(&["job-0", "q ends", "neurosearchd"]);
        until("the screen fits", || terminal.screen().lines().next().is_some_and(|line| line.starts_with("neurosearchd")));
    }
    daemon.kill();
    shows(&["no daemon answers", "watched/job-0"]);
    daemon.start_again(&setup);
    until("it has found the daemon again", || !terminal.screen().contains("no daemon answers"));

    terminal.keys(&["q"]);
    shows(&["ready>", "watch --socket"]);
    assert!(!terminal.screen().contains("q ends"), "{}", terminal.screen());
    // Echo and line ends are back: the shell shows what is typed, and the cursor is visible.
    terminal.keys(&["echo it ended with $?", "Enter"]);
    shows(&["it ended with 0"]);
    assert_eq!(terminal.ask(&["display-message", "-p", "#{cursor_flag} #{alternate_on}"]).trim(), "1 0");
    terminal.keys(&[&watch, "Enter"]);
    shows(&["q ends"]);
    terminal.keys(&["C-c"]);
    until("Ctrl-C ends it too", || !terminal.screen().contains("q ends"));

    terminal.keys(&[&format!("exec {watch}"), "Enter"]);
    shows(&["q ends"]);
    let process = terminal.ask(&["display-message", "-p", "#{pane_pid}"]);
    terminal.ask(&["kill-server"]);
    until("it ends with its terminal", || !Path::new("/proc").join(process.trim()).exists());
}
