//! How a volume becomes items (image, patch, region, slice): their number, order, places and shapes.

use crate::domain::mode::ModeOptions;
use crate::domain::text::fault::Fault;
use crate::domain::text::units::dimensions;
use crate::domain::words::Preprocessing;

/// Sides of a slice after the resize, and its equal channels.
pub const SLICE_SIDE: usize = 224;
pub const SLICE_CHANNELS: usize = 3;

/// The default regions, as (name, centre), by index: the right hippocampus is 0, the left one 1.
pub const HIPPOCAMPI: [(&str, [usize; 3]); 2] = [("right hippocampus", [109, 96, 68]), ("left hippocampus", [61, 96, 68])];
/// Side of a default region, in voxels.
pub const HIPPOCAMPUS_SIDE: usize = 50;

/// A box in a volume, in voxels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Window {
    pub start: [usize; 3],
    pub size: [usize; 3],
}

impl Window {
    /// The whole of a volume.
    pub const fn whole(volume: [usize; 3]) -> Self {
        Window { start: [0; 3], size: volume }
    }

    pub const fn voxels(&self) -> usize {
        self.size[0] * self.size[1] * self.size[2]
    }
}

/// The items of every image of one size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Geometry {
    volume: [usize; 3],
    layout: Layout,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Layout {
    Image,
    Patches { size: usize, stride: usize, counts: [usize; 3] },
    Regions(Vec<Window>),
    Slices { axis: usize, first: usize, count: usize },
}

impl Geometry {
    /// The items of volumes of `volume` voxels. `boxes` are the bounding boxes of the masks of `roi_list`, in its order.
    ///
    /// # Errors
    /// Names the option at fault: a patch larger than the image, no slice left, a default region that leaves the image.
    pub fn new(mode: &ModeOptions, preprocessing: Preprocessing, volume: [usize; 3], boxes: &[Window]) -> Result<Self, Fault> {
        let layout = match mode {
            ModeOptions::Image => Layout::Image,
            ModeOptions::Patch { patch_size, stride_size, .. } => patches(*patch_size, *stride_size, volume)?,
            ModeOptions::Roi { roi_list: None, uncropped_roi, use_extracted_roi } => {
                hippocampi(preprocessing, volume, *uncropped_roi, *use_extracted_roi)?
            }
            ModeOptions::Roi { roi_list: Some(names), uncropped_roi, .. } => regions(names, *uncropped_roi, volume, boxes)?,
            ModeOptions::Slice { slice_direction, discarded_slices, .. } => slices(*slice_direction, *discarded_slices, volume)?,
        };
        Ok(Geometry { volume, layout })
    }

    /// Sizes of the images.
    pub const fn volume(&self) -> [usize; 3] {
        self.volume
    }

    /// Number of items of each image; at least 1.
    pub fn items(&self) -> usize {
        match &self.layout {
            Layout::Image => 1,
            Layout::Patches { counts, .. } => counts.iter().product(),
            Layout::Regions(windows) => windows.len(),
            Layout::Slices { count, .. } => *count,
        }
    }

    /// Where item `item`, below [`Geometry::items`], lies in the volume; a slice is one voxel thick.
    pub fn window(&self, item: usize) -> Window {
        match &self.layout {
            Layout::Image => Window::whole(self.volume),
            Layout::Patches { size, stride, counts } => {
                let at = [item / (counts[1] * counts[2]), item / counts[2] % counts[1], item % counts[2]];
                Window { start: at.map(|i| i * stride), size: [*size; 3] }
            }
            Layout::Regions(windows) => windows[item],
            Layout::Slices { axis, first, .. } => {
                let mut window = Window::whole(self.volume);
                window.start[*axis] = first + item;
                window.size[*axis] = 1;
                window
            }
        }
    }

    /// The shape of item `item` as the network takes it: channels, then two or three sizes.
    pub fn shape(&self, item: usize) -> Vec<usize> {
        match &self.layout {
            Layout::Slices { .. } => vec![SLICE_CHANNELS, SLICE_SIDE, SLICE_SIDE],
            _ => {
                let [x, y, z] = self.window(item).size;
                vec![1, x, y, z]
            }
        }
    }

    /// Whether all items have one shape, as one network for all of them needs.
    pub fn is_uniform(&self) -> bool {
        match &self.layout {
            Layout::Regions(windows) => windows.iter().all(|window| window.size == windows[0].size),
            Layout::Image | Layout::Patches { .. } | Layout::Slices { .. } => true,
        }
    }

    /// Rows and columns of a slice before the resize; none for other modes.
    pub fn slice_sides(&self) -> Option<[usize; 2]> {
        match &self.layout {
            Layout::Slices { axis, .. } => {
                let [x, y, z] = self.volume;
                Some([[y, z], [x, z], [x, y]][*axis])
            }
            _ => None,
        }
    }

    /// The index along its axis of a slice item; the item's own number for other modes. Extracted files are numbered by it.
    pub fn file_index(&self, item: usize) -> usize {
        match &self.layout {
            Layout::Slices { first, .. } => first + item,
            _ => item,
        }
    }
}

fn patches(size: usize, stride: usize, volume: [usize; 3]) -> Result<Layout, Fault> {
    if size == 0 || stride == 0 {
        return Err(Fault::new("patch_size", "patch_size and stride_size are at least 1"));
    }
    if volume.iter().any(|side| *side < size) {
        let sentence =
            format!("a patch of {size} voxels does not fit the image of {}; choose a smaller patch_size", dimensions(volume));
        return Err(Fault::new("patch_size", sentence));
    }
    Ok(Layout::Patches { size, stride, counts: volume.map(|side| (side - size) / stride + 1) })
}

fn slices(axis: usize, [begin, end]: [usize; 2], volume: [usize; 3]) -> Result<Layout, Fault> {
    let Some(side) = volume.get(axis) else {
        return Err(Fault::new("slice_direction", format!("{axis} is no axis; 0 is sagittal, 1 coronal, 2 axial")));
    };
    match side.checked_sub(begin).and_then(|rest| rest.checked_sub(end)) {
        Some(count) if count > 0 => Ok(Layout::Slices { axis, first: begin, count }),
        _ => {
            let sentence =
                format!("{begin} and {end} discarded slices leave none of the {side} along axis {axis}; discard fewer");
            Err(Fault::new("discarded_slices", sentence))
        }
    }
}

fn hippocampi(preprocessing: Preprocessing, volume: [usize; 3], uncropped: bool, extracted: bool) -> Result<Layout, Fault> {
    for (set, key) in [(uncropped, "uncropped_roi"), (extracted, "use_extracted_roi")] {
        if set {
            return Err(Fault::new(key, format!("{key} needs a roi_list; the default regions are cut from the whole image")));
        }
    }
    if preprocessing != Preprocessing::T1Linear {
        return Err(Fault::new(
            "roi_list",
            format!("the default regions exist for t1-linear only, not for {preprocessing}; give a roi_list"),
        ));
    }
    let half = HIPPOCAMPUS_SIDE / 2;
    let mut windows = Vec::with_capacity(HIPPOCAMPI.len());
    for (name, centre) in HIPPOCAMPI {
        if centre.iter().zip(volume).any(|(c, side)| c + half > side) {
            let sentence = format!("the {name} around {centre:?} leaves the image of {}; give a roi_list", dimensions(volume));
            return Err(Fault::new("roi_list", sentence));
        }
        windows.push(Window { start: centre.map(|c| c - half), size: [HIPPOCAMPUS_SIDE; 3] });
    }
    Ok(Layout::Regions(windows))
}

fn regions(names: &[String], uncropped: bool, volume: [usize; 3], boxes: &[Window]) -> Result<Layout, Fault> {
    if names.is_empty() || boxes.len() != names.len() {
        let sentence = format!("{} masks for {} regions; name at least one region, each with its mask", boxes.len(), names.len());
        return Err(Fault::new("roi_list", sentence));
    }
    for (name, window) in names.iter().zip(boxes) {
        let inside = (0..3).all(|axis| window.start[axis] + window.size[axis] <= volume[axis] && window.size[axis] > 0);
        if !inside {
            return Err(Fault::new(
                "roi_list",
                format!("the mask of region {name:?} leaves the image of {}", dimensions(volume)),
            ));
        }
    }
    Ok(Layout::Regions(if uncropped { vec![Window::whole(volume); names.len()] } else { boxes.to_vec() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const T1: [usize; 3] = [169, 208, 179];

    fn of(mode: &ModeOptions) -> Result<Geometry, Fault> {
        Geometry::new(mode, Preprocessing::T1Linear, T1, &[])
    }

    fn patch(patch_size: usize, stride_size: usize) -> ModeOptions {
        ModeOptions::Patch { patch_size, stride_size, use_extracted_patches: false }
    }

    fn slice(slice_direction: usize, discarded_slices: [usize; 2]) -> ModeOptions {
        ModeOptions::Slice { slice_direction, discarded_slices, use_extracted_slices: false }
    }

    fn roi(names: Option<&[&str]>, uncropped_roi: bool, use_extracted_roi: bool) -> ModeOptions {
        let roi_list = names.map(|names| names.iter().map(|n| (*n).to_string()).collect());
        ModeOptions::Roi { roi_list, uncropped_roi, use_extracted_roi }
    }

    #[test]
    fn sizes_are_written_with_a_cross_between_them() {
        let written = [dimensions([169, 208, 179]), dimensions(vec![3, 224]), dimensions([])];
        assert_eq!(written, ["169 x 208 x 179", "3 x 224", "1"]);
    }

    #[test]
    fn patches_of_50_every_50_voxels_are_36_with_the_last_axis_fastest() {
        let geometry = of(&patch(50, 50)).expect("fits");
        assert_eq!(geometry.items(), 36);
        assert_eq!(geometry.shape(0), [1, 50, 50, 50]);
        assert_eq!(geometry.window(0).start, [0, 0, 0]);
        assert_eq!(geometry.window(1).start, [0, 0, 50]);
        assert_eq!(geometry.window(3).start, [0, 50, 0]);
        assert_eq!(geometry.window(35).start, [100, 150, 100]);
    }

    #[test]
    fn only_whole_windows_are_patches() {
        assert_eq!(of(&patch(169, 1)).expect("fits").items(), 40 * 11);
        assert_eq!(of(&patch(84, 85)).expect("fits").items(), 2 * 2 * 2);
        let fault = of(&patch(170, 1)).expect_err("too large");
        assert!(fault.key == "patch_size" && fault.sentence.contains("169 x 208 x 179"), "{fault}");
    }

    #[test]
    fn slices_are_counted_after_the_discarded_ones() {
        let geometry = of(&slice(1, [20, 10])).expect("leaves slices");
        assert_eq!((geometry.items(), geometry.file_index(0)), (178, 20));
        assert_eq!(geometry.window(0), Window { start: [0, 20, 0], size: [169, 1, 179] });
        assert_eq!(geometry.shape(5), [3, 224, 224]);
        assert_eq!(geometry.slice_sides(), Some([169, 179]));
        assert!(of(&slice(0, [100, 69])).is_err());
        assert!(of(&slice(0, [usize::MAX, usize::MAX])).is_err());
        assert!(of(&slice(3, [0, 0])).is_err());
    }

    #[test]
    fn the_default_regions_are_cubes_around_the_hippocampi_right_first() {
        let geometry = of(&roi(None, false, false)).expect("fits");
        assert_eq!(geometry.items(), 2);
        assert_eq!(geometry.window(0), Window { start: [84, 71, 43], size: [50; 3] });
        assert_eq!(geometry.window(1), Window { start: [36, 71, 43], size: [50; 3] });
    }

    #[test]
    fn default_regions_refuse_what_needs_a_list_and_images_that_are_too_small() {
        assert_eq!(of(&roi(None, true, false)).expect_err("refused").key, "uncropped_roi");
        assert_eq!(of(&roi(None, false, true)).expect_err("refused").key, "use_extracted_roi");
        let refused = |preprocessing, volume| Geometry::new(&roi(None, false, false), preprocessing, volume, &[]);
        assert!(refused(Preprocessing::T1Volume, T1).is_err());
        assert!(refused(Preprocessing::T1Linear, [133, 208, 179]).is_err());
        assert!(refused(Preprocessing::T1Linear, [134, 121, 93]).is_ok());
    }

    #[test]
    fn listed_regions_take_their_masks_boxes_or_the_whole_image() {
        let boxes = [Window { start: [1, 2, 3], size: [4, 5, 6] }, Window { start: [0; 3], size: [7, 5, 6] }];
        let geometry =
            |uncropped| Geometry::new(&roi(Some(&["a", "b"]), uncropped, false), Preprocessing::T1Volume, [9; 3], &boxes);
        let cropped = geometry(false).expect("fits");
        assert_eq!((cropped.shape(0), cropped.shape(1)), (vec![1, 4, 5, 6], vec![1, 7, 5, 6]));
        assert!(!cropped.is_uniform());
        let whole = geometry(true).expect("fits");
        assert_eq!(whole.shape(1), [1, 9, 9, 9]);
        assert!(whole.is_uniform());
        assert!(Geometry::new(&roi(Some(&["a"]), false, false), Preprocessing::T1Volume, [4; 3], &boxes[..1]).is_err());
        assert!(Geometry::new(&roi(Some(&[]), false, false), Preprocessing::T1Volume, [4; 3], &[]).is_err());
    }
}
