//! The searches of the upgrade sample, finished by the real trainer: what the earlier programs left stays, the rest comes out as they would have made it.

use crate::harness::Daemon;
use crate::stand_in::{json, until};
use crate::trainer_run::{table, timeless};
use crate::upgrade::{SEARCHES, Sample, assert_record_holds, assert_table_holds, assert_untouched, contents, fixture};
use crate::verbs::{granted, path};
use neurosearch::control::reply::SearchState;
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

type Contents = BTreeMap<PathBuf, Vec<u8>>;

/// Whether sums come out to the last bit as they did for the sample: by the same libtorch on the same kind of processor.
fn computes_alike(sample: &Sample) -> bool {
    let value = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.split(':').next().is_some_and(|key| key.trim() == name));
        line.and_then(|line| line.split_once(':')).map(|(_, value)| value.trim().to_string())
    };
    let read = |path: &Path| fs::read_to_string(path).expect("read");
    let processors = [read(&fixture("cpu")), read(Path::new("/proc/cpuinfo"))];
    let versions = [fixture("begun/root/cnn/job-0"), sample.job("cnn", 3)].map(|job| read(&job.join("environment.txt")));
    let same =
        |texts: &[String; 2], name: &str| value(&texts[0], name).is_some() && value(&texts[0], name) == value(&texts[1], name);
    let alike =
        ["vendor_id", "cpu family", "model", "flags"].iter().all(|name| same(&processors, name)) && same(&versions, "libtorch");
    if !alike {
        // Past the runner's capture; nowhere is left to report that stderr is closed.
        let _ = writeln!(
            std::io::stderr(),
            "another processor or libtorch than the upgrade sample's: its losses are compared, not its bytes"
        );
    }
    alike
}

/// The rows of a half-trained network stay in its table to the byte, times included: they come out of the checkpoint.
fn assert_goes_on(table: &Path, before: &[u8]) {
    let now = fs::read(table).expect("a table");
    let long = now.len() > before.len() || table.ends_with("cnn-0/training.tsv");
    assert!(now.starts_with(before) && long, "{} was begun anew", table.display());
}

/// Models, predictions and metrics to the byte, training tables but for their times.
fn assert_same_results(job: &Path, old: &Path) {
    for (path, content) in contents(old) {
        let new = job.join(path.strip_prefix(old).expect("below"));
        match path.file_name().and_then(|name| name.to_str()) {
            Some("commandline.json") => assert_record_holds(&json(&new), &json(&path)),
            Some("training.tsv") => assert_eq!(timeless(&new), timeless(&path), "{}", new.display()),
            _ => assert!(fs::read(&new).expect("a result") == content, "{} differs", new.display()),
        }
    }
}

/// Every loss as the golden data's tolerance says.
fn assert_same_losses(job: &Path, old: &Path) {
    for path in contents(old).into_keys().filter(|path| path.ends_with("training.tsv")) {
        let (now, before) = (table(&job.join(path.strip_prefix(old).expect("below"))), table(&path));
        assert_eq!((now.header.len(), now.rows.len()), (before.header.len(), before.rows.len()), "{}", path.display());
        for column in ["loss_train", "loss_valid"].map(|name| before.column(name).expect("a column")) {
            for (now, before) in now.rows.iter().zip(&before.rows) {
                let [now, before] = [now, before].map(|row| row.cells[column].parse::<f64>().expect("a number"));
                assert!((now - before).abs() <= 1e-4 * before.abs().max(1.0), "{}: {now}, not {before}", path.display());
            }
        }
    }
}

fn training_tables(fold: &Path) -> Contents {
    contents(fold).into_iter().filter(|(path, _)| path.ends_with("training.tsv")).collect()
}

fn wait_for_done(daemon: &Daemon, sample: &Sample, done: u64, failed: u64) {
    for search in SEARCHES {
        daemon.wait_for("every job has ended", &sample.launch(search), |counts| (counts.done, counts.failed) == (done, failed));
    }
}

#[test]
fn old_searches_are_finished_as_the_old_programs_would_have_finished_them() {
    let sample = Sample::new();
    let kept = |search: &str| [sample.job(search, 0), sample.job(search, 1), sample.job(search, 2).join("fold-0")];
    let before = SEARCHES.map(|search| kept(search).map(|folder| contents(&folder)));
    let begun = SEARCHES.map(|search| training_tables(&sample.job(search, 2).join("fold-1")));
    let setup = sample.setup(Path::new(env!("CARGO_BIN_EXE_neurosearch-trainer")));
    let daemon = Daemon::start(sample.path(), &setup);
    wait_for_done(&daemon, &sample, 3, 1);
    for ((search, before), begun) in SEARCHES.iter().zip(&before).zip(&begun) {
        kept(search).iter().zip(before).for_each(|(folder, before)| assert_untouched(folder, before));
        assert!(!begun.is_empty());
        begun.iter().for_each(|(table, before)| assert_goes_on(table, before));
        until("its record says so", || json(&sample.job(search, 2).join(".neurosearch/job.json"))["state"] == "done");
        assert_eq!(json(&sample.job(search, 2).join(".neurosearch/job.json"))["attempts"], 2);
    }
    sample.mend();
    SEARCHES.iter().for_each(|search| drop(granted(sample.path(), &["retry", path(&sample.job(search, 1))])));
    wait_for_done(&daemon, &sample, 4, 0);
    let alike = computes_alike(&sample);
    for search in SEARCHES {
        until("it is finished", || {
            daemon.search(&sample.launch(search)).map(|search| search.state) == Some(SearchState::Finished)
        });
        for index in 1..4 {
            let (job, old) = (sample.job(search, index), fixture("finished").join(search).join(format!("job-{index}")));
            assert_same_losses(&job, &old);
            if alike {
                assert_same_results(&job, &old);
            }
        }
        if alike {
            assert_same_tables(&sample.launch(search), &fixture("finished").join(search));
        }
    }
}

/// The tables that the daemon writes, once it has put every job into them.
fn assert_same_tables(launch: &Path, old: &Path) {
    for name in ["analysis_balanced_accuracy.tsv", "analysis_loss.tsv"] {
        let read = |folder: &Path| fs::read_to_string(folder.join(name)).expect("a table");
        until("the table is as the old programs wrote it", || read(launch) == read(old));
    }
    let states = || fs::read_to_string(launch.join("jobs.tsv")).unwrap_or_default().matches("\tdone\t").count();
    until("every job is done in the table", || states() == 4);
    // One attempt more of those that were killed.
    assert_table_holds(&launch.join("jobs.tsv"), &old.join("jobs.tsv"), &["attempts"]);
}
