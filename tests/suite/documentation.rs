//! What README and guide tell a newcomer to type is typed here: a search over the small CAPS, with the real programs.

use crate::harness::tempdir;
use crate::needs::needs;
use crate::stand_in::{checkout, said, until};
use neurosearch::control::client::Client;
use neurosearch::control::reply::Status;
use neurosearch::executor::Identity;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

/// What stands in the pages, and what is typed in its place.
const SUBSTITUTES: &[(&str, &str)] = &[
    ("$PWD/target/release", "$BUILT"),
    ("/data/caps", "$CHECKOUT/tests/fixtures/mni-quarter/caps"),
    ("/data/labels", "$CHECKOUT/tests/fixtures/mni-quarter/labels"),
    // It would go on until Ctrl-C; here its reader goes away.
    ("neurosearch watch", "neurosearch watch | head -n 1"),
    ("COMMANDLINE_JSON", "first/job-1/commandline.json"),
    ("OUT_DIR", "again"),
    ("JOB_DIR", "first/try-1"),
    ("DIR NAME", "first try-2"),
    ("init DIR", "init second"),
    (" DIR", " first"),
    (" JOB", " first/job-3"),
];

/// What the pages tell to type and nobody types here, with the reason.
const LEFT_OUT: &[(&str, &str)] = &[
    ("make demo", "fetches libtorch and builds; whoever runs this test has done so"),
    ("import pandas", "Python's packages: `make test-pytorch` runs it"),
    ("import sys", "PyTorch: `make test-pytorch` runs it"),
    ("neurosearch devices drain GPU", "there is no GPU; the daemon's tests drain stand-ins for them"),
    ("neurosearch devices restore GPU", "there is no GPU"),
];

/// Commands of the guide that the daemon may refuse, since they come too late for a search whose jobs are done.
const MAY_BE_REFUSED: &[&str] = &[
    "neurosearch cancel first/job-3",
    "neurosearch retry first --failed",
    "neurosearch retry first --class device",
    "neurosearch retry JOB",
];

/// Makes the starting point of `init` so small that its jobs take no time; it is the `$EDITOR` of the README.
const EDITOR: &str = r#"#!/bin/sh
sed -i -e 's/"mode": .*/"mode": "image",/' -e 's/"epochs": 50/"epochs": 1/' -e 's/"n_jobs": 20/"n_jobs": 4/' -e 's/"n_convblocks": .*/"n_convblocks": 3,/' \
    -e 's/"first_conv_width": .*/"first_conv_width": 2,/' -e 's/"n_conv": .*/"n_conv": 1,/' -e 's/"batch_size": 2/"batch_size": 4/' "$1"
"#;

/// A page's listings and the commands in its prose, in the order in which they stand there.
fn commands(page: &str) -> Vec<String> {
    let text = fs::read_to_string(checkout(page)).expect(page);
    let mut found = Vec::new();
    for (index, part) in text.split("```").enumerate() {
        if index % 2 == 1 {
            let (language, listing) = part.split_once('\n').expect("a listing");
            // What a program prints is shown as `text`.
            if language != "text" {
                found.push(listing.to_string());
            }
        } else if page != "README.md" {
            let quoted = part.split('`').skip(1).step_by(2);
            // A verb alone is a word of the text, but for those that take nothing.
            found.extend(quoted.filter(|code| code.starts_with("neurosearch ")).map(str::to_string));
        }
    }
    found.retain(|command| !LEFT_OUT.iter().any(|(start, _)| command.starts_with(start)));
    found
}

fn typed(command: &str) -> String {
    SUBSTITUTES.iter().fold(command.to_string(), |command, (shown, real)| command.replace(shown, real))
}

/// A newcomer's home, and all that was started from it.
struct Home {
    dir: tempfile::TempDir,
    bash: PathBuf,
    daemon: Option<Child>,
}

impl Home {
    fn new(bash: PathBuf) -> Self {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempdir();
        let editor = dir.path().join("editor");
        fs::write(&editor, EDITOR).expect("written");
        fs::set_permissions(&editor, fs::Permissions::from_mode(0o755)).expect("made a program");
        fs::write(dir.path().join("no-gpus.json"), "[]").expect("written");
        Home { dir, bash, daemon: None }
    }

    fn path(&self, below: &str) -> PathBuf {
        self.dir.path().join(below)
    }

    /// Types it into a shell of its own, in `cwd`. What it says goes to a file, which a daemon that it starts may keep open.
    fn types(&self, text: &str, cwd: &Path) -> Output {
        let (out, log) = (self.path("said"), self.path("complained"));
        let built = Path::new(env!("CARGO_BIN_EXE_neurosearch")).parent().expect("a program lies in a directory");
        let path = std::env::var("PATH").expect("a path");
        let status = Command::new(&self.bash)
            .args(["-e", "-o", "pipefail", "-c", &typed(text)])
            .current_dir(cwd)
            .env("HOME", self.dir.path())
            .env("EDITOR", self.path("editor"))
            .env("BUILT", built)
            .env("CHECKOUT", checkout(""))
            .env("PATH", format!("{}:{path}", built.display()))
            .env("NEUROSEARCH_SOCKET", self.path("neurosearchd.sock"))
            .env("NEUROSEARCH_GPU_LISTING", self.path("no-gpus.json"))
            .stdin(Stdio::null())
            .stdout(File::create(&out).expect("made"))
            .stderr(File::create(&log).expect("made"))
            .status()
            .expect("bash runs");
        let read = |path| fs::read(path).expect("read");
        Output { status, stdout: read(out), stderr: read(log) }
    }
}

impl Home {
    /// As the README starts it, for the guide, which takes one for granted.
    fn start_daemon(&mut self) {
        let log = File::options().append(true).create(true).open(self.path("neurosearchd.log")).expect("a log");
        let mut command = Command::new(env!("CARGO_BIN_EXE_neurosearchd"));
        command.arg("--config").arg(self.path("neurosearchd.toml")).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        command.env("NEUROSEARCH_GPU_LISTING", self.path("no-gpus.json")).env_remove("NEUROSEARCH_SOCKET");
        self.daemon = Some(command.spawn().expect("the daemon starts"));
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        // After a success nothing runs any more, and nobody answers.
        self.types("neurosearch shutdown --stop-trainers", self.dir.path());
        if let Some(mut daemon) = self.daemon.take() {
            let _ = daemon.kill();
            let _ = daemon.wait();
        }
    }
}

/// The README shows the table's headings as the command prints them.
fn assert_shown_in_the_readme(home: &mut Home, command: &str, first: &str) {
    let output = home.types(command, &home.path("searches"));
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let single_spaced = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let headings = printed.lines().map(single_spaced).find(|line| line.split(' ').next() == Some(first));
    let headings = headings.unwrap_or_else(|| panic!("{command} prints no {first}: {}", said(&output)));
    let readme = fs::read_to_string(checkout("README.md")).expect("read");
    assert!(readme.lines().any(|line| single_spaced(line) == headings), "README.md does not show {headings}");
}

#[test]
fn what_the_readme_and_the_guide_tell_to_type_does_what_they_say() {
    let Some(bash) = needs("bash") else { return };
    let mut home = Home::new(bash);
    let readme = commands("README.md");
    assert!(readme.len() == 2 && readme[1].contains("neurosearchd --config"), "{readme:?}");
    // One shell for both, as a newcomer has one.
    let output = home.types(&readme.concat(), &checkout(""));
    let log = fs::read_to_string(home.path("neurosearchd.log")).unwrap_or_default();
    assert!(output.status.success(), "{}\n{log}", said(&output));
    assert!(home.path("searches/first/try-1/fold-0/models/best_balanced_accuracy/model_best.pth.tar").is_file());

    // It is gone a moment after it has said that it stops, and until then no other may listen.
    let pid = log.split(" pid=").nth(1).and_then(|rest| rest.split_whitespace().next()?.parse().ok());
    let first: u32 = pid.unwrap_or_else(|| panic!("the daemon does not say who it is: {log}"));
    until("the first daemon is gone", || Identity::of(first).expect("looked").is_none());
    home.start_daemon();
    let client = Client::new(home.path("neurosearchd.sock"));
    let done = || {
        let status: Result<Status, _> = client.get("/v1/status", &[]);
        status.map_or(0, |status| status.searches.iter().map(|search| search.counts.done).sum())
    };
    // One after the other: each may take as long as anything here.
    for number in 1..=4 {
        until("one more of the four jobs is done", || done() >= number);
    }
    until("its tables are there", || home.path("searches/first/jobs.tsv").is_file());
    assert_shown_in_the_readme(&mut home, "neurosearch status", "SEARCH");
    assert_shown_in_the_readme(&mut home, "neurosearch best first", "JOB");
    let guide = commands("docs/guide.md");
    assert!(guide.len() > 20, "{guide:?}");
    for command in &guide {
        let output = home.types(command, &home.path("searches"));
        let refused = output.status.code() == Some(7) && MAY_BE_REFUSED.contains(&command.as_str());
        assert!(output.status.success() || refused, "{command}: {}", said(&output));
        if command.starts_with("neurosearch shutdown") {
            let daemon = home.daemon.as_mut().expect("it ran");
            until("the daemon stops", || daemon.try_wait().expect("asked").is_some());
            home.start_daemon();
            until("the daemon answers", || client.get::<serde_json::Value>("/v1/ping", &[]).is_ok());
        }
    }
}

#[test]
fn nothing_is_left_out_or_replaced_that_the_pages_do_not_say() {
    let pages: Vec<String> =
        ["README.md", "docs/guide.md"].iter().map(|page| fs::read_to_string(checkout(page)).expect(page)).collect();
    for name in LEFT_OUT.iter().chain(SUBSTITUTES).map(|(name, _)| *name).chain(MAY_BE_REFUSED.iter().copied()) {
        assert!(pages.iter().any(|page| page.contains(name)), "{name}");
    }
}
