//! A running job's progress on stderr: a bar on a terminal, else a line for each epoch and each new evaluation.

use super::out;
use super::render::figure;
use crate::domain::progress::{Phase, Progress};
use crate::domain::text::escape::escape;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Steps of the bar; finer than any terminal is wide.
const STEPS: u64 = 10_000;

/// Shows each report once.
pub struct ProgressView {
    bar: Option<ProgressBar>,
    last: Option<Progress>,
}

impl ProgressView {
    /// A bar where somebody looks at stderr, else lines.
    pub fn on_stderr() -> Self {
        let bar = out::shows_progress().then(|| {
            let bar = ProgressBar::with_draw_target(Some(STEPS), ProgressDrawTarget::stderr());
            let style = ProgressStyle::with_template("{percent:>3}% [{wide_bar}] {eta:>4} left\n{msg}");
            bar.with_style(style.expect("the template is a constant, and a test draws it").progress_chars("=> "))
        });
        ProgressView { bar, last: None }
    }

    /// Shows `progress`, if it is news.
    pub fn show(&mut self, progress: &Progress) {
        if self.last.as_ref() == Some(progress) {
            return;
        }
        match &self.bar {
            Some(bar) => {
                // Truncation is wanted: the fraction lies between 0 and 1.
                bar.set_position((progress.fraction() * STEPS as f64) as u64);
                bar.set_message(message(progress, out::width_of_stderr()));
                if self.last.is_none() {
                    // What an earlier attempt has done says nothing about this one's speed.
                    bar.reset_eta();
                }
            }
            None if self.last.as_ref().is_none_or(|last| is_milestone(last, progress)) => out::note(sentence(progress)),
            None => {}
        }
        self.last = Some(progress.clone());
    }

    /// A message beside the progress.
    pub fn say(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| out::note(text)),
            None => out::note(text),
        }
    }

    /// Takes the bar away.
    pub fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// What stands below the bar, broken between words: the bar itself would break within them.
fn message(progress: &Progress, width: Option<u16>) -> String {
    escape(&out::wrapped(&sentence(progress), width, 2)).into_owned()
}

fn is_milestone(last: &Progress, now: &Progress) -> bool {
    let place = |p: &Progress| (p.fold, p.network, p.epoch);
    let measured = |p: &Progress| (p.loss_train, p.loss_valid);
    place(last) != place(now) || measured(last) != measured(now)
}

/// Where the training is, counted from 1 as people do, and the last evaluation.
pub fn sentence(progress: &Progress) -> String {
    if progress.folds_done >= progress.folds {
        return "every fold has its results".to_string();
    }
    let mut place = Vec::new();
    if progress.folds > 1 {
        place.push(format!("fold {} of {} (fold-{})", progress.folds_done + 1, progress.folds, progress.fold));
    }
    if let (Some(network), Some(networks)) = (progress.network, progress.networks) {
        place.push(format!("network {} of {networks}", network + 1));
    }
    // Before the checkpoint is read, nobody knows with which epoch it goes on.
    if progress.phase != Phase::Loading || progress.epoch > 0 {
        place.push(format!("epoch {} of {}", progress.epoch + 1, progress.epochs));
    }
    place.push(match progress.phase {
        Phase::Loading => "loading".to_string(),
        Phase::Training => format!("batch {} of {}", progress.batches_done, progress.batches),
        Phase::Evaluating => "evaluating".to_string(),
        Phase::Writing => "writing results".to_string(),
    });
    let mut said = vec![place.join(", ")];
    if let (Some(train), Some(valid)) = (progress.loss_train, progress.loss_valid) {
        said.push(format!("loss {} training, {} validation", figure(train, 4), figure(valid, 4)));
    }
    said.extend(progress.balanced_accuracy_valid.map(|accuracy| format!("balanced accuracy {accuracy:.3}")));
    said.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::progress;

    fn running() -> Progress {
        Progress {
            fold: 4,
            folds_done: 1,
            epoch: 2,
            epochs: 20,
            batches_done: 7,
            batches: 9,
            phase: Phase::Training,
            loss_train: Some(0.5),
            loss_valid: Some(0.625),
            balanced_accuracy_train: Some(1.0),
            balanced_accuracy_valid: Some(0.75),
            checkpoints: 3,
            ..progress()
        }
    }

    #[test]
    fn a_report_is_one_line_that_counts_from_one() {
        let expected =
            "fold 2 of 2 (fold-4), epoch 3 of 20, batch 7 of 9; loss 0.5000 training, 0.6250 validation; balanced accuracy 0.750";
        assert_eq!(sentence(&running()), expected);
        let first = Progress {
            folds: 1,
            folds_done: 0,
            network: Some(0),
            networks: Some(36),
            phase: Phase::Loading,
            loss_train: None,
            ..running()
        };
        assert_eq!(sentence(&first), "network 1 of 36, epoch 3 of 20, loading; balanced accuracy 0.750");
        let unknown = Progress { epoch: 0, balanced_accuracy_valid: None, ..first };
        assert_eq!(sentence(&Progress { network: None, ..unknown }), "loading");
        assert_eq!(sentence(&Progress { folds_done: 2, ..running() }), "every fold has its results", "there is no fold 3 of 2");
    }

    #[test]
    fn what_stands_below_the_bar_breaks_between_words() {
        assert_eq!(
            message(&running(), Some(80)).lines().collect::<Vec<_>>(),
            [
                "fold 2 of 2 (fold-4), epoch 3 of 20, batch 7 of 9; loss 0.5000 training, 0.6250",
                "  validation; balanced accuracy 0.750"
            ]
        );
        assert_eq!(message(&running(), None), sentence(&running()));
    }

    #[test]
    fn a_line_is_due_for_a_new_place_or_a_new_evaluation_and_not_for_each_batch() {
        let last = running();
        assert!(!is_milestone(&last, &Progress { batches_done: 8, written_at: 1.0, ..running() }));
        assert!(is_milestone(&last, &Progress { epoch: 3, ..running() }));
        assert!(is_milestone(&last, &Progress { loss_valid: Some(0.5), ..running() }));
    }

    #[test]
    fn the_bar_can_be_drawn() {
        let bar = ProgressBar::with_draw_target(Some(STEPS), ProgressDrawTarget::hidden());
        let style = ProgressStyle::with_template("{percent:>3}% [{wide_bar}] {eta:>4} left\n{msg}").expect("a template");
        let mut view = ProgressView { bar: Some(bar.with_style(style)), last: None };
        view.show(&running());
        assert_eq!(view.bar.as_ref().map(ProgressBar::position), Some(5694));
        view.end();
    }
}
