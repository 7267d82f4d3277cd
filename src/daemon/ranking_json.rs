//! The JSON text of each job in `/v1/best`, kept until its figures change.

use crate::analysis::{Ranked, RankedFold, Ranking};
use crate::control::reply::{BestFold, BestJob};
use serde::ser::Error;
use serde::{Serialize, Serializer};
use serde_json::value::{RawValue, to_raw_value};
use std::sync::Arc;

/// A [`BestJob`], whose text is kept beside its figures.
pub struct RankingEntryJson(pub Arc<Ranked>);

impl Serialize for RankingEntryJson {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        text(&self.0).map_err(S::Error::custom)?.serialize(serializer)
    }
}

/// Writes the text of the ranking's answers in advance, so that the first answer is as fast as later ones. Jobs whose figures did
/// not change have their text already.
///
/// # Errors
/// Those of serde_json.
pub fn beforehand(ranking: &Ranking) -> Result<(), serde_json::Error> {
    ranking.by_accuracy.iter().chain(&ranking.by_loss).try_for_each(|ranked| text(ranked).map(drop))
}

fn text(ranked: &Ranked) -> Result<&RawValue, serde_json::Error> {
    let kept = &ranked.text.0;
    match kept.get() {
        Some(text) => Ok(text),
        None => to_raw_value(&job(ranked)).map(|text| &**kept.get_or_init(|| text)),
    }
}

/// The job as the protocol defines it.
pub fn job(ranked: &Ranked) -> BestJob {
    let fold = |fold: &RankedFold| {
        let [best_loss, best_balanced_accuracy] = fold.accuracy;
        BestFold { fold: fold.index, best_loss, best_balanced_accuracy, loss: fold.loss }
    };
    let [best_loss, best_balanced_accuracy] = ranked.accuracy;
    let (job, state, loss) = (ranked.job.clone(), ranked.state.to_string(), ranked.loss);
    BestJob { job, state, best_loss, best_balanced_accuracy, loss, folds: ranked.folds.iter().map(fold).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::Text;

    #[test]
    fn a_ranked_job_is_written_as_the_protocol_says_the_second_time_as_the_first() {
        let fold = RankedFold { index: 2, accuracy: [Some(0.25), None], loss: Some(0.1 + 0.2) };
        let (job, accuracy, folds) = ("job-\"3\"".to_string(), [Some(0.25), Some(1.0 / 3.0)], vec![fold]);
        let ranked = Arc::new(Ranked { job, state: "done", accuracy, loss: None, folds, text: Text::default() });
        let answer = || serde_json::to_string(&[RankingEntryJson(ranked.clone())]).expect("JSON");
        let (first, second) = (answer(), answer());
        assert_eq!(serde_json::from_str::<Vec<BestJob>>(&first).expect("the protocol's"), [super::job(&ranked)]);
        assert_eq!(first, second);
    }

    #[test]
    fn the_answers_of_a_ranking_are_there_before_the_first_question() {
        let ranked = |job: &str, loss| {
            let (job, text) = (job.to_string(), Text::default());
            Arc::new(Ranked { job, state: "done", accuracy: [None; 2], loss, folds: Vec::new(), text })
        };
        let (network, autoencoder) = (ranked("job-0", None), ranked("job-1", Some(0.5)));
        let ranking = Ranking { by_accuracy: vec![network.clone()], by_loss: vec![autoencoder.clone()] };
        beforehand(&ranking).expect("written");
        for ranked in [network, autoencoder] {
            let kept = ranked.text.0.get().expect("a text").get();
            assert_eq!(kept, serde_json::to_string(&job(&ranked)).expect("JSON"));
        }
    }
}
