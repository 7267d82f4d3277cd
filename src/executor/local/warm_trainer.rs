//! A trainer that is loaded and waits for a job: how it is started and given a job.

use super::child::Child;
use super::handed_lock;
use super::start::variables;
use crate::executor::assignment::Assignment;
use crate::executor::trainer_exit_code::Exit;
use crate::store::fs::error::StoreError;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, BufRead, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{self, Command, Stdio};
use std::time::Duration;

/// What a trainer prints on its standard output once it is loaded.
pub const READY: &[u8] = b"ready\n";

/// Space for a job's path in the process's command line, which `ps` shows, in characters.
const ROOM: usize = 512;

/// The job for a waiting trainer, sent to its standard input: the folder, then `NAME=value` for each variable. A zero byte ends
/// each word, and an empty word ends the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StandbyAssignment {
    /// The job's folder, absolute.
    pub folder: PathBuf,
    /// The environment that a separate trainer would have been started with.
    pub variables: Vec<(OsString, OsString)>,
}

impl StandbyAssignment {
    fn of(folder: PathBuf, assignment: &Assignment) -> Self {
        let variables = variables(assignment).into_iter().map(|(name, value)| (name.into(), value)).collect();
        StandbyAssignment { folder, variables }
    }

    fn words(&self) -> Vec<u8> {
        let mut words = self.folder.as_os_str().as_bytes().to_vec();
        words.push(0);
        for (name, value) in &self.variables {
            words.extend([name.as_bytes(), b"=", value.as_bytes(), b"\0"].concat());
        }
        words.push(0);
        words
    }

    /// Reads one. `None` if the other side closed before it had sent everything.
    ///
    /// # Errors
    /// The errors of `source`.
    pub fn read(source: &mut impl BufRead) -> io::Result<Option<Self>> {
        let mut words = Vec::new();
        loop {
            let mut word = Vec::new();
            source.read_until(0, &mut word)?;
            match word.pop() {
                Some(0) if word.is_empty() => return Ok(StandbyAssignment::from_words(words)),
                Some(0) => words.push(word),
                _ => return Ok(None),
            }
        }
    }

    fn from_words(words: Vec<Vec<u8>>) -> Option<Self> {
        let mut words = words.into_iter();
        let folder = PathBuf::from(OsString::from_vec(words.next()?));
        let pair = |word: Vec<u8>| {
            let equals = word.iter().position(|byte| *byte == b'=')?;
            Some((OsStr::from_bytes(&word[..equals]).to_owned(), OsStr::from_bytes(&word[equals + 1..]).to_owned()))
        };
        Some(StandbyAssignment { folder, variables: words.filter_map(pair).collect() })
    }
}

/// The state that a waiting trainer reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    /// It is loaded.
    Ready,
    /// Its program cannot wait.
    Unable,
    /// It still loads, or is gone. That says nothing about another trainer.
    None,
}

/// A process that loads, or has loaded, what every trainer needs. It is ended on drop, and ends with this process too.
#[derive(Debug)]
pub struct WarmTrainer {
    /// `None` once it belongs to a job.
    child: Option<process::Child>,
    /// Leads to its standard input. It ends when this is closed.
    order: UnixStream,
}

impl WarmTrainer {
    /// Starts `program` so that it waits. It leads its own process group, like every trainer.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn begin(program: &Path) -> io::Result<Self> {
        let mut command = Command::new(program);
        command.arg("standby").arg(" ".repeat(ROOM)).current_dir("/").process_group(0);
        let (order, theirs) = UnixStream::pair()?;
        command.stdin(OwnedFd::from(theirs)).stdout(Stdio::piped()).stderr(Stdio::null());
        command.spawn().map(|child| WarmTrainer { child: Some(child), order })
    }

    /// Its pid. `None` once it belongs to a job.
    pub fn id(&self) -> Option<u32> {
        self.child.as_ref().map(process::Child::id)
    }

    /// What it reports within `patience`. To be called once.
    pub fn word(&mut self, patience: Duration) -> Word {
        let Some(child) = &mut self.child else { return Word::None };
        let Some(mut output) = child.stdout.take() else { return Word::None };
        let seconds = patience.as_secs().try_into().unwrap_or(i64::MAX);
        let patience = Timespec { tv_sec: seconds, tv_nsec: patience.subsec_nanos().into() };
        if !poll(&mut [PollFd::new(&output, PollFlags::IN)], Some(&patience)).is_ok_and(|told| told > 0) {
            return Word::None;
        }
        let mut word = [0; READY.len()];
        // It comes in one piece, so reading it does not wait any more.
        match output.read_exact(&mut word) {
            Ok(()) if word == *READY => Word::Ready,
            Ok(()) => Word::Unable,
            // A trainer that ends by itself keeps its own exit code.
            Err(_) => match child.kill().and_then(|()| child.wait()) {
                Ok(status) if status.code() == Some(Exit::Usage.code().into()) => Word::Unable,
                _ => Word::None,
            },
        }
    }

    /// Makes it the trainer of `assignment`, as if [`start`](super::start::start) had just started it. `None` if it is gone and
    /// nothing runs.
    ///
    /// # Errors
    /// If the attempt's log cannot be opened.
    pub fn assign(mut self, assignment: &Assignment) -> Result<Option<Child>, StoreError> {
        // The trainer opens the log itself. Opening it here reports a disk error as such.
        assignment.open_log()?;
        let order = StandbyAssignment::of(assignment.folder()?, assignment);
        let lock = handed_lock::take(assignment)?;
        if send(&mut self.order, &order.words(), lock.as_ref()).is_err() {
            return Ok(None);
        }
        Ok(self.child.take().and_then(|child| Child::lead(child).ok()))
    }
}

/// Sends the words, and the file with the first of them. The kernel keeps it open on its way, whoever dies meanwhile.
fn send(stream: &mut UnixStream, words: &[u8], file: Option<&File>) -> io::Result<()> {
    let files: Vec<BorrowedFd<'_>> = file.iter().map(|file| file.as_fd()).collect();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !files.is_empty() && !control.push(SendAncillaryMessage::ScmRights(&files)) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let sent = sendmsg(&*stream, &[IoSlice::new(words)], &mut control, SendFlags::NOSIGNAL)?;
    stream.write_all(&words[sent..])
}

/// A waiting trainer's standard input, with the file that comes with its words.
#[derive(Debug)]
pub struct OrderInput<F> {
    input: F,
    /// `None` if none has come.
    pub file: Option<File>,
}

impl<F: AsFd> OrderInput<F> {
    pub fn of(input: F) -> Self {
        OrderInput { input, file: None }
    }
}

impl<F: AsFd> Read for OrderInput<F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        match recvmsg(&self.input, &mut [IoSliceMut::new(buffer)], &mut control, RecvFlags::CMSG_CLOEXEC) {
            Ok(received) => {
                for message in control.drain() {
                    if let RecvAncillaryMessage::ScmRights(files) = message {
                        self.file = files.map(File::from).next().or(self.file.take());
                    }
                }
                Ok(received.bytes)
            }
            // A person may try it with a pipe or a terminal.
            Err(Errno::NOTSOCK) => Ok(rustix::io::read(&self.input, buffer)?),
            Err(e) => Err(e.into()),
        }
    }
}

impl Drop for WarmTrainer {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It is gone already, or stuck in the kernel. Nothing can be done about either.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::fs::lock::{self, Locking};
    use crate::testing::{script, tempdir};

    #[test]
    fn an_order_comes_through_whole_whatever_bytes_it_has_and_half_of_one_is_none() {
        let variable = |name: &str, value: &[u8]| (OsString::from(name), OsStr::from_bytes(value).to_owned());
        let order = StandbyAssignment {
            folder: PathBuf::from(OsStr::from_bytes(b"/searches/caf\xe9 =\n/job-0")),
            variables: vec![variable("A", b"1=2"), variable("EMPTY", b""), variable("CUDA_VISIBLE_DEVICES", b"GPU-\xff")],
        };
        let bytes = order.words();
        assert_eq!(StandbyAssignment::read(&mut bytes.as_slice()).expect("read"), Some(order));
        for end in 0..bytes.len() {
            assert_eq!(StandbyAssignment::read(&mut &bytes[..end]).expect("read"), None, "{end} of {} bytes", bytes.len());
        }
        assert_eq!(StandbyAssignment::read(&mut &b"\0"[..]).expect("read"), None, "an order for nothing");
    }

    #[test]
    fn a_file_comes_with_the_words_even_when_its_sender_is_gone() {
        let dir = tempdir();
        let place = dir.path().join("lock");
        let Ok(Locking::Held(lock)) = lock::take(&place, "a starter") else { panic!("nobody holds it") };
        let (mut ours, theirs) = UnixStream::pair().expect("a pair");
        let words = vec![b'x'; 100];
        send(&mut ours, &words, lock.hand_over().as_ref()).expect("sent");
        drop(ours);
        assert!(lock::is_held(&place).expect("looked"), "it is on its way");
        let mut input = OrderInput::of(theirs);
        let mut read = Vec::new();
        input.read_to_end(&mut read).expect("read");
        assert_eq!(read, words);
        let lock = lock::take_over(&place, input.file.take().expect("a file"), "its trainer").expect("looked");
        assert!(lock.is_some() && lock::is_held(&place).expect("looked"));
        drop(lock);
        assert!(!lock::is_held(&place).expect("looked"));
        let (reader, mut writer) = io::pipe().expect("a pipe");
        writer.write_all(&words).expect("written");
        drop(writer);
        let mut read = Vec::new();
        OrderInput::of(reader).read_to_end(&mut read).expect("read");
        assert_eq!(read, words, "of a pipe too");
    }

    #[test]
    fn one_that_is_dropped_is_gone() {
        let standby = WarmTrainer::begin(Path::new("cat")).expect("started");
        let pid = standby.id().expect("it waits");
        drop(standby);
        assert_eq!(crate::executor::local::process_identity::Identity::of(pid).expect("looked"), None);
    }

    #[test]
    fn only_a_program_that_refuses_to_wait_or_says_something_else_is_unable() {
        let dir = tempdir();
        let word = |body: &str, patience| {
            let program = dir.path().join("trainer.sh");
            script(&program, body);
            WarmTrainer::begin(&program).expect("started").word(Duration::from_secs(patience))
        };
        let table = [
            ("echo ready; cat", 60, Word::Ready),
            ("exit 2", 60, Word::Unable),
            ("echo usage: trainer JOB; cat", 60, Word::Unable),
            ("kill -9 $$", 60, Word::None),
            ("exit 1", 60, Word::None),
            ("sleep 600", 0, Word::None),
        ];
        for (body, patience, expected) in table {
            assert_eq!(word(body, patience), expected, "{body}");
        }
    }
}
