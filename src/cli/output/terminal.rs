//! The terminal as one screen of our own: taken over whole, drawn without a flicker, and given back however it ends.

use super::out::Out;
use super::screen::Line;
use crate::cli::exit::{Exit, Failure};
use crate::domain::text::escape::escape;
use crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use crossterm::terminal::{
    Clear, ClearType, DisableLineWrap, EnableLineWrap, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode,
    enable_raw_mode,
};
use crossterm::{cursor, execute};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use std::fmt::Write;
use std::fs::File;
use std::io::{self, IsTerminal};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

/// The terminal while it is ours; dropping it gives it back as it was.
pub struct Screen {
    size: (u16, u16),
}

/// What somebody did at the terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    Nothing,
    /// It has another size, or is to be drawn anew.
    Redraw,
    /// `q`, Escape or Ctrl-C.
    End,
}

impl Screen {
    /// # Errors
    /// When the terminal cannot be taken over.
    pub fn take() -> Result<Self, Failure> {
        let fail = |e: io::Error| Failure::new(Exit::Output, format!("cannot use the terminal as a screen: {e}"));
        end_with(keys().map_err(fail)?);
        enable_raw_mode().map_err(fail)?;
        // From here on, the drop gives it back.
        let screen = Screen { size: crossterm::terminal::size().unwrap_or((80, 24)) };
        execute!(io::stdout(), EnterAlternateScreen, cursor::Hide, DisableLineWrap).map_err(fail)?;
        Ok(screen)
    }

    /// Columns and lines.
    pub fn size(&self) -> (u16, u16) {
        self.size
    }

    /// Shows these lines and nothing else, in one write and each over the one before, so that nothing flickers.
    ///
    /// # Errors
    /// As [`Out::raw`].
    pub fn draw(&self, lines: &[Line], out: &mut Out) -> Result<(), Failure> {
        let mut text = cursor::MoveTo(0, 0).to_string();
        for (at, line) in lines.iter().enumerate() {
            let painted = line.tone.map_or_else(|| escape(&line.text).into_owned(), |tone| out.paint(tone, &line.text));
            let end = if at + 1 < lines.len() { "\r\n" } else { "" };
            // Cleared first, for a terminal whose last column is written stays there and would clear that too. Writing to a
            // string cannot fail.
            let _ = write!(text, "{}{painted}{end}", Clear(ClearType::UntilNewLine));
        }
        let _ = write!(text, "{}", Clear(ClearType::FromCursorDown));
        out.raw(&text)?;
        out.flush()
    }

    /// Waits up to `patience` for somebody to do something.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub fn wait(&mut self, patience: Duration) -> Result<Deed, Failure> {
        let fail = |e: io::Error| Failure::new(Exit::Output, format!("the terminal does not answer: {e}"));
        if !event::poll(patience).map_err(fail)? {
            return Ok(Deed::Nothing);
        }
        let event = event::read().map_err(fail)?;
        if let Event::Resize(columns, rows) = event {
            self.size = (columns, rows);
        }
        Ok(deed(&event))
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // A terminal that is gone needs nothing back.
        let _ = execute!(io::stdout(), EnableLineWrap, cursor::Show, LeaveAlternateScreen);
        let _ = disable_raw_mode();
    }
}

/// Where crossterm reads the keys.
fn keys() -> io::Result<OwnedFd> {
    if io::stdin().is_terminal() { io::stdin().as_fd().try_clone_to_owned() } else { File::open("/dev/tty").map(OwnedFd::from) }
}

/// Ends the program once this terminal is gone, as where a connection breaks: nobody is left to give it back to, and crossterm,
/// which reads its end again and again, would never come back from a wait for keys.
fn end_with(terminal: OwnedFd) {
    std::thread::spawn(move || {
        loop {
            // Asked for nothing, the system tells of an end alone.
            let mut asked = [PollFd::new(&terminal, PollFlags::empty())];
            match poll(&mut asked, None) {
                Ok(_) => std::process::exit(i32::from(Exit::Done.code())),
                Err(Errno::INTR) => {}
                Err(_) => return,
            }
        }
    });
}

fn deed(event: &Event) -> Deed {
    match event {
        Event::Resize(..) => Deed::Redraw,
        Event::Key(KeyEvent { kind: KeyEventKind::Release, .. }) => Deed::Nothing,
        Event::Key(KeyEvent { code: KeyCode::Char('q' | 'Q') | KeyCode::Esc, .. }) => Deed::End,
        Event::Key(KeyEvent { code: KeyCode::Char('c'), modifiers, .. }) if modifiers.contains(KeyModifiers::CONTROL) => {
            Deed::End
        }
        Event::Key(KeyEvent { code: KeyCode::Char('l'), modifiers, .. }) if modifiers.contains(KeyModifiers::CONTROL) => {
            Deed::Redraw
        }
        _ => Deed::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn q_escape_and_control_c_end_it_and_a_plain_c_does_not() {
        let key = |code, modifiers| deed(&Event::Key(KeyEvent::new(code, modifiers)));
        let none = KeyModifiers::NONE;
        for (code, modifiers) in [(KeyCode::Char('q'), none), (KeyCode::Esc, none), (KeyCode::Char('c'), KeyModifiers::CONTROL)] {
            assert_eq!(key(code, modifiers), Deed::End, "{code:?}");
        }
        assert_eq!(key(KeyCode::Char('c'), none), Deed::Nothing);
        assert_eq!(deed(&Event::Resize(80, 24)), Deed::Redraw);
    }
}
