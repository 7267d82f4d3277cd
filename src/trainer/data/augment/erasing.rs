//! Half of the items lose a random rectangle of their last two axes, as torchvision's RandomErasing does by default.

use crate::data::rng;
use rand::RngCore;

const PROBABILITY: f64 = 0.5;
/// Fraction of the last two axes' area.
const AREA: [f64; 2] = [0.02, 0.33];
/// Height over width, drawn on a logarithmic scale.
const ASPECT: [f64; 2] = [0.3, 3.3];
const ATTEMPTS: usize = 10;

/// A rectangle of the last two axes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Rectangle {
    top: usize,
    left: usize,
    height: usize,
    width: usize,
}

/// Sets the rectangle to 0 in every plane: in each channel, and in 3D all along the first axis.
pub fn apply(voxels: &mut [f32], shape: &[usize], stream: &mut impl RngCore) {
    let &[.., height, width] = shape else { return };
    if rng::unit(stream) >= PROBABILITY {
        return;
    }
    if let Some(rectangle) = draw(height, width, stream) {
        erase(voxels, height, width, rectangle);
    }
}

/// The rectangle to erase, or None if all attempts gave one that does not fit strictly inside.
fn draw(height: usize, width: usize, stream: &mut impl RngCore) -> Option<Rectangle> {
    for _ in 0..ATTEMPTS {
        let area = rng::uniform(stream, AREA[0], AREA[1]);
        let log_aspect = rng::uniform(stream, ASPECT[0].ln(), ASPECT[1].ln());
        if let Some((h, w)) = sides(height, width, area, log_aspect) {
            let top = rng::below(stream, places(height, h)) as usize;
            let left = rng::below(stream, places(width, w)) as usize;
            return Some(Rectangle { top, left, height: h, width: w });
        }
    }
    None
}

/// Sides of a rectangle of this fraction of the area, or None if it does not fit strictly inside.
fn sides(height: usize, width: usize, area: f64, log_aspect: f64) -> Option<(usize, usize)> {
    let (area, aspect) = ((height * width) as f64 * area, log_aspect.exp());
    let h = (area * aspect).sqrt().round_ties_even() as usize;
    let w = (area / aspect).sqrt().round_ties_even() as usize;
    (h < height && w < width).then_some((h, w))
}

/// Where a side of the rectangle may begin.
const fn places(image: usize, side: usize) -> u64 {
    (image - side + 1) as u64
}

fn erase(voxels: &mut [f32], height: usize, width: usize, rectangle: Rectangle) {
    for plane in voxels.chunks_exact_mut(height * width) {
        for row in plane.chunks_exact_mut(width).skip(rectangle.top).take(rectangle.height) {
            row[rectangle.left..rectangle.left + rectangle.width].fill(0.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use neurosearch::domain::seed;
    use serde::Deserialize;

    /// What torchvision did with given draws, by `scripts/make_erasing_fixture.py`.
    #[derive(Deserialize)]
    struct Torchvision {
        probability: f64,
        attempts: Vec<Attempt>,
        erased: Vec<Erased>,
    }

    #[derive(Deserialize)]
    struct Attempt {
        image: [usize; 2],
        area: f64,
        log_aspect: f64,
        found: Option<Found>,
        attempts: usize,
        ranges: [[f64; 2]; 2],
    }

    #[derive(Deserialize)]
    struct Found {
        height: usize,
        width: usize,
        places: [u64; 2],
    }

    #[derive(Deserialize)]
    struct Erased {
        shape: Vec<usize>,
        rectangle: [usize; 4],
        output: Vec<f32>,
    }

    fn torchvision() -> Torchvision {
        serde_json::from_str(include_str!("../../../../tests/fixtures/augment/erasing.json")).expect("a fixture")
    }

    #[test]
    fn the_same_draws_give_the_rectangle_of_torchvision_or_none_as_often() {
        let fixture = torchvision();
        assert_eq!(PROBABILITY, fixture.probability);
        assert!(fixture.attempts.len() > 100);
        for attempt in fixture.attempts {
            let ([height, width], [area, aspect]) = (attempt.image, attempt.ranges);
            assert_eq!(AREA, area);
            for (ours, theirs) in ASPECT.iter().zip(aspect) {
                assert!((ours.ln() - theirs).abs() < 1e-6, "{ours} {theirs}");
            }
            let found = sides(height, width, attempt.area, attempt.log_aspect);
            assert_eq!(found, attempt.found.as_ref().map(|found| (found.height, found.width)), "{height} x {width}");
            match attempt.found {
                Some(found) => assert_eq!(found.places, [places(height, found.height), places(width, found.width)]),
                None => assert_eq!(attempt.attempts, ATTEMPTS),
            }
        }
    }

    #[test]
    fn the_same_rectangle_is_erased_as_torchvision_does() {
        for case in torchvision().erased {
            let mut voxels: Vec<f32> = (1..=case.output.len()).map(|value| value as f32).collect();
            let &[.., height, width] = case.shape.as_slice() else { panic!("two axes") };
            let [top, left, h, w] = case.rectangle;
            erase(&mut voxels, height, width, Rectangle { top, left, height: h, width: w });
            assert_eq!(voxels, case.output, "{:?}", case.shape);
        }
    }

    #[test]
    fn half_of_the_items_lose_a_rectangle_of_the_documented_areas_and_aspects() {
        let (mut erased, mut areas, mut logs) = (0_i32, Vec::new(), Vec::new());
        for item in 0..4_000 {
            let mut voxels = vec![1.0_f32; 200 * 100];
            apply(&mut voxels, &[1, 200, 100], &mut seed::stream(1, "augment", &[item]));
            let rows = voxels.chunks(100).filter(|row| row.contains(&0.0)).count();
            let columns = voxels.chunks(100).map(|row| row.iter().filter(|v| **v == 0.0).count()).max().expect("rows");
            if rows > 0 {
                assert_eq!(voxels.iter().filter(|v| **v == 0.0).count(), rows * columns, "a rectangle");
                erased += 1;
                areas.push((rows * columns) as f64 / 20_000.0);
                logs.push((rows as f64 / columns as f64).ln());
            }
        }
        assert!((erased - 2_000).abs() < 150, "{erased}");
        assert!(areas.iter().all(|area| (0.018..0.335).contains(area)));
        let mean = areas.iter().sum::<f64>() / areas.len() as f64;
        assert!((mean - 0.175).abs() < 0.015, "uniform in 0.02 to 0.33, a little less as wide ones do not fit: {mean}");
        let mean = logs.iter().sum::<f64>() / logs.len() as f64;
        assert!(mean.abs() < 0.15, "log-uniform, so about as often high as wide: {mean}");
    }

    #[test]
    fn in_3d_the_rectangle_spans_the_first_axis_and_in_2d_all_channels() {
        for shape in [vec![1, 3, 4, 5], vec![3, 4, 5]] {
            let mut voxels = vec![1.0_f32; 60];
            erase(&mut voxels, 4, 5, Rectangle { top: 1, left: 2, height: 2, width: 3 });
            for plane in voxels.chunks(20) {
                assert_eq!(plane[..7], [1.0; 7], "{shape:?}");
                assert_eq!(plane[7..10], [0.0; 3]);
                assert_eq!(plane[10..12], [1.0; 2]);
                assert_eq!(plane[12..15], [0.0; 3]);
                assert_eq!(plane[15..], [1.0; 5]);
            }
        }
    }

    #[test]
    fn an_image_of_one_voxel_stays_as_it_is() {
        for item in 0..20 {
            let mut voxels = vec![1.0_f32];
            apply(&mut voxels, &[1, 1, 1], &mut seed::stream(1, "augment", &[item]));
            assert_eq!(voxels, [1.0]);
        }
    }
}
