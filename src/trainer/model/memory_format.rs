//! Channels-last strides, which libtorch's convolutions and pools run fastest on, made with permutations.

use tch::{TchError, Tensor};

/// The same values with the channels innermost in memory; the same tensor where they already are.
///
/// `x` is N x C x sizes, with two or three sizes.
pub fn channels_last(x: &Tensor) -> Result<Tensor, TchError> {
    let size = x.size();
    let (there, back): (&[i64], &[i64]) = match size.len() {
        4 => (&[0, 2, 3, 1], &[0, 3, 1, 2]),
        _ => (&[0, 2, 3, 4, 1], &[0, 4, 1, 2, 3]),
    };
    if is_channels_last(&size, &x.stride()) {
        return Ok(x.shallow_clone());
    }
    if size[1] == 1 {
        // In memory both are the same, but libtorch tells them apart by the stride of the channel.
        let moved: Vec<i64> = there.iter().map(|axis| size[*axis as usize]).collect();
        return x.f_contiguous()?.f_view(&*moved)?.f_permute(back);
    }
    x.f_permute(there)?.f_contiguous()?.f_permute(back)
}

fn is_channels_last(size: &[i64], stride: &[i64]) -> bool {
    let mut expected = size[1];
    for axis in (2..size.len()).rev() {
        if stride[axis] != expected && size[axis] != 1 {
            return false;
        }
        expected *= size[axis];
    }
    stride[1] == 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Kind};

    #[test]
    fn the_values_stay_and_the_channels_become_innermost() {
        for size in [vec![2, 3, 4, 5], vec![2, 3, 4, 5, 6], vec![2, 1, 4, 5, 6], vec![1, 1, 4, 5], vec![1, 2, 1, 1, 1]] {
            let x = Tensor::rand(&size, (Kind::Float, Device::Cpu));
            let y = channels_last(&x).expect("permutes");
            assert_eq!(y.size(), x.size());
            assert_eq!(y.stride()[1], 1);
            assert!(y.equal(&x));
            assert_eq!(channels_last(&y).expect("permutes").data_ptr(), y.data_ptr(), "no second copy");
        }
    }
}
