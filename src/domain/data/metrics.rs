//! Confusion counts, balanced accuracy, and the vote that makes an image's label from its items'.

use std::collections::BTreeMap;

/// How often each truth met each prediction; class 1 is positive.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Confusion {
    pub true_positive: u64,
    pub true_negative: u64,
    pub false_positive: u64,
    pub false_negative: u64,
}

impl Confusion {
    /// Counts pairs of true and predicted class.
    pub fn count(pairs: impl IntoIterator<Item = (usize, usize)>) -> Self {
        let mut confusion = Confusion::default();
        for (truth, predicted) in pairs {
            let cell = match (truth == 1, predicted == 1) {
                (true, true) => &mut confusion.true_positive,
                (false, false) => &mut confusion.true_negative,
                (false, true) => &mut confusion.false_positive,
                (true, false) => &mut confusion.false_negative,
            };
            *cell += 1;
        }
        confusion
    }

    pub fn metrics(&self) -> Metrics {
        let Confusion { true_positive, true_negative, false_positive, false_negative } = *self;
        let sensitivity = ratio(true_positive, true_positive + false_negative);
        let specificity = ratio(true_negative, true_negative + false_positive);
        Metrics {
            accuracy: ratio(true_positive + true_negative, true_positive + true_negative + false_positive + false_negative),
            balanced_accuracy: f64::midpoint(sensitivity, specificity),
            sensitivity,
            specificity,
            ppv: ratio(true_positive, true_positive + false_positive),
            npv: ratio(true_negative, true_negative + false_negative),
        }
    }
}

/// A ratio of counts; 0 where the denominator is empty.
fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// The six figures of a metrics table, in the order of its columns.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Metrics {
    pub accuracy: f64,
    pub balanced_accuracy: f64,
    pub sensitivity: f64,
    pub specificity: f64,
    /// Positive predictive value.
    pub ppv: f64,
    /// Negative predictive value.
    pub npv: f64,
}

impl Metrics {
    /// Names of the columns, as every metrics table heads them.
    pub const COLUMNS: [&'static str; 6] = ["accuracy", "balanced_accuracy", "sensitivity", "specificity", "ppv", "npv"];

    /// The figures in the order of [`Metrics::COLUMNS`].
    pub const fn values(&self) -> [f64; 6] {
        [self.accuracy, self.balanced_accuracy, self.sensitivity, self.specificity, self.ppv, self.npv]
    }
}

/// What a network says about one item of an image.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ItemPrediction<'a> {
    pub participant: &'a str,
    pub session: &'a str,
    /// Index of the item in its image: the patch, region or slice.
    pub position: usize,
    pub truth: usize,
    pub predicted: usize,
    /// Of class 0 and class 1.
    pub probabilities: [f64; 2],
}

/// What the items of one image say together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vote {
    pub participant: String,
    pub session: String,
    pub truth: usize,
    pub predicted: usize,
}

/// Votes item predictions into image predictions, sorted by participant and session as text.
///
/// A position weighs as much as its balanced accuracy over these items, and nothing if that is not greater than `threshold`.
/// Where no position weighs anything, all weigh the same. A tie goes to class 0.
pub fn vote(items: &[ItemPrediction<'_>], threshold: Option<f64>) -> Vec<Vote> {
    let weights = position_weights(items, threshold);
    let mut images: BTreeMap<(&str, &str), (usize, [f64; 2])> = BTreeMap::new();
    for item in items {
        let weight = weights.get(&item.position).copied().unwrap_or(0.0);
        let (_, sums) = images.entry((item.participant, item.session)).or_insert((item.truth, [0.0; 2]));
        sums[0] += weight * item.probabilities[0];
        sums[1] += weight * item.probabilities[1];
    }
    let vote = |((participant, session), (truth, sums)): ((&str, &str), (usize, [f64; 2]))| Vote {
        participant: participant.to_string(),
        session: session.to_string(),
        truth,
        predicted: usize::from(sums[1] > sums[0]),
    };
    images.into_iter().map(vote).collect()
}

/// Weight of every position that occurs in `items`.
fn position_weights(items: &[ItemPrediction<'_>], threshold: Option<f64>) -> BTreeMap<usize, f64> {
    let mut pairs: BTreeMap<usize, Vec<(usize, usize)>> = BTreeMap::new();
    for item in items {
        pairs.entry(item.position).or_default().push((item.truth, item.predicted));
    }
    let weigh = |(position, pairs): (usize, Vec<(usize, usize)>)| {
        let accuracy = Confusion::count(pairs).metrics().balanced_accuracy;
        (position, if threshold.is_some_and(|least| accuracy <= least) { 0.0 } else { accuracy })
    };
    let mut weights: BTreeMap<usize, f64> = pairs.into_iter().map(weigh).collect();
    if weights.values().all(|weight| *weight == 0.0) {
        weights.values_mut().for_each(|weight| *weight = 1.0);
    }
    weights
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(participant: &'static str, position: usize, truth: usize, positive: f64) -> ItemPrediction<'static> {
        let predicted = usize::from(positive > 0.5);
        ItemPrediction { participant, session: "ses-M00", position, truth, predicted, probabilities: [1.0 - positive, positive] }
    }

    fn labels(votes: &[Vote]) -> Vec<(&str, usize)> {
        votes.iter().map(|vote| (vote.participant.as_str(), vote.predicted)).collect()
    }

    #[test]
    fn the_figures_follow_from_the_counts() {
        let confusion = Confusion { true_positive: 62, true_negative: 44, false_positive: 37, false_negative: 19 };
        let metrics = confusion.metrics();
        assert_eq!(metrics.sensitivity, 62.0 / 81.0);
        assert_eq!(metrics.specificity, 44.0 / 81.0);
        assert_eq!(metrics.balanced_accuracy, (62.0 / 81.0 + 44.0 / 81.0) / 2.0);
        assert_eq!(metrics.accuracy, 106.0 / 162.0);
        assert_eq!(metrics.ppv, 62.0 / 99.0);
        assert_eq!(metrics.npv, 44.0 / 63.0);
    }

    #[test]
    fn a_ratio_of_nothing_is_zero() {
        let metrics = Confusion::count([(1, 1), (1, 1)]).metrics();
        assert_eq!(metrics.values(), [1.0, 0.5, 1.0, 0.0, 1.0, 0.0]);
        assert_eq!(Confusion::default().metrics().values(), [0.0; 6]);
    }

    #[test]
    fn a_position_weighs_as_much_as_its_balanced_accuracy() {
        // Position 0 is always right but unsure, position 1 is right half the time and sure.
        let items = [item("b", 0, 1, 0.55), item("b", 1, 1, 0.3), item("a", 0, 0, 0.4), item("a", 1, 0, 0.2)];
        // Image b: 1.0 * 0.55 + 0.5 * 0.3 against 1.0 * 0.45 + 0.5 * 0.7.
        assert_eq!(labels(&vote(&items, None)), [("a", 0), ("b", 0)]);
        // Above the threshold, only the first position votes.
        assert_eq!(labels(&vote(&items, Some(0.5))), [("a", 0), ("b", 1)]);
    }

    #[test]
    fn positions_that_all_fail_the_threshold_weigh_the_same() {
        let items = [item("a", 0, 1, 0.9), item("a", 1, 1, 0.2), item("b", 0, 0, 0.9), item("b", 1, 0, 0.2)];
        assert_eq!(labels(&vote(&items, Some(1.0))), [("a", 1), ("b", 1)]);
    }

    #[test]
    fn a_tie_goes_to_class_zero() {
        assert_eq!(labels(&vote(&[item("a", 0, 1, 0.5)], None)), [("a", 0)]);
    }

    #[test]
    fn images_are_sorted_as_text() {
        let items = [item("sub-10", 0, 1, 0.9), item("sub-9", 0, 0, 0.1), item("sub-1", 0, 0, 0.1)];
        assert_eq!(labels(&vote(&items, None)), [("sub-1", 0), ("sub-10", 1), ("sub-9", 0)]);
    }
}
