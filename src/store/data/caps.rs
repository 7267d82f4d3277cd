//! Where everything lies in a CAPS: volumes, tensors, extracted items and masks, as functions of names and numbers.

use crate::domain::words::Preprocessing;
use std::path::{Path, PathBuf};

/// A CAPS directory, seen through one preprocessing pipeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caps {
    root: PathBuf,
    preprocessing: Preprocessing,
}

/// One session of one participant, by plain names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CapsSession<'a> {
    pub participant: &'a str,
    pub session: &'a str,
}

/// What the name of an image begins with, before the entities of its space. Everything made from the image begins so, too.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ImagePrefix(String);

/// How the outputs of t1-linear and the masks are named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Names {
    /// As Clinica 0.7.6 (September 2023), ClinicaDL 1.0 and all later ones name them.
    #[default]
    Today,
    /// As Clinica up to 0.7.5 and ClinicaDL 0.2.2 name them.
    Old,
}

/// Where a file of an image may lie: in `folder`, under a name that is the image's prefix and then `ending`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageFile {
    folder: PathBuf,
    ending: String,
}

impl ImageFile {
    /// The folder, which holds the files of one session.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The file of the image that begins with `prefix`.
    pub fn of(&self, prefix: &ImagePrefix) -> PathBuf {
        self.folder.join(format!("{}{}", prefix.0, self.ending))
    }

    /// The prefix of a file that lies in the folder, if it is such a file of this participant's.
    pub fn prefix(&self, participant: &str, name: &str) -> Option<ImagePrefix> {
        let prefix = name.strip_suffix(&self.ending)?;
        prefix.strip_prefix(participant)?.starts_with('_').then(|| ImagePrefix(prefix.to_string()))
    }
}

impl ImagePrefix {
    /// What the names of this image's extracted regions begin with, by ClinicaDL: three parts if the third is `T1w`, else two.
    #[must_use]
    pub fn of_regions(&self) -> Self {
        let parts: Vec<&str> = self.0.split('_').collect();
        let kept = if parts.get(2) == Some(&"T1w") { 3 } else { 2 };
        ImagePrefix(parts[..kept.min(parts.len())].join("_"))
    }
}

const SPACE: &str = "_space-MNI152NLin2009cSym";

/// What ends the name of a NIfTI volume.
const NIFTI: [&str; 2] = [".nii.gz", ".nii"];

impl Caps {
    pub fn new(root: impl Into<PathBuf>, preprocessing: Preprocessing) -> Self {
        Caps { root: root.into(), preprocessing }
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    pub const fn preprocessing(&self) -> Preprocessing {
        self.preprocessing
    }

    /// The folder of the pipeline's outputs.
    const fn folder(&self) -> &'static str {
        match self.preprocessing {
            Preprocessing::T1Linear => "t1_linear",
            Preprocessing::T1Extensive => "t1_extensive",
            Preprocessing::T1Volume => "custom",
        }
    }

    /// The directory of all participants.
    pub fn subjects(&self) -> PathBuf {
        self.root.join("subjects")
    }

    /// The folder of a session.
    pub fn session(&self, at: CapsSession<'_>) -> PathBuf {
        self.subjects().join(at.participant).join(at.session)
    }

    /// What an image begins with under these names.
    pub fn prefix(&self, at: CapsSession<'_>, names: Names) -> ImagePrefix {
        let CapsSession { participant, session } = at;
        let with_suffix = match self.preprocessing {
            Preprocessing::T1Linear => names == Names::Old,
            Preprocessing::T1Extensive => false,
            Preprocessing::T1Volume => true,
        };
        ImagePrefix(format!("{participant}_{session}{}", if with_suffix { "_T1w" } else { "" }))
    }

    /// What an image may begin with, in the order in which they are tried. Images of t1-linear may have further entities.
    pub fn prefixes(&self, at: CapsSession<'_>) -> Vec<ImagePrefix> {
        match self.preprocessing {
            Preprocessing::T1Linear => [Names::Old, Names::Today].map(|names| self.prefix(at, names)).to_vec(),
            Preprocessing::T1Extensive | Preprocessing::T1Volume => vec![self.prefix(at, Names::default())],
        }
    }

    /// The end of an image's name, without the file's suffix.
    const fn image_ending(&self) -> &'static str {
        match self.preprocessing {
            Preprocessing::T1Linear => "_space-MNI152NLin2009cSym_desc-Crop_res-1x1x1_T1w",
            Preprocessing::T1Extensive => "_space-Ixi549Space_desc-skullstripped_T1w",
            Preprocessing::T1Volume => "_segm-graymatter_space-Ixi549Space_modulated-off_probability",
        }
    }

    /// The NIfTI volume, the likeliest place first; only t1-linear has one here, the other pipelines have tensors alone.
    pub fn nifti(&self, at: CapsSession<'_>) -> Vec<ImageFile> {
        if self.preprocessing != Preprocessing::T1Linear {
            return Vec::new();
        }
        let folder = self.session(at).join(self.folder());
        NIFTI.map(|suffix| ImageFile { folder: folder.clone(), ending: format!("{}{suffix}", self.image_ending()) }).to_vec()
    }

    fn prepared(&self, at: CapsSession<'_>, based: &str, ending: String) -> ImageFile {
        let folder = self.session(at).join("deeplearning_prepare_data").join(based).join(self.folder());
        ImageFile { folder, ending }
    }

    /// The tensor of the whole image: 1 x X x Y x Z.
    pub fn tensor(&self, at: CapsSession<'_>) -> ImageFile {
        self.prepared(at, "image_based", format!("{}.pt", self.image_ending()))
    }

    /// An extracted patch: 1 x N x N x N. Of t1-linear only, as all extracted items.
    pub fn patch(&self, at: CapsSession<'_>, size: usize, stride: usize, index: usize) -> ImageFile {
        let item = format!("patchsize-{size}_stride-{stride}_patch-{index}");
        self.prepared(at, "patch_based", format!("{SPACE}_desc-Crop_res-1x1x1_{item}_T1w.pt"))
    }

    /// An extracted slice: 3 x rows x columns (`rgb`), or 1 x rows x columns (`single`). `index` counts from the image's first
    /// slice along `axis` (0 to 2).
    pub fn slice(&self, at: CapsSession<'_>, axis: usize, channel: SliceChannel, index: usize) -> ImageFile {
        let axis = ["sag", "cor", "axi"].get(axis).copied().unwrap_or("none");
        let item = format!("axis-{axis}_channel-{}_slice-{index}", channel.word());
        self.prepared(at, "slice_based", format!("{SPACE}_desc-Crop_res-1x1x1_{item}_T1w.pt"))
    }

    /// An extracted region, cropped to its mask's box or as large as the image.
    pub fn roi(&self, at: CapsSession<'_>, region: &str, uncropped: bool) -> ImageFile {
        let crop = if uncropped { "CropImage" } else { "CropRoi" };
        self.prepared(at, "roi_based", format!("{SPACE}_desc-{crop}_res-1x1x1_roi-{region}_T1w.pt"))
    }

    /// Whether images may have further entities in their names, such as `acq-` and `run-`.
    pub fn has_free_names(&self) -> bool {
        self.preprocessing == Preprocessing::T1Linear
    }

    /// The mask of a region, in the space of this pipeline's images.
    pub fn mask(&self, region: &str, names: Names) -> PathBuf {
        let (template, middle) = match self.preprocessing {
            Preprocessing::T1Linear => ("tpl-MNI152NLin2009cSym", "_desc-Crop_res-1x1x1"),
            Preprocessing::T1Extensive | Preprocessing::T1Volume => ("tpl-Ixi549Space", ""),
        };
        let masks = self.root.join("masks");
        let folder = if names == Names::Old { masks.join("roi_based") } else { masks };
        folder.join(template).join(format!("{template}{middle}_roi-{region}_mask{}", NIFTI[0]))
    }
}

/// What an extracted slice holds: the same values three times, or once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SliceChannel {
    Rgb,
    Single,
}

impl SliceChannel {
    /// The likeliest first.
    pub const ALL: [SliceChannel; 2] = [SliceChannel::Rgb, SliceChannel::Single];

    const fn word(self) -> &'static str {
        match self {
            SliceChannel::Rgb => "rgb",
            SliceChannel::Single => "single",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: CapsSession<'static> = CapsSession { participant: "sub-1", session: "ses-M00" };

    fn relative(preprocessing: Preprocessing, path: impl Fn(&Caps) -> PathBuf) -> String {
        path(&Caps::new("", preprocessing)).display().to_string()
    }

    #[test]
    fn t1_linear_lies_where_clinica_puts_it() {
        for (names, entities) in [(Names::Old, "_T1w"), (Names::Today, "")] {
            let of = |file: &dyn Fn(&Caps) -> ImageFile| {
                relative(Preprocessing::T1Linear, |caps| file(caps).of(&caps.prefix(AT, names)))
            };
            let session = "subjects/sub-1/ses-M00";
            let name = format!("sub-1_ses-M00{entities}_space-MNI152NLin2009cSym_desc-Crop_res-1x1x1");
            let prepared = format!("{session}/deeplearning_prepare_data");
            assert_eq!(of(&|c| c.nifti(AT)[0].clone()), format!("{session}/t1_linear/{name}_T1w.nii.gz"));
            assert_eq!(of(&|c| c.nifti(AT)[1].clone()), format!("{session}/t1_linear/{name}_T1w.nii"));
            assert_eq!(of(&|c| c.tensor(AT)), format!("{prepared}/image_based/t1_linear/{name}_T1w.pt"));
            assert_eq!(
                of(&|c| c.patch(AT, 50, 25, 7)),
                format!("{prepared}/patch_based/t1_linear/{name}_patchsize-50_stride-25_patch-7_T1w.pt")
            );
            for (axis, word) in ["sag", "cor", "axi"].iter().enumerate() {
                let expected = format!("{prepared}/slice_based/t1_linear/{name}_axis-{word}_channel-rgb_slice-20_T1w.pt");
                assert_eq!(of(&|c| c.slice(AT, axis, SliceChannel::Rgb, 20)), expected);
                let single = expected.replace("rgb", "single");
                assert_eq!(of(&|c| c.slice(AT, axis, SliceChannel::Single, 20)), single);
            }
            let roi = format!("sub-1_ses-M00{entities}_space-MNI152NLin2009cSym");
            assert_eq!(
                of(&|c| c.roi(AT, "left", false)),
                format!("{prepared}/roi_based/t1_linear/{roi}_desc-CropRoi_res-1x1x1_roi-left_T1w.pt")
            );
            assert!(of(&|c| c.roi(AT, "left", true)).ends_with(&format!("{roi}_desc-CropImage_res-1x1x1_roi-left_T1w.pt")));
        }
        for (names, folder) in [(Names::Old, "masks/roi_based"), (Names::Today, "masks")] {
            assert_eq!(
                relative(Preprocessing::T1Linear, |c| c.mask("left", names)),
                format!("{folder}/tpl-MNI152NLin2009cSym/tpl-MNI152NLin2009cSym_desc-Crop_res-1x1x1_roi-left_mask.nii.gz")
            );
        }
    }

    #[test]
    fn the_other_pipelines_have_tensors_and_masks_of_their_own_space() {
        let prepared = "subjects/sub-1/ses-M00/deeplearning_prepare_data/image_based";
        let tensor = |preprocessing| relative(preprocessing, |c| c.tensor(AT).of(&c.prefixes(AT)[0]));
        assert_eq!(
            tensor(Preprocessing::T1Extensive),
            format!("{prepared}/t1_extensive/sub-1_ses-M00_space-Ixi549Space_desc-skullstripped_T1w.pt")
        );
        assert_eq!(
            tensor(Preprocessing::T1Volume),
            format!("{prepared}/custom/sub-1_ses-M00_T1w_segm-graymatter_space-Ixi549Space_modulated-off_probability.pt")
        );
        for other in [Preprocessing::T1Extensive, Preprocessing::T1Volume] {
            assert_eq!(
                relative(other, |c| c.mask("r", Names::Old)),
                "masks/roi_based/tpl-Ixi549Space/tpl-Ixi549Space_roi-r_mask.nii.gz"
            );
            assert_eq!(Caps::new("", other).nifti(AT), []);
        }
    }

    #[test]
    fn the_regions_of_an_image_keep_two_parts_of_its_name_or_three() {
        for (image, regions) in [
            ("sub-1_ses-M00_T1w", "sub-1_ses-M00_T1w"),
            ("sub-1_ses-M00", "sub-1_ses-M00"),
            ("sub-1_ses-M00_run-01", "sub-1_ses-M00"),
            ("sub-1_ses-M00_acq-a_run-01_T1w", "sub-1_ses-M00"),
            ("sub-1_ses-", "sub-1_ses-"),
        ] {
            assert_eq!(ImagePrefix(image.to_string()).of_regions().0, regions, "{image}");
        }
    }

    #[test]
    fn a_prefix_is_the_participants_whatever_entities_follow() {
        let file = Caps::new("", Preprocessing::T1Linear).tensor(AT);
        let end = "_space-MNI152NLin2009cSym_desc-Crop_res-1x1x1_T1w.pt";
        for (prefix, is_one) in [
            ("sub-1_ses-M00", true),
            ("sub-1_ses-M00_acq-mprage_run-01_T1w", true),
            ("sub-1_ses-", true),
            ("sub-10_ses-M00", false),
            ("sub-2_ses-M00", false),
            ("", false),
        ] {
            assert_eq!(file.prefix("sub-1", &format!("{prefix}{end}")).is_some(), is_one, "{prefix}");
        }
        assert_eq!(file.prefix("sub-1", "sub-1_ses-M00_space-MNI152NLin2009cSym_res-1x1x1_T1w.pt"), None);
    }
}
