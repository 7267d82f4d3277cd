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

const SPACE: &str = "space-MNI152NLin2009cSym";

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

    fn session(&self, at: CapsSession<'_>) -> PathBuf {
        self.subjects().join(at.participant).join(at.session)
    }

    /// Name of an image without its suffix.
    fn image_name(&self, CapsSession { participant, session }: CapsSession<'_>) -> String {
        match self.preprocessing {
            Preprocessing::T1Linear => format!("{participant}_{session}_T1w_{SPACE}_desc-Crop_res-1x1x1_T1w"),
            Preprocessing::T1Extensive => format!("{participant}_{session}_space-Ixi549Space_desc-skullstripped_T1w"),
            Preprocessing::T1Volume => {
                format!("{participant}_{session}_T1w_segm-graymatter_space-Ixi549Space_modulated-off_probability")
            }
        }
    }

    /// The NIfTI volume; only t1-linear has one here, the other pipelines have tensors alone.
    pub fn nifti(&self, at: CapsSession<'_>) -> Option<PathBuf> {
        match self.preprocessing {
            Preprocessing::T1Linear => Some(self.session(at).join("t1_linear").join(format!("{}.nii.gz", self.image_name(at)))),
            Preprocessing::T1Extensive | Preprocessing::T1Volume => None,
        }
    }

    fn prepared(&self, at: CapsSession<'_>, based: &str, name: String) -> PathBuf {
        self.session(at).join("deeplearning_prepare_data").join(based).join(self.folder()).join(name)
    }

    /// The tensor of the whole image: 1 x X x Y x Z.
    pub fn tensor(&self, at: CapsSession<'_>) -> PathBuf {
        self.prepared(at, "image_based", format!("{}.pt", self.image_name(at)))
    }

    /// An extracted patch: 1 x N x N x N. Of t1-linear only, as all extracted items.
    pub fn patch(&self, at: CapsSession<'_>, size: usize, stride: usize, index: usize) -> PathBuf {
        let CapsSession { participant, session } = at;
        let name = format!(
            "{participant}_{session}_T1w_{SPACE}_desc-Crop_res-1x1x1_patchsize-{size}_stride-{stride}_patch-{index}_T1w.pt"
        );
        self.prepared(at, "patch_based", name)
    }

    /// An extracted slice: 3 x rows x columns, `index` counted from the image's first slice along `axis` (0 to 2).
    pub fn slice(&self, at: CapsSession<'_>, axis: usize, index: usize) -> PathBuf {
        let CapsSession { participant, session } = at;
        let axis = ["sag", "cor", "axi"].get(axis).copied().unwrap_or("none");
        let name =
            format!("{participant}_{session}_T1w_{SPACE}_desc-Crop_res-1x1x1_axis-{axis}_channel-rgb_slice-{index}_T1w.pt");
        self.prepared(at, "slice_based", name)
    }

    /// An extracted region, cropped to its mask's box or as large as the image.
    pub fn roi(&self, at: CapsSession<'_>, region: &str, uncropped: bool) -> PathBuf {
        let CapsSession { participant, session } = at;
        let crop = if uncropped { "CropImage" } else { "CropRoi" };
        self.prepared(at, "roi_based", format!("{participant}_{session}_T1w_{SPACE}_desc-{crop}_res-1x1x1_roi-{region}_T1w.pt"))
    }

    /// The mask of a region, in the space of this pipeline's images.
    pub fn mask(&self, region: &str) -> PathBuf {
        let (template, middle) = match self.preprocessing {
            Preprocessing::T1Linear => ("tpl-MNI152NLin2009cSym", "_desc-Crop_res-1x1x1"),
            Preprocessing::T1Extensive | Preprocessing::T1Volume => ("tpl-Ixi549Space", ""),
        };
        let name = format!("{template}{middle}_roi-{region}_mask.nii.gz");
        self.root.join("masks").join("roi_based").join(template).join(name)
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
        let of = |path: &dyn Fn(&Caps) -> PathBuf| relative(Preprocessing::T1Linear, path);
        let session = "subjects/sub-1/ses-M00";
        let name = "sub-1_ses-M00_T1w_space-MNI152NLin2009cSym_desc-Crop_res-1x1x1";
        let prepared = format!("{session}/deeplearning_prepare_data");
        assert_eq!(of(&|c| c.nifti(AT).expect("has one")), format!("{session}/t1_linear/{name}_T1w.nii.gz"));
        assert_eq!(of(&|c| c.tensor(AT)), format!("{prepared}/image_based/t1_linear/{name}_T1w.pt"));
        assert_eq!(
            of(&|c| c.patch(AT, 50, 25, 7)),
            format!("{prepared}/patch_based/t1_linear/{name}_patchsize-50_stride-25_patch-7_T1w.pt")
        );
        for (axis, word) in ["sag", "cor", "axi"].iter().enumerate() {
            let expected = format!("{prepared}/slice_based/t1_linear/{name}_axis-{word}_channel-rgb_slice-20_T1w.pt");
            assert_eq!(of(&|c| c.slice(AT, axis, 20)), expected);
        }
        let roi = "sub-1_ses-M00_T1w_space-MNI152NLin2009cSym";
        assert_eq!(
            of(&|c| c.roi(AT, "left", false)),
            format!("{prepared}/roi_based/t1_linear/{roi}_desc-CropRoi_res-1x1x1_roi-left_T1w.pt")
        );
        assert!(of(&|c| c.roi(AT, "left", true)).ends_with(&format!("{roi}_desc-CropImage_res-1x1x1_roi-left_T1w.pt")));
        let template = "masks/roi_based/tpl-MNI152NLin2009cSym/tpl-MNI152NLin2009cSym";
        assert_eq!(of(&|c| c.mask("left")), format!("{template}_desc-Crop_res-1x1x1_roi-left_mask.nii.gz"));
    }

    #[test]
    fn the_other_pipelines_have_tensors_and_masks_of_their_own_space() {
        let prepared = "subjects/sub-1/ses-M00/deeplearning_prepare_data/image_based";
        assert_eq!(
            relative(Preprocessing::T1Extensive, |c| c.tensor(AT)),
            format!("{prepared}/t1_extensive/sub-1_ses-M00_space-Ixi549Space_desc-skullstripped_T1w.pt")
        );
        assert_eq!(
            relative(Preprocessing::T1Volume, |c| c.tensor(AT)),
            format!("{prepared}/custom/sub-1_ses-M00_T1w_segm-graymatter_space-Ixi549Space_modulated-off_probability.pt")
        );
        for other in [Preprocessing::T1Extensive, Preprocessing::T1Volume] {
            assert_eq!(relative(other, |c| c.mask("r")), "masks/roi_based/tpl-Ixi549Space/tpl-Ixi549Space_roi-r_mask.nii.gz");
            assert_eq!(Caps::new("", other).nifti(AT), None);
        }
    }
}
