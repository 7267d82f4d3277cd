//! Standard output as a checked writer: a closed pipe ends the output and not the work, a full disk is an error, and no
//! foreign text reaches the terminal raw.

use crate::cli::exit::{Exit, Failure};
use crate::domain::text::escape::escape;
use std::borrow::Cow;
use std::fmt::Display;
use std::io::{self, BufWriter, ErrorKind, IsTerminal, Write};

/// Columns where nobody says how many there are.
const USUAL_WIDTH: u16 = 80;

/// A meaning that colour may carry besides the words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    Good,
    Bad,
    Warning,
    Quiet,
    Strong,
}

impl Tone {
    const fn sgr(self) -> &'static str {
        match self {
            Tone::Good => "32",
            Tone::Bad => "31",
            Tone::Warning => "33",
            Tone::Quiet => "2",
            Tone::Strong => "1",
        }
    }
}

/// Where a verb writes what it was asked for. Messages about the work itself go to stderr by [`note`].
pub struct Out {
    writer: Box<dyn Write>,
    /// The reader went away: nothing more is written, and nothing fails for that.
    closed: bool,
    terminal: bool,
    colour: bool,
}

impl Out {
    /// The process's standard output; lines appear at once on a terminal, else in blocks and at [`Out::flush`].
    pub fn stdout() -> Self {
        let stdout = io::stdout();
        let terminal = stdout.is_terminal();
        let colour = terminal && colour_wanted();
        Out { writer: Box::new(BufWriter::with_capacity(1 << 16, stdout)), closed: false, terminal, colour }
    }

    /// Any other writer, as a file or a test's buffer: no terminal, no colour.
    pub fn to(writer: impl Write + 'static) -> Self {
        Out { writer: Box::new(writer), closed: false, terminal: false, colour: false }
    }

    pub fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// Whether text may be coloured.
    pub fn colours(&self) -> bool {
        self.colour
    }

    /// The columns a table may fill; without a bound where no terminal shows it.
    pub fn width(&self) -> Option<u16> {
        self.terminal.then(columns)
    }

    /// The text in the tone's colour where colours are wanted, escaped in any case; for [`Out::raw`].
    pub fn paint(&self, tone: Tone, text: &str) -> String {
        let text = escape(text);
        if self.colour { format!("\u{1b}[{}m{text}\u{1b}[0m", tone.sgr()) } else { text.into_owned() }
    }

    /// One line of text that may hold anything: control characters are shown, not obeyed.
    ///
    /// # Errors
    /// When the output cannot be written, as on a full disk; a closed pipe is no error.
    pub fn line(&mut self, text: impl Display) -> Result<(), Failure> {
        let text = text.to_string();
        self.raw(&format!("{}\n", escape(&text)))
    }

    /// A sentence, broken between its words where the terminal ends, and the rest indented by this number of columns.
    ///
    /// # Errors
    /// As [`Out::line`].
    pub fn sentence(&mut self, text: impl Display, indent: usize) -> Result<(), Failure> {
        self.line(self.wrapped(&text.to_string(), indent))
    }

    /// The text as [`Out::sentence`] breaks it.
    pub fn wrapped<'t>(&self, text: &'t str, indent: usize) -> Cow<'t, str> {
        wrapped(text, self.width(), indent)
    }

    /// Text as it is: our own, or escaped already.
    ///
    /// # Errors
    /// As [`Out::line`].
    pub fn raw(&mut self, text: &str) -> Result<(), Failure> {
        if self.closed {
            return Ok(());
        }
        let mut result = self.writer.write_all(text.as_bytes());
        if result.is_ok() && self.terminal {
            result = self.writer.flush();
        }
        self.judge(result)
    }

    /// Makes everything written so far visible to the reader.
    ///
    /// # Errors
    /// As [`Out::line`].
    pub fn flush(&mut self) -> Result<(), Failure> {
        if self.closed {
            return Ok(());
        }
        let result = self.writer.flush();
        self.judge(result)
    }

    /// Whether the reader went away, so that a verb that only shows something can end.
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    fn judge(&mut self, result: io::Result<()>) -> Result<(), Failure> {
        match result {
            Ok(()) => Ok(()),
            Err(e) if e.kind() == ErrorKind::BrokenPipe => {
                self.closed = true;
                Ok(())
            }
            Err(e) => {
                // What is still in the buffer would fail again at every later write.
                self.closed = true;
                Err(Failure::new(Exit::Output, format!("cannot write to standard output: {e}")))
            }
        }
    }
}

/// A message about the work, on stderr; one that cannot be written has nowhere else to go.
pub fn note(text: impl Display) {
    let text = format!("neurosearch: {text}");
    let _ = writeln!(io::stderr().lock(), "{}", escape(&wrapped(&text, width_of_stderr(), 2)));
}

/// The columns that a line on stderr may fill; without a bound where no terminal shows it.
pub fn width_of_stderr() -> Option<u16> {
    io::stderr().is_terminal().then(columns)
}

/// How wide the terminal is. Only the kernel is asked: crossterm's `size` would run `tput` where there is no terminal, which
/// takes longer than most verbs.
pub fn columns() -> u16 {
    crossterm::terminal::window_size().map_or(USUAL_WIDTH, |size| size.columns.max(20))
}

/// The text with line ends between its words, so that no line is longer than the width, if there is one; what follows the
/// first line is indented, and a word that is longer than a line stays whole, as a path that somebody wants to copy.
pub fn wrapped(text: &str, width: Option<u16>, indent: usize) -> Cow<'_, str> {
    let Some(width) = width.map(usize::from).filter(|&width| text.chars().count() > width) else { return Cow::Borrowed(text) };
    let mut lines = String::with_capacity(text.len() + 16);
    let mut column = 0;
    for (at, word) in text.split(' ').enumerate() {
        let length = word.chars().count();
        if at > 0 && column + 1 + length > width && column > indent {
            lines.push('\n');
            lines.extend(std::iter::repeat_n(' ', indent));
            column = indent;
        } else if at > 0 {
            lines.push(' ');
            column += 1;
        }
        lines.push_str(word);
        column += length;
    }
    Cow::Owned(lines)
}

/// Whether progress bars make sense: somebody looks at stderr.
pub fn shows_progress() -> bool {
    io::stderr().is_terminal()
}

/// By the convention of no-color.org: any non-empty `NO_COLOR` forbids; so does a terminal that cannot.
pub fn colour_wanted() -> bool {
    let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    !set("NO_COLOR") && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;
    use std::rc::Rc;

    /// A writer that fails as told, else keeps what it gets.
    #[derive(Clone, Default)]
    struct Sink {
        bytes: Rc<RefCell<Vec<u8>>>,
        fails: Option<ErrorKind>,
    }

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            match self.fails {
                Some(kind) => Err(kind.into()),
                None => self.bytes.borrow_mut().write(bytes),
            }
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_closed_pipe_ends_the_output_without_an_error() {
        let mut out = Out::to(Sink { fails: Some(ErrorKind::BrokenPipe), ..Sink::default() });
        assert_eq!(out.line("one"), Ok(()));
        assert!(out.is_closed());
        assert_eq!(out.flush(), Ok(()));
    }

    #[test]
    fn a_full_disk_is_an_error_with_its_own_exit_code() {
        let mut out = Out::to(Sink { fails: Some(ErrorKind::StorageFull), ..Sink::default() });
        assert_eq!(out.line("one").map_err(|f| f.exit), Err(Exit::Output));
    }

    #[test]
    fn control_characters_are_shown_and_not_obeyed() {
        let sink = Sink::default();
        Out::to(sink.clone()).line("a\u{1b}[2Jb\r\u{9b}c\u{202e}\td").expect("written");
        assert_eq!(sink.bytes.borrow().as_slice(), "a\\u{1b}[2Jb\\u{d}\\u{9b}c\\u{202e}\td\n".as_bytes());
    }

    #[test]
    fn a_sentence_breaks_between_words_and_only_where_a_terminal_ends() {
        let text = "no daemon answers at /a/path/longer/than/this; start it";
        assert_eq!(wrapped(text, None, 2), text);
        assert_eq!(wrapped(text, Some(80), 2), text);
        let lines = "no daemon answers at\n  /a/path/longer/than/this;\n  start it";
        assert_eq!(wrapped(text, Some(20), 2), lines);
        assert_eq!(wrapped("job       job-0 is done", Some(20), 10), "job       job-0 is\n          done");
    }

    #[test]
    fn text_is_painted_only_where_colours_are_wanted() {
        let mut out = Out::to(Sink::default());
        assert_eq!(out.paint(Tone::Good, "done"), "done");
        out.colour = true;
        assert_eq!(out.paint(Tone::Good, "do\u{1b}ne"), "\u{1b}[32mdo\\u{1b}ne\u{1b}[0m");
    }
}
