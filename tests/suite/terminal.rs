//! A real terminal, which tmux gives.

use crate::stand_in::until;
use std::path::{Path, PathBuf};
use std::process::Command;

/// One terminal of a tmux server of our own, ended with the test.
pub struct Terminal {
    tmux: PathBuf,
    socket: PathBuf,
}

impl Terminal {
    /// A shell in a terminal of this size.
    pub fn open(tmux: PathBuf, dir: &Path, columns: u16, lines: u16) -> Self {
        let terminal = Terminal { tmux, socket: dir.join("tmux.sock") };
        let (columns, lines) = (columns.to_string(), lines.to_string());
        terminal.ask(&["-f", "/dev/null", "new-session", "-d", "-x", &columns, "-y", &lines, "env -u NO_COLOR PS1='ready> ' sh"]);
        until("the shell is ready", || terminal.screen().contains("ready>"));
        terminal
    }

    pub fn ask(&self, args: &[&str]) -> String {
        let output = Command::new(&self.tmux).arg("-S").arg(&self.socket).args(args).output().expect("tmux runs");
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    pub fn keys(&self, keys: &[&str]) {
        self.ask(&[&["send-keys"], keys].concat());
    }

    /// What stands on it, without colours.
    pub fn screen(&self) -> String {
        self.ask(&["capture-pane", "-p"])
    }

    /// The same with its colours, as escape sequences.
    pub fn painted(&self) -> String {
        self.ask(&["capture-pane", "-p", "-e"])
    }

    pub fn resize(&self, columns: u16, lines: u16) {
        self.ask(&["resize-window", "-x", &columns.to_string(), "-y", &lines.to_string()]);
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = Command::new(&self.tmux).arg("-S").arg(&self.socket).arg("kill-server").output();
    }
}
