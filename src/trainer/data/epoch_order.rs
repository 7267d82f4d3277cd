//! The order in which an epoch goes through the training items: a permutation, or draws that favour the smaller class.

use super::rng;
use neurosearch::domain::words::SamplerKind;
use rand::RngCore;

/// Indices into the training items for one epoch, as many as there are items; `classes` holds each item's class.
///
/// Within a batch they ascend. The order of a batch changes only the last bits of its sums, so the same batch then gives the
/// same bits. Items of one image are also read together.
pub fn epoch(sampler: SamplerKind, classes: &[usize], batch_size: usize, stream: &mut impl RngCore) -> Vec<usize> {
    let mut order = match sampler {
        SamplerKind::Random => permutation(classes.len(), stream),
        SamplerKind::Weighted => weighted(classes, stream),
    };
    order.chunks_mut(batch_size).for_each(<[usize]>::sort_unstable);
    order
}

/// Every index once, each order equally likely (Fisher and Yates).
fn permutation(count: usize, stream: &mut impl RngCore) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    for last in (1..count).rev() {
        order.swap(last, rng::below(stream, last as u64 + 1) as usize);
    }
    order
}

/// Draws with replacement, an item of weight 1 / size of its class: so a class is drawn evenly, then one of its items.
fn weighted(classes: &[usize], stream: &mut impl RngCore) -> Vec<usize> {
    let mut members: [Vec<usize>; 2] = Default::default();
    for (item, class) in classes.iter().enumerate() {
        members[usize::from(*class == 1)].push(item);
    }
    let present: Vec<&Vec<usize>> = members.iter().filter(|members| !members.is_empty()).collect();
    let draw = |_: &usize| {
        let class = present[rng::below(stream, present.len() as u64) as usize];
        class[rng::below(stream, class.len() as u64) as usize]
    };
    classes.iter().map(draw).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use neurosearch::domain::seed;

    #[test]
    fn a_random_epoch_has_each_item_once_in_an_order_of_its_own() {
        let orders: Vec<Vec<usize>> =
            (0..2).map(|i| epoch(SamplerKind::Random, &[0; 50], 5, &mut seed::stream(1, "order", &[i]))).collect();
        assert_ne!(orders[0], orders[1]);
        assert!(orders.iter().all(|order| order.chunks(5).all(<[usize]>::is_sorted)), "{orders:?}");
        for mut order in orders {
            order.sort_unstable();
            assert!(order.into_iter().eq(0..50));
        }
    }

    #[test]
    fn every_permutation_of_three_is_equally_likely() {
        let mut stream = seed::stream(3, "order", &[]);
        let mut counts = std::collections::BTreeMap::new();
        for _ in 0..6_000 {
            *counts.entry(permutation(3, &mut stream)).or_insert(0_u32) += 1;
        }
        assert_eq!(counts.len(), 6);
        // Standard deviation of a count is 29.
        assert!(counts.values().all(|count| count.abs_diff(1_000) < 150), "{counts:?}");
    }

    #[test]
    fn a_weighted_epoch_draws_both_classes_alike_and_the_items_of_a_class_alike() {
        let mut classes = vec![0; 90];
        classes.extend([1; 10]);
        let mut stream = seed::stream(4, "order", &[]);
        let mut counts = vec![0_u32; 100];
        for _ in 0..1_000 {
            let order = epoch(SamplerKind::Weighted, &classes, 3, &mut stream);
            assert_eq!(order.len(), 100);
            order.into_iter().for_each(|item| counts[item] += 1);
        }
        let minority: u32 = counts[90..].iter().sum();
        assert!(minority.abs_diff(50_000) < 800, "{minority}");
        // Expected 5,000 for each of the ten and 556 for each of the ninety, standard deviations 70 and 24.
        assert!(counts[90..].iter().all(|count| count.abs_diff(5_000) < 350), "{counts:?}");
        assert!(counts[..90].iter().all(|count| count.abs_diff(556) < 120), "{counts:?}");
    }

    #[test]
    fn a_weighted_epoch_over_one_class_is_still_an_epoch() {
        let order = epoch(SamplerKind::Weighted, &[1; 4], 2, &mut seed::stream(5, "order", &[]));
        assert_eq!(order.len(), 4);
        assert!(order.iter().all(|item| *item < 4));
    }
}
