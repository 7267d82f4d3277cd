//! In how many bits a GPU multiplies, as the configuration, the trainer's environment and its records spell it.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Results depend on it, so a job keeps the one that it began with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 24 bits of mantissa throughout, as the reference computes.
    #[default]
    Fp32,
    /// A GPU's convolutions and products round what they multiply to 11 bits; the processor knows no such thing.
    Tf32,
    /// Convolutions and products in bfloat16, 8 bits, where libtorch's autocast holds that sound; losses and sums stay in f32.
    Bf16,
}

/// No precision is called so.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no precision: it is fp32, tf32 or bf16")]
pub struct BadPrecision(String);

impl Precision {
    pub const ALL: [Precision; 3] = [Precision::Fp32, Precision::Tf32, Precision::Bf16];

    pub const fn as_str(self) -> &'static str {
        match self {
            Precision::Fp32 => "fp32",
            Precision::Tf32 => "tf32",
            Precision::Bf16 => "bf16",
        }
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Precision {
    type Err = BadPrecision;

    fn from_str(word: &str) -> Result<Self, BadPrecision> {
        Precision::ALL.into_iter().find(|precision| precision.as_str() == word).ok_or_else(|| BadPrecision(word.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_precision_is_read_as_it_is_written_and_nothing_else_is_one() {
        for precision in Precision::ALL {
            assert_eq!(precision.to_string().parse(), Ok(precision));
            assert_eq!(serde_json::to_value(precision).expect("JSON"), precision.as_str());
        }
        assert_eq!(Precision::default(), Precision::Fp32);
        assert!("fp16".parse::<Precision>().expect_err("unknown").to_string().contains("fp32, tf32 or bf16"));
    }
}
