//! The words of closed lists that the files use: modes, network types, pipelines, diagnoses and the like.

/// One word of a closed list, as the files spell it.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name { $($(#[$variant_doc])* $variant),+ }

        impl $name {
            /// Every word, in the order in which an error lists them.
            pub const ALL: &'static [$name] = &[$($name::$variant),+];

            /// The same as text.
            pub const WORDS: &'static [&'static str] = &[$($word),+];

            pub const fn as_str(self) -> &'static str {
                match self { $($name::$variant => $word),+ }
            }

            pub fn from_word(word: &str) -> Option<Self> {
                match word { $($word => Some($name::$variant),)+ _ => None }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

words!(
    /// What one item of the data set is.
    Mode { Image = "image", Patch = "patch", Roi = "roi", Slice = "slice" }
);
words!(
    /// What is trained on the items.
    NetworkType { Autoencoder = "autoencoder", Cnn = "cnn", MultiCnn = "multicnn" }
);
words!(
    /// The pipeline whose outputs are read from the CAPS.
    Preprocessing { T1Linear = "t1-linear", T1Extensive = "t1-extensive", T1Volume = "t1-volume" }
);
words!(
    /// A label: the name of a TSV file and a value of the `diagnosis` column.
    Diagnosis { Ad = "AD", Cn = "CN", Mci = "MCI", SMci = "sMCI", PMci = "pMCI", Bv = "BV" }
);
words!(
    /// How the last convolution of a block halves its input.
    Reduction { MaxPooling = "MaxPooling", Stride = "stride" }
);
words!(
    /// What follows each convolution.
    Normalization { Batch = "BatchNorm", Instance = "InstanceNorm" }
);
words!(
    /// A transform of training items; `None` does nothing.
    Augmentation { None = "None", Noise = "Noise", Erasing = "Erasing", CropPad = "CropPad", Smoothing = "Smoothing" }
);
words!(
    /// How an epoch goes through the training set.
    SamplerKind { Random = "random", Weighted = "weighted" }
);
words!(
    /// Which of a fold's two best models.
    Selection { BestLoss = "best_loss", BestBalancedAccuracy = "best_balanced_accuracy" }
);

impl Diagnosis {
    /// The class that is learned: CN and sMCI are 0, the others 1.
    pub const fn class(self) -> usize {
        match self {
            Diagnosis::Cn | Diagnosis::SMci => 0,
            Diagnosis::Ad | Diagnosis::Bv | Diagnosis::Mci | Diagnosis::PMci => 1,
        }
    }
}
