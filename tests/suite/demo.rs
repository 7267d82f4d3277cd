//! `scripts/demo` shows a search in which some jobs learn and some do not, and what it says to type next works.

use crate::harness::tempdir;
use crate::needs::needs;
use crate::stand_in::{checkout, said};
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// A newcomer's shell, whose temporary files and cache lie in `home`, and whose programs are those of this build.
fn typed(home: &Path, bash: &Path, text: &str) -> Output {
    Command::new(bash)
        .args(["-e", "-c", text])
        .env("HOME", home)
        .env("TMPDIR", home)
        .env("CARGO_TARGET_DIR", home.join("target"))
        .stdin(Stdio::null())
        .output()
        .expect("bash runs")
}

/// How many jobs have a balanced accuracy above `threshold`, by the last row of the table named `name`.
fn passed(text: &str, name: &str, threshold: &str) -> u32 {
    let mut table = text.lines().skip_while(|line| *line != name).skip(1);
    let heads = table.next().expect("a head");
    let total = table.find(|line| line.starts_with("total\t")).expect("a total");
    let cell = heads.split('\t').zip(total.split('\t')).find(|(head, _)| *head == threshold).expect("a column").1;
    cell.parse().expect("a number")
}

/// The commands with which it ends, but for the one that needs a program of others.
fn next_steps(text: &str) -> String {
    let after = text.split("To look further:\n").nth(1).expect("says how to look further");
    let commands = after.lines().filter(|line| line.starts_with("  ") && !line.contains("tensorboard"));
    commands.collect::<Vec<_>>().join("\n")
}

#[test]
fn the_demo_has_jobs_that_pass_and_jobs_that_fail_and_names_the_best() {
    let (Some(bash), Some(_)) = (needs("bash"), needs("python3")) else { return };
    let home = tempdir();
    let built = Path::new(env!("CARGO_BIN_EXE_neurosearch")).parent().expect("a program lies in a directory");
    std::fs::create_dir(home.path().join("target")).expect("made");
    std::os::unix::fs::symlink(built, home.path().join("target/release")).expect("linked");

    let output = typed(home.path(), &bash, checkout("scripts/demo").to_str().expect("UTF-8"));
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}", said(&output));
    let above = |threshold| passed(&text, "analysis_balanced_accuracy.tsv", threshold);
    assert_eq!(above("run"), 6);
    assert!((2..=4).contains(&above(">0.6")), "some jobs learn, some do not: {text}");
    assert!(above(">0.8") >= 1 && above(">0.9") < above(">0.6"), "some learn better than others: {text}");

    let ranked = text.lines().skip_while(|line| !line.contains("BEST ACCURACY")).nth(1).expect("a best job");
    let best = ranked.split_whitespace().next().expect("a name");
    assert!(text.contains(&format!("\nThe best job is {best}. ")), "{text}");
    let output = typed(home.path(), &bash, &format!("{}\ntest -f again/fold-0/training.tsv", next_steps(&text)));
    assert!(output.status.success(), "{}", said(&output));
}
