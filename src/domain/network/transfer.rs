//! Which networks can start which, from which model of the source, and what of it they take over.

use crate::domain::words::{NetworkType, Selection};

/// What a network starts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NetworkStart {
    /// Position of the source's CNN, where the source is a multicnn.
    pub network: Option<usize>,
    /// Which of its best models.
    pub selection: Selection,
    pub part: Part,
}

/// What is taken over of the source's model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Every tensor, under its own name.
    Everything,
    /// The tensors below `encoder.`, as those below `features.`; the decoder is left behind.
    EncoderAsFeatures,
    /// Every tensor of an autoencoder of ours. The reference's has a decoder of other layers: of that, `encoder.` alone.
    Autoencoder,
}

/// The start of a network of type `target`, at `position` in a multicnn, from a source of type `source` of which
/// `selection` is asked for.
///
/// # Errors
/// A clause about a direction that makes no sense, to follow the source's name.
pub fn start(
    source: NetworkType,
    target: NetworkType,
    position: Option<usize>,
    selection: Selection,
) -> Result<NetworkStart, String> {
    use NetworkType::{Autoencoder, Cnn, MultiCnn};
    let (network, selection, part) = match (source, target) {
        // It has one best model only.
        (Autoencoder, Autoencoder) => (None, Selection::BestLoss, Part::Autoencoder),
        (Autoencoder, Cnn | MultiCnn) => (None, Selection::BestLoss, Part::EncoderAsFeatures),
        (Cnn, Cnn | MultiCnn) => (None, selection, Part::Everything),
        (MultiCnn, MultiCnn) => (position, selection, Part::Everything),
        (Cnn | MultiCnn, Autoencoder) | (MultiCnn, Cnn) => {
            let article = if target == Autoencoder { "an" } else { "a" };
            return Err(format!(
                "trained a {source}, which cannot start {article} {target}; an autoencoder can start any network, a cnn a cnn or a \
                 multicnn, and a multicnn a multicnn"
            ));
        }
    };
    Ok(NetworkStart { network, selection, part })
}

#[cfg(test)]
mod tests {
    use super::*;
    use NetworkType::{Autoencoder, Cnn, MultiCnn};
    use Selection::{BestBalancedAccuracy, BestLoss};

    #[test]
    fn every_direction_has_its_model_and_its_part_or_a_refusal_by_both_names() {
        let at = Some(3);
        let table = [
            (Autoencoder, Autoencoder, Some((None, BestLoss, Part::Autoencoder))),
            (Autoencoder, Cnn, Some((None, BestLoss, Part::EncoderAsFeatures))),
            (Autoencoder, MultiCnn, Some((None, BestLoss, Part::EncoderAsFeatures))),
            (Cnn, Cnn, Some((None, BestBalancedAccuracy, Part::Everything))),
            (Cnn, MultiCnn, Some((None, BestBalancedAccuracy, Part::Everything))),
            (MultiCnn, MultiCnn, Some((at, BestBalancedAccuracy, Part::Everything))),
            (Cnn, Autoencoder, None),
            (MultiCnn, Autoencoder, None),
            (MultiCnn, Cnn, None),
        ];
        for (source, target, expected) in table {
            let position = at.filter(|_| target == MultiCnn);
            let found = start(source, target, position, BestBalancedAccuracy);
            match expected {
                Some((network, selection, part)) => assert_eq!(found, Ok(NetworkStart { network, selection, part })),
                None => {
                    let refusal = found.expect_err("refused");
                    let article = if target == Autoencoder { "an" } else { "a" };
                    assert!(
                        refusal.starts_with(&format!("trained a {source}, which cannot start {article} {target};")),
                        "{refusal}"
                    );
                }
            }
        }
    }
}
