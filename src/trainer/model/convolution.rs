//! Safe Rust over `convolution.cpp`: convolutions of kernel 3 and padding 1, whose gradients cost no more than they must.

use crate::shim::{succeeded, take};
use std::ffi::{c_char, c_void};
use tch::{TchError, Tensor};

unsafe extern "C" {
    fn neurosearch_thin_convolution(
        x: *const c_void,
        weight: *const c_void,
        bias: *const c_void,
        output: *mut *mut c_void,
    ) -> *mut c_char;
    fn neurosearch_solid_convolution(
        x: *const c_void,
        weight: *const c_void,
        bias: *const c_void,
        stride: i64,
        output_padding: *const i64,
        most: i64,
        output: *mut *mut c_void,
    ) -> *mut c_char;
}

/// Bytes of columns that a weight's gradient makes at once on a GPU, unless those of one channel are more.
const COLUMNS: i64 = 512 << 20;

/// A convolution, or a transposed one if an output padding by axis is given.
///
/// `weight` is out x in x 3 x 3 (x 3), or in x out x 3 x 3 (x 3) for a transposed one.
pub fn convolution(
    x: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    stride: i64,
    output_padding: Option<&[i64]>,
) -> Result<Tensor, TchError> {
    let axes = x.dim() - 2;
    match (x.device().is_cuda(), axes) {
        (true, 3) => solid(x, weight, bias, stride, output_padding, COLUMNS),
        (false, _) if x.size()[1] == 1 && stride == 1 && output_padding.is_none() => thin(x, weight, bias),
        _ => {
            let (one, zero) = (vec![1; axes], vec![0; axes]);
            let padding = output_padding.unwrap_or(&zero);
            x.f_convolution(weight, Some(bias), vec![stride; axes], &*one, &*one, output_padding.is_some(), padding, 1)
        }
    }
}

fn thin(x: &Tensor, weight: &Tensor, bias: &Tensor) -> Result<Tensor, TchError> {
    let mut output = std::ptr::null_mut();
    // SAFETY: the pointers are to live at::Tensor objects, and the output is set to a new one wherever no text comes back.
    unsafe {
        let message =
            neurosearch_thin_convolution(x.as_ptr().cast(), weight.as_ptr().cast(), bias.as_ptr().cast(), &raw mut output);
        succeeded(take(message))?;
        Ok(Tensor::from_ptr(output.cast()))
    }
}

/// In three dimensions; `most` bytes of columns at once for the weight's gradient.
fn solid(
    x: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    stride: i64,
    output_padding: Option<&[i64]>,
    most: i64,
) -> Result<Tensor, TchError> {
    let padding = match output_padding {
        Some([_, _, _]) | None => output_padding.map_or(std::ptr::null(), <[i64]>::as_ptr),
        Some(other) => return Err(TchError::Shape(format!("{} output paddings for three axes", other.len()))),
    };
    let mut output = std::ptr::null_mut();
    // SAFETY: as above; the paddings are null or three numbers that outlive the call.
    unsafe {
        let (x, weight, bias) = (x.as_ptr().cast(), weight.as_ptr().cast(), bias.as_ptr().cast());
        succeeded(take(neurosearch_solid_convolution(x, weight, bias, stride, padding, most, &raw mut output)))?;
        Ok(Tensor::from_ptr(output.cast()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Kind};

    /// Output, and gradients of input, weight and bias, of a convolution of these channels on items of these sizes.
    fn passed(
        channels: [i64; 2],
        sizes: &[i64],
        is_transposed: bool,
        convolve: impl Fn(&Tensor, &Tensor, &Tensor) -> Result<Tensor, TchError>,
    ) -> Vec<Tensor> {
        // Not from libtorch's generator, which the tests beside this one draw from too.
        let mixed = |count: i64| (Tensor::arange(count, (Kind::Double, Device::Cpu)) * 12.9898).sin();
        let random = |size: &[i64]| mixed(size.iter().product()).view(size).set_requires_grad(true);
        let [from, to] = channels;
        let x = random(&[&[2, from], sizes].concat());
        let ends = if is_transposed { [from, to] } else { [to, from] };
        let weight = random(&[&ends, vec![3; sizes.len()].as_slice()].concat());
        let bias = random(&[to]);
        let y = convolve(&x, &weight, &bias).expect("convolves");
        (&y * y.detach().sin()).sum(Kind::Double).backward();
        vec![y.detach(), x.grad(), weight.grad(), bias.grad()]
    }

    fn assert_same(ours: &[Tensor], theirs: &[Tensor], what: &str) {
        for (index, (a, b)) in ours.iter().zip(theirs).enumerate() {
            assert_eq!(a.size(), b.size(), "{what}, {index}");
            let distance = (a - b).abs().max().double_value(&[]) / b.abs().max().double_value(&[]);
            assert!(distance < 1e-11, "{what}, {index}: {distance}");
        }
    }

    fn libtorchs(stride: i64, padding: Option<Vec<i64>>) -> impl Fn(&Tensor, &Tensor, &Tensor) -> Result<Tensor, TchError> {
        move |x, weight, bias| {
            let axes = x.dim() - 2;
            let (one, zero) = (vec![1; axes], vec![0; axes]);
            let output_padding = padding.as_ref().unwrap_or(&zero);
            x.f_convolution(weight, Some(bias), vec![stride; axes], &*one, &*one, padding.is_some(), output_padding, 1)
        }
    }

    /// What a GPU computes, on the CPU and in double precision, where libtorch's own gradients are exact enough to tell.
    #[test]
    fn the_gradients_are_libtorchs_for_every_way_they_are_computed() {
        // The last has enough voxels that the kernel is turned round.
        let shapes: [([i64; 2], &[i64], i64); 5] = [
            ([1, 3], &[6, 7, 5], 1),
            ([5, 2], &[6, 7, 5], 2),
            ([4, 4], &[7, 5, 6], 1),
            ([1, 1], &[65, 64, 64], 1),
            ([2, 3], &[65, 64, 64], 1),
        ];
        for (channels, sizes, stride) in shapes {
            let theirs = passed(channels, sizes, false, libtorchs(stride, None));
            // All channels at once, two, and one after the other.
            for most in [i64::MAX, 2 * 27 * 8 * sizes.iter().product::<i64>() / stride.pow(3), 1] {
                let ours = passed(channels, sizes, false, |x, w, b| solid(x, w, b, stride, None, most));
                assert_same(&ours, &theirs, &format!("{channels:?} {sizes:?} stride {stride}, {most} bytes"));
            }
        }
    }

    #[test]
    fn those_of_a_transposed_convolution_are_too() {
        for (channels, stride, padding) in [([4, 3], 2, vec![1, 0, 1]), ([3, 1], 2, vec![0, 0, 0]), ([2, 5], 1, vec![0, 0, 0])] {
            let theirs = passed(channels, &[4, 3, 5], true, libtorchs(stride, Some(padding.clone())));
            for most in [i64::MAX, 1] {
                let ours = passed(channels, &[4, 3, 5], true, |x, w, b| solid(x, w, b, stride, Some(&padding), most));
                assert_same(&ours, &theirs, &format!("{channels:?} stride {stride} {padding:?}"));
            }
        }
    }

    #[test]
    fn a_single_channels_gradients_are_libtorchs_in_two_and_three_dimensions() {
        for sizes in [&[9, 8][..], &[5, 6, 7]] {
            let theirs = passed([1, 3], sizes, false, libtorchs(1, None));
            assert_same(&passed([1, 3], sizes, false, thin), &theirs, &format!("{sizes:?}"));
        }
    }

    #[test]
    fn a_wrong_number_of_paddings_is_refused() {
        let [x, w, b] =
            [&[1, 1, 4, 4, 4][..], &[1, 1, 3, 3, 3], &[1]].map(|size| Tensor::zeros(size, (Kind::Float, Device::Cpu)));
        assert!(solid(&x, &w, &b, 1, Some(&[0, 0]), 1).expect_err("refused").to_string().contains("2 output paddings"));
    }
}
