//! Synthetic brains: smooth volumes with noise, bright at both hippocampi in class 0 and dark there in class 1.

use crate::domain::data::item_geometry::HIPPOCAMPI;
use crate::domain::seed;
use rand::RngCore;
use rand_chacha::ChaCha12Rng;

/// Sizes of the space in which the hippocampi's centres are given.
const TEMPLATE: [f64; 3] = [169.0, 208.0, 179.0];
/// Steps between 0 and the brightest voxel; few enough that the files compress.
pub const STEPS: f32 = 1000.0;
/// Standard deviation of a change around its centre, as a part of each side.
const WIDTH: f64 = 0.14;
/// What the tissue at a centre loses in each class, as a part of it; a negative loss is a gain. Far apart, so that a small
/// network learns the difference in a few epochs.
const LOSS: [f64; 2] = [-0.6, 0.85];
/// What the tissue loses in both classes at difficulty 1: half-way between them.
const COMMON_LOSS: f64 = 0.5 * (LOSS[0] + LOSS[1]);
/// Standard deviation of a participant's loss within its class, at difficulty 1.
const SPREAD: f64 = 0.35;
/// Spots at random places of each brain, bright or dark: nuisance that says nothing about the class.
const SPOTS: usize = 3;
/// Standard deviation of a spot's loss, at difficulty 1.
const SPOT: f64 = 0.3;
/// Standard deviation of the noise of a voxel, at difficulty 0; it has doubled at difficulty 1.
const NOISE: f32 = 0.02;

/// What distinguishes one image from another.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Subject {
    pub seed: u64,
    pub index: u64,
    pub session: u64,
    /// 0 or 1.
    pub class: usize,
    /// From 0, a clear difference between the classes, to 1, none at all.
    pub difficulty: f64,
}

/// The centres of the two hippocampi as parts of the sides: right, then left.
pub fn centres() -> [[f64; 3]; 2] {
    HIPPOCAMPI.map(|(_, centre)| [0, 1, 2].map(|axis| centre[axis] as f64 / TEMPLATE[axis]))
}

/// The voxels of an image in C order: whole numbers from 0 to [`STEPS`]. The same on every machine.
pub fn voxels(shape: [usize; 3], subject: Subject) -> Vec<f32> {
    let mut chance = seed::stream(subject.seed, "make-caps/volume", &[subject.index, subject.session]);
    let brain = Brain::new(shape, subject, &mut chance);
    let mut voxels = Vec::with_capacity(shape.iter().product());
    let mut noise = vec![0u8; shape[2] * 4];
    for x in 0..shape[0] {
        for y in 0..shape[1] {
            chance.fill_bytes(&mut noise);
            brain.row(x, y, &noise, &mut voxels);
        }
    }
    voxels
}

/// Gaussians are products of one factor for each axis, so that all exponentials stand in small tables.
struct Brain {
    shape: [usize; 3],
    /// Squared distance from the middle of the head along each axis; the skull is at 1.
    head: [Vec<f32>; 3],
    /// At both hippocampi, then at the spots.
    losses: Vec<Loss>,
    /// Ripples of tissue along each axis.
    ripples: [Vec<f32>; 3],
    /// What turns the sum of a voxel's random bytes into its noise.
    noise: f32,
}

/// Tissue lost around a centre: the part lost there, and its factors along the axes.
type Loss = (f32, [Vec<f32>; 3]);

/// The values of a function along an axis, at the middles of its voxels.
fn along(voxels: usize, value: impl Fn(f64) -> f64) -> Vec<f32> {
    (0..voxels).map(|i| value((i as f64 + 0.5) / voxels as f64) as f32).collect()
}

fn loss(shape: [usize; 3], centre: [f64; 3], depth: f64) -> Loss {
    let bell = |axis: usize| along(shape[axis], |u| libm::exp(-0.5 * ((u - centre[axis]) / WIDTH).powi(2)));
    (depth.min(1.0) as f32, [bell(0), bell(1), bell(2)])
}

/// The losses of an image. Those of difficulty have a stream of their own, the same for all sessions of a participant, so that
/// an image of difficulty 0 stays what it was.
fn losses(shape: [usize; 3], subject: Subject, chance: &mut ChaCha12Rng) -> Vec<Loss> {
    let difficulty = subject.difficulty;
    let mut own = seed::stream(subject.seed, "make-caps/difficulty", &[subject.index]);
    let mean = LOSS[subject.class] * (1.0 - difficulty) + COMMON_LOSS * difficulty + SPREAD * difficulty * normal(&mut own);
    let mut losses = centres().map(|centre| loss(shape, centre, mean * (1.0 + 0.1 * unit(chance)))).to_vec();
    if difficulty > 0.0 {
        losses.extend((0..SPOTS).map(|_| {
            let centre = [0; 3].map(|_| 0.5 + 0.3 * unit(&mut own));
            loss(shape, centre, SPOT * difficulty * normal(&mut own))
        }));
    }
    losses
}

impl Brain {
    fn new(shape: [usize; 3], subject: Subject, chance: &mut ChaCha12Rng) -> Self {
        let radius = [0.44, 0.46, 0.45].map(|r| r * (1.0 + 0.04 * unit(chance)));
        let head = [0, 1, 2].map(|axis| along(shape[axis], |u| ((u - 0.5) / radius[axis]).powi(2)));
        let phase = [0, 1, 2].map(|_| std::f64::consts::PI * unit(chance));
        let ripples = [0, 1, 2].map(|axis| along(shape[axis], |u| libm::sin(9.0 * u + phase[axis])));
        let losses = losses(shape, subject, chance);
        Brain { shape, head, losses, ripples, noise: NOISE / 148.0 * (1.0 + subject.difficulty as f32) }
    }

    /// Appends the voxels (x, y, ·). `noise`: four random bytes for each, whose sum is nearly normal.
    fn row(&self, x: usize, y: usize, noise: &[u8], voxels: &mut Vec<f32>) {
        let head = self.head[0][x] + self.head[1][y];
        let ripple = self.ripples[0][x] * self.ripples[1][y];
        let losses: Vec<(f32, &[f32])> =
            self.losses.iter().map(|(depth, bells)| (depth * bells[0][x] * bells[1][y], bells[2].as_slice())).collect();
        let (quads, _) = noise.as_chunks::<4>();
        for (z, bytes) in (0..self.shape[2]).zip(quads) {
            let distance = head + self.head[2][z];
            let tissue = if distance < 1.0 { 0.6 + 0.1 * ripple * self.ripples[2][z] - 0.2 * distance } else { 0.0 };
            let left: f32 = losses.iter().map(|(depth, bell)| 1.0 - depth * bell[z]).product();
            let sum: i32 = bytes.iter().map(|byte| i32::from(*byte)).sum();
            let noisy = tissue * left + (sum - 510) as f32 * self.noise;
            voxels.push((noisy.clamp(0.0, 1.0) * STEPS).round());
        }
    }
}

/// A number in [-1, 1), evenly distributed.
fn unit(chance: &mut ChaCha12Rng) -> f64 {
    (chance.next_u32() as f64) / f64::from(1u32 << 31) - 1.0
}

/// A nearly normal number of mean 0 and variance 1, never beyond 3.
fn normal(chance: &mut ChaCha12Rng) -> f64 {
    unit(chance) + unit(chance) + unit(chance)
}

/// A mask in C order, 1 within the ellipsoids of the named hippocampi (0 right, 1 left) and 0 outside.
pub fn mask(shape: [usize; 3], which: &[usize]) -> Vec<f32> {
    let centres = centres();
    let mut voxels = Vec::with_capacity(shape.iter().product());
    for x in 0..shape[0] {
        for y in 0..shape[1] {
            for z in 0..shape[2] {
                let inside = which.iter().any(|side| {
                    let part = |axis: usize, i: usize| {
                        let side_length = shape[axis] as f64;
                        // At least half a voxel of radius, so that no mask of a small volume is empty.
                        let radius = (0.12f64).max(0.75 / side_length);
                        (((i as f64 + 0.5) / side_length - centres[*side][axis]) / radius).powi(2)
                    };
                    part(0, x) + part(1, y) + part(2, z) < 1.0
                });
                voxels.push(f32::from(u8::from(inside)));
            }
        }
    }
    voxels
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::data::extract::bounding_box;

    fn subject(index: u64, class: usize) -> Subject {
        Subject { seed: 3, index, session: 0, class, difficulty: 0.0 }
    }

    /// Mean over the boxes around both hippocampi.
    fn mean_at_hippocampi(shape: [usize; 3], voxels: &[f32]) -> f64 {
        let (mut sum, mut count) = (0.0, 0);
        for (i, weight) in mask(shape, &[0, 1]).iter().enumerate() {
            if *weight > 0.0 {
                sum += f64::from(voxels[i]);
                count += 1;
            }
        }
        sum / f64::from(count)
    }

    #[test]
    fn a_volume_depends_on_its_subject_and_on_nothing_else() {
        let shape = [9, 10, 11];
        assert_eq!(voxels(shape, subject(1, 0)), voxels(shape, subject(1, 0)));
        assert_ne!(voxels(shape, subject(1, 0)), voxels(shape, subject(2, 0)));
        assert_ne!(voxels(shape, subject(1, 0)), voxels(shape, Subject { session: 1, ..subject(1, 0) }));
        assert_ne!(voxels(shape, subject(1, 0)), voxels(shape, Subject { seed: 4, ..subject(1, 0) }));
    }

    #[test]
    fn voxels_are_whole_steps_between_black_and_white() {
        let all = voxels([12, 13, 14], subject(0, 1));
        assert_eq!(all.len(), 12 * 13 * 14);
        assert!(all.iter().all(|v| v.fract() == 0.0 && (0.0..=STEPS).contains(v)));
        assert!(all.iter().any(|v| *v > 500.0) && all.iter().any(|v| *v < 100.0));
    }

    /// The mean at the hippocampi of eight participants of each class.
    fn means(difficulty: f64) -> [Vec<f64>; 2] {
        let shape = [24, 28, 24];
        let mean = |index, class| mean_at_hippocampi(shape, &voxels(shape, Subject { difficulty, ..subject(index, class) }));
        [0, 1].map(|class| (0..8).map(|i| mean(i + 10 * class as u64, class)).collect())
    }

    /// How far class 0 is brighter than class 1, and how far participants of one class are apart.
    fn contrast(difficulty: f64) -> (f64, f64) {
        let average = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        let classes = means(difficulty);
        let [healthy, ill] = classes.each_ref().map(|class| average(class));
        let squares: Vec<f64> =
            classes.iter().zip([healthy, ill]).flat_map(|(c, mean)| c.iter().map(move |v| (v - mean).powi(2))).collect();
        (healthy - ill, average(&squares).sqrt())
    }

    #[test]
    fn the_classes_differ_at_the_hippocampi_by_far_more_than_subjects_do() {
        let [healthy, ill] = means(0.0);
        let least_healthy = healthy.iter().copied().fold(f64::INFINITY, f64::min);
        let most_ill = ill.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        assert!(least_healthy > most_ill + 50.0, "{healthy:?} {ill:?}");
    }

    #[test]
    fn a_greater_difficulty_brings_the_classes_together_and_participants_apart() {
        let found = [0.0, 0.3, 0.6, 0.9].map(contrast);
        assert!(found.is_sorted_by(|easier, harder| easier.0 > harder.0 && easier.1 < harder.1), "{found:?}");
    }

    #[test]
    fn at_difficulty_one_the_class_changes_nothing() {
        let shape = [9, 10, 11];
        let of = |difficulty| [0, 1].map(|class| voxels(shape, Subject { difficulty, ..subject(1, class) }));
        let [[healthy, ill], [almost_healthy, almost_ill]] = [1.0, 0.9].map(of);
        assert!(healthy == ill && almost_healthy != almost_ill);
    }

    #[test]
    fn a_greater_difficulty_adds_noise_to_every_voxel() {
        // Outside the head there is nothing else.
        let corner = |difficulty| voxels([24; 3], Subject { difficulty, ..subject(1, 0) })[..24].iter().sum::<f32>();
        assert!(corner(1.0) > 1.9 * corner(0.0) && corner(0.0) > 0.0);
    }

    #[test]
    fn a_voxel_of_a_fixed_seed_is_the_same_everywhere() {
        let all = voxels([8, 8, 8], Subject { seed: 42, index: 3, session: 1, class: 1, difficulty: 0.0 });
        let sum: f64 = all.iter().map(|v| f64::from(*v)).sum();
        assert_eq!((sum, all[0], all[219], all[300]), (83_601.0, 7.0, 147.0, 470.0));
    }

    #[test]
    fn masks_are_never_empty_and_the_union_is_wider() {
        for shape in [[3, 3, 3], [24, 28, 24], [42, 52, 45]] {
            let boxes = [&[0][..], &[1], &[0, 1]].map(|which| bounding_box(&mask(shape, which), shape).expect("not empty"));
            assert!(boxes[2].voxels() >= boxes[0].voxels().max(boxes[1].voxels()));
        }
    }
}
