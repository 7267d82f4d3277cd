//! How the voxels of a NIfTI file lie in space: which way each axis runs, and how far apart its voxels are.

use std::fmt;

/// Voxel sizes that differ by less than this part are the same: headers keep them in 32 bits, and tools round them.
const SAME_SIZE: f64 = 1e-3;

/// Where an axis of the volume goes, in the letters of nibabel's `aff2axcodes`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Orientation([char; 3]);

/// The letters of the three directions of space, by where an axis that runs backwards or forwards goes.
const LETTERS: [[char; 2]; 3] = [['L', 'R'], ['P', 'A'], ['I', 'S']];

impl fmt::Display for Orientation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|letter| write!(f, "{letter}"))
    }
}

/// The orientation and voxel sizes of a volume.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Grid {
    /// None if the header does not say.
    pub orientation: Option<Orientation>,
    /// Along X, Y, Z, in millimetres; 0 or not a number if the header does not say.
    pub voxel_size: [f64; 3],
}

/// The fields of a header that say how the volume lies in space.
#[derive(Debug, Clone, Copy)]
pub struct SpatialFields {
    /// The sign of the third axis, then the voxel sizes.
    pub pixdim: [f64; 4],
    /// Millimetres in one unit of length.
    pub unit: f64,
    /// The parameters b, c and d, if the header says that they count.
    pub quaternion: Option<[f64; 3]>,
    /// The rows without the translation, if the header says that they count.
    pub affine: Option<[[f64; 3]; 3]>,
}

impl Grid {
    /// The affine counts before the quaternion, as for nibabel.
    pub fn new(fields: &SpatialFields) -> Self {
        let [sign, sizes @ ..] = fields.pixdim;
        let matrix = fields.affine.or_else(|| fields.quaternion.map(|[b, c, d]| rotation(b, c, d, sign, sizes)));
        let columns = matrix.map(columns).filter(|columns| columns.iter().all(|column| length(column).is_normal()));
        let sizes = columns.map_or(sizes.map(f64::abs), |columns| columns.map(|column| length(&column)));
        Grid { orientation: columns.and_then(orientation), voxel_size: sizes.map(|size| size * fields.unit) }
    }

    /// Whether volumes of both grids can be compared voxel by voxel. What one of the headers does not give is no difference.
    pub fn agrees(&self, other: &Grid) -> bool {
        let turned = matches!((self.orientation, other.orientation), (Some(one), Some(two)) if one != two);
        let far = |one: f64, two: f64| one > 0.0 && two > 0.0 && (one - two).abs() > SAME_SIZE * one.max(two);
        !turned && !self.voxel_size.iter().zip(&other.voxel_size).any(|(one, two)| far(*one, *two))
    }
}

impl fmt::Display for Grid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(orientation) = self.orientation {
            write!(f, "{orientation}, ")?;
        }
        // Three places tell apart what `agrees` does, and hide what it does not.
        let [x, y, z] = self.voxel_size.map(|size| (size * 1e3).round() / 1e3);
        write!(f, "{x} x {y} x {z} mm")
    }
}

fn columns(rows: [[f64; 3]; 3]) -> [[f64; 3]; 3] {
    let [x, y, z] = rows;
    [[x[0], y[0], z[0]], [x[1], y[1], z[1]], [x[2], y[2], z[2]]]
}

/// Not finite where a number is not: such an axis has no direction.
fn length(column: &[f64; 3]) -> f64 {
    column.iter().map(|part| part * part).sum::<f64>().sqrt()
}

/// The rows of NIfTI's method 2: the unit quaternion (a, b, c, d) as a rotation of the voxel sizes.
fn rotation(b: f64, c: f64, d: f64, sign: f64, [x, y, z]: [f64; 3]) -> [[f64; 3]; 3] {
    // Rounding may leave b, c and d a little longer than 1.
    let a = (1.0 - b * b - c * c - d * d).max(0.0).sqrt();
    let z = if sign < 0.0 { -z } else { z };
    [
        [(a * a + b * b - c * c - d * d) * x, (b * c - a * d) * 2.0 * y, (b * d + a * c) * 2.0 * z],
        [(b * c + a * d) * 2.0 * x, (a * a + c * c - b * b - d * d) * y, (c * d - a * b) * 2.0 * z],
        [(b * d - a * c) * 2.0 * x, (c * d + a * b) * 2.0 * y, (a * a + d * d - c * c - b * b) * z],
    ]
}

/// Each axis goes where it points most. The one that points most clearly chooses first, so that no direction is given twice.
fn orientation(columns: [[f64; 3]; 3]) -> Option<Orientation> {
    let mut letters = [None; 3];
    let mut taken = [false; 3];
    for _ in 0..3 {
        let open = (0..3).filter(|&axis| letters[axis].is_none());
        let choices = open.flat_map(|axis| (0..3).map(move |direction| (axis, direction)));
        let choices = choices.filter(|&(_, direction)| !taken[direction]);
        let part = |(axis, direction): (usize, usize)| columns[axis][direction] / length(&columns[axis]);
        let (axis, direction) = choices.max_by(|one, two| part(*one).abs().total_cmp(&part(*two).abs()))?;
        taken[direction] = true;
        letters[axis] = Some(LETTERS[direction][usize::from(part((axis, direction)) > 0.0)]);
    }
    let [Some(x), Some(y), Some(z)] = letters else { return None };
    Some(Orientation([x, y, z]))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: SpatialFields = SpatialFields { pixdim: [1.0, 1.0, 1.0, 1.0], unit: 1.0, quaternion: None, affine: None };

    fn of_affine(affine: [[f64; 3]; 3]) -> Grid {
        Grid::new(&SpatialFields { affine: Some(affine), ..NONE })
    }

    /// Letters and sizes are those that nibabel's `aff2axcodes` and `voxel_sizes` give.
    #[test]
    fn axes_and_sizes_are_those_of_nibabel() {
        for (affine, shown) in [
            ([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]], "RAS, 1 x 1 x 1 mm"),
            ([[-1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]], "LAS, 1 x 1 x 1 mm"),
            ([[0.0, 0.0, 2.0], [-1.5, 0.0, 0.0], [0.0, -1.0, 0.0]], "PIR, 1.5 x 1 x 2 mm"),
            ([[0.9, -0.4, 0.0], [0.4, 0.9, 0.0], [0.0, 0.0, 1.0]], "RAS, 0.985 x 0.985 x 1 mm"),
        ] {
            assert_eq!(of_affine(affine).to_string(), shown, "{affine:?}");
        }
    }

    #[test]
    fn the_quaternion_counts_without_an_affine_and_the_sizes_alone_without_both() {
        let turned = SpatialFields { quaternion: Some([0.0, 0.0, 0.0]), pixdim: [-1.0, 1.0, 2.0, 3.0], ..NONE };
        assert_eq!(Grid::new(&turned).to_string(), "RAI, 1 x 2 x 3 mm");
        // Half a turn about Z.
        let half = SpatialFields { quaternion: Some([0.0, 0.0, 1.0]), ..NONE };
        assert_eq!(Grid::new(&half).to_string(), "LPS, 1 x 1 x 1 mm");
        let both = SpatialFields { affine: Some([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]), ..half };
        assert_eq!(Grid::new(&both).to_string(), "RAS, 1 x 1 x 1 mm");
        assert_eq!(Grid::new(&SpatialFields { unit: 1e-3, ..NONE }).to_string(), "0.001 x 0.001 x 0.001 mm");
    }

    #[test]
    fn an_affine_without_a_direction_says_nothing() {
        for broken in [0.0, f64::NAN, f64::INFINITY] {
            let grid = of_affine([[broken, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]);
            assert_eq!((grid.orientation, grid.voxel_size), (None, [1.0; 3]), "{broken}");
        }
    }

    #[test]
    fn grids_agree_up_to_rounding_and_where_nothing_is_said() {
        let ras = of_affine([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]);
        let las = of_affine([[-1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]);
        let near = of_affine([[1.0005, 0.01, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]);
        let two = of_affine([[2.0, 0.0, 0.0], [0.0, 2.0, 0.0], [0.0, 0.0, 2.0]]);
        assert!(ras.agrees(&near) && ras.agrees(&Grid::new(&NONE)));
        assert!(ras.agrees(&Grid::new(&SpatialFields { pixdim: [1.0, 0.0, f64::NAN, 1.0], ..NONE })));
        assert!(!ras.agrees(&las) && !ras.agrees(&two) && !two.agrees(&Grid::new(&NONE)));
    }
}
