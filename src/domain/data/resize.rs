//! Pillow's bilinear resize of an 8-bit image, bit for bit: two passes of integer weights, each rounded to 8 bits.

/// Bits after the point of a weight.
const PRECISION: u32 = 22;

/// The weights of one axis: output `o` is made of `weights[o * most..]`, from input `first[o]` on, `count[o]` of them.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Axis {
    input: usize,
    output: usize,
    most: usize,
    first: Vec<usize>,
    count: Vec<usize>,
    weights: Vec<i32>,
}

impl Axis {
    /// Triangle weights of centre (o + 0.5) x input/output and support max(1, input/output), normalised to sum 1.
    fn new(input: usize, output: usize) -> Self {
        let scale = input as f64 / output as f64;
        let support = scale.max(1.0);
        let most = support.ceil() as usize * 2 + 1;
        let mut axis = Axis { input, output, most, first: Vec::new(), count: Vec::new(), weights: Vec::new() };
        for o in 0..output {
            let centre = (o as f64 + 0.5) * scale;
            // The casts truncate, and take what is negative for 0.
            let first = (centre - support + 0.5) as usize;
            let end = ((centre + support + 0.5) as usize).min(input);
            let weight = |i: usize| (1.0 - ((i as f64 - centre + 0.5) / support).abs()).max(0.0);
            let triangle: Vec<f64> = (first..end).map(weight).collect();
            let sum: f64 = triangle.iter().sum();
            axis.first.push(first);
            axis.count.push(end - first);
            axis.weights.extend(triangle.iter().map(|w| (0.5 + w / sum * f64::from(1u32 << PRECISION)) as i32));
            axis.weights.resize((o + 1) * most, 0);
        }
        axis
    }

    fn taps(&self, o: usize) -> (std::ops::Range<usize>, &[i32]) {
        let (first, count) = (self.first[o], self.count[o]);
        (first..first + count, &self.weights[o * self.most..o * self.most + count])
    }
}

/// Half a unit, so that the shift rounds.
const HALF: i32 = 1 << (PRECISION - 1);

fn clip(sum: i32) -> u8 {
    (sum >> PRECISION).clamp(0, 255) as u8
}

/// A resize from one size to another, its weights computed once for all images.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resize {
    rows: Axis,
    columns: Axis,
}

impl Resize {
    /// From images of `rows` by `columns` pixels to squares of `side`; all at least 1.
    pub fn new(rows: usize, columns: usize, side: usize) -> Self {
        Resize { rows: Axis::new(rows, side), columns: Axis::new(columns, side) }
    }

    /// Pixels of the images it takes.
    pub const fn input_pixels(&self) -> usize {
        self.rows.input * self.columns.input
    }

    /// Resizes `image`, in row order, into `out`, which it replaces. The width first, then the height, as Pillow does.
    pub fn apply(&self, image: &[u8], out: &mut Vec<u8>) {
        let mut narrow = Vec::with_capacity(self.rows.input * self.columns.output);
        for row in image.chunks_exact(self.columns.input) {
            for o in 0..self.columns.output {
                let (taps, weights) = self.columns.taps(o);
                let sum = row[taps].iter().zip(weights).map(|(pixel, weight)| i32::from(*pixel) * weight).sum::<i32>();
                narrow.push(clip(HALF + sum));
            }
        }
        out.clear();
        let width = self.columns.output;
        let mut sums = vec![0i32; width];
        for o in 0..self.rows.output {
            let (taps, weights) = self.rows.taps(o);
            sums.fill(HALF);
            for (row, weight) in narrow[taps.start * width..taps.end * width].chunks_exact(width).zip(weights) {
                sums.iter_mut().zip(row).for_each(|(sum, pixel)| *sum += i32::from(*pixel) * weight);
            }
            out.extend(sums.iter().map(|sum| clip(*sum)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resize(rows: usize, columns: usize, side: usize, image: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        Resize::new(rows, columns, side).apply(image, &mut out);
        out
    }

    #[test]
    fn the_same_size_is_the_same_image() {
        let image: Vec<u8> = (0..=255).collect();
        assert_eq!(resize(16, 16, 16, &image), image);
    }

    #[test]
    fn a_constant_image_stays_constant_up_and_down() {
        for (rows, columns) in [(1, 1), (3, 500), (300, 2), (42, 45)] {
            assert_eq!(resize(rows, columns, 224, &vec![201; rows * columns]), vec![201; 224 * 224]);
        }
    }

    #[test]
    fn pixels_agree_with_pillow() {
        // Image.fromarray(numpy.uint8([[0, 50, 255], [10, 200, 30]])).resize((4, 4), Image.BILINEAR)
        let image = [0, 50, 255, 10, 200, 30];
        let expected = [0, 31, 127, 255, 3, 56, 129, 199, 8, 105, 134, 86, 10, 129, 136, 30];
        assert_eq!(resize(2, 3, 4, &image), expected);
        // numpy.uint8([(i * 37 + i * i) % 256 for i in range(35)]).reshape(7, 5), to (3, 3)
        let image: Vec<u8> = (0..35u32).map(|i| ((i * 37 + i * i) % 256) as u8).collect();
        assert_eq!(resize(7, 5, 3, &image), [85, 66, 147, 92, 108, 137, 108, 112, 90]);
    }
}
