//! Channels-last strides, which libtorch's convolutions and pools run fastest on, made with permutations.

use tch::{TchError, Tensor};

/// The same values with the channels innermost in memory; the same tensor where they already are.
///
/// `x` is N x C x sizes, with two or three sizes.
pub fn channels_last(x: &Tensor) -> Result<Tensor, TchError> {
    let (there, back): (&[i64], &[i64]) = match x.dim() {
        4 => (&[0, 2, 3, 1], &[0, 3, 1, 2]),
        _ => (&[0, 2, 3, 4, 1], &[0, 4, 1, 2, 3]),
    };
    if is_channels_last(x) {
        return Ok(x.shallow_clone());
    }
    x.f_permute(there)?.f_contiguous()?.f_permute(back)
}

/// Whether the strides already are those of channels-last, which for one channel differ from the plain ones by name alone.
fn is_channels_last(x: &Tensor) -> bool {
    let (size, stride) = (x.size(), x.stride());
    let channels = size[1];
    let mut expected = channels;
    for axis in (2..size.len()).rev() {
        if stride[axis] != expected && size[axis] != 1 {
            return false;
        }
        expected *= size[axis];
    }
    stride[1] == 1 || channels == 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Kind};

    #[test]
    fn the_values_stay_and_the_channels_become_innermost() {
        for size in [vec![2, 3, 4, 5], vec![2, 3, 4, 5, 6]] {
            let x = Tensor::rand(&size, (Kind::Float, Device::Cpu));
            let y = channels_last(&x).expect("permutes");
            assert_eq!(y.size(), x.size());
            assert_eq!(y.stride()[1], 1);
            assert!(y.equal(&x));
            assert_eq!(channels_last(&y).expect("permutes").data_ptr(), y.data_ptr(), "no second copy");
        }
    }
}
