//! Safe Rust over `shim.cpp`: the few calls into libtorch that tch does not have.

use std::ffi::{CStr, CString, OsStr, c_char, c_double, c_int, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use tch::{TchError, Tensor};

unsafe extern "C" {
    fn neurosearch_free_text(message: *mut c_char);
    fn neurosearch_adam_step(
        parameters: *const *const c_void,
        gradients: *const *const c_void,
        means: *const *const c_void,
        squares: *const *const c_void,
        steps: *const *const c_void,
        count: usize,
        learning_rate: c_double,
        beta1: c_double,
        beta2: c_double,
        weight_decay: c_double,
        epsilon: c_double,
    ) -> *mut c_char;
    fn neurosearch_drop_gradient(parameter: *const c_void);
    fn neurosearch_library_path() -> *mut c_char;
    fn neurosearch_open_library(path: *const c_char) -> *mut c_char;
    fn neurosearch_allow_tf32(allow: bool);
    fn neurosearch_cuda_version() -> c_int;
    fn neurosearch_first_gpu(uuid: *mut u8, name: *mut c_char, length: c_int) -> bool;
}

/// Takes over a text that the C++ side allocated; none for null.
pub(super) fn take(message: *mut c_char) -> Option<Vec<u8>> {
    if message.is_null() {
        return None;
    }
    // SAFETY: the shim returns null or a terminated string of its own, which is given back exactly once, here.
    unsafe {
        let bytes = CStr::from_ptr(message).to_bytes().to_vec();
        neurosearch_free_text(message);
        Some(bytes)
    }
}

/// What a text of the shim's means: none is success.
pub(super) fn succeeded(message: Option<Vec<u8>>) -> Result<(), TchError> {
    message.map_or(Ok(()), |text| Err(TchError::Torch(String::from_utf8_lossy(&text).into_owned())))
}

/// Learning rate, betas and the rest of one Adam step.
#[derive(Debug, Clone, Copy)]
pub struct AdamNumbers {
    pub learning_rate: f64,
    pub beta1: f64,
    pub beta2: f64,
    pub weight_decay: f64,
    pub epsilon: f64,
}

/// The tensors of one Adam step, index by index: parameters, gradients, both moments, and one f32 count each.
#[derive(Debug)]
pub struct AdamTensors<'a> {
    pub parameters: &'a [Tensor],
    pub gradients: &'a [Tensor],
    pub means: &'a [Tensor],
    pub squares: &'a [Tensor],
    pub steps: &'a [Tensor],
}

/// One step over all parameters in place, in one pass over their memory. The counts must have been raised before.
pub fn adam_step(tensors: &AdamTensors<'_>, numbers: AdamNumbers) -> Result<(), TchError> {
    let count = tensors.parameters.len();
    for list in [tensors.gradients, tensors.means, tensors.squares, tensors.steps] {
        if list.len() != count {
            return Err(TchError::Shape(format!("Adam has {count} parameters but a list of {}", list.len())));
        }
    }
    let pointers = |list: &[Tensor]| list.iter().map(|tensor| tensor.as_ptr().cast::<c_void>()).collect::<Vec<_>>();
    let lists = [tensors.parameters, tensors.gradients, tensors.means, tensors.squares, tensors.steps].map(pointers);
    // SAFETY: each list holds `count` pointers to live at::Tensor objects, which tch keeps behind every Tensor, and the
    // shim only reads the lists during the call.
    let message = take(unsafe {
        neurosearch_adam_step(
            lists[0].as_ptr(),
            lists[1].as_ptr(),
            lists[2].as_ptr(),
            lists[3].as_ptr(),
            lists[4].as_ptr(),
            count,
            numbers.learning_rate,
            numbers.beta1,
            numbers.beta2,
            numbers.weight_decay,
            numbers.epsilon,
        )
    });
    succeeded(message)
}

/// Frees a parameter's gradient, so that the next one is taken over instead of being added to zeros.
pub fn drop_gradient(parameter: &Tensor) {
    // SAFETY: the pointer is to a live at::Tensor, which tch keeps behind every Tensor.
    unsafe { neurosearch_drop_gradient(parameter.as_ptr().cast()) }
}

/// The file that libtorch's CPU part was loaded from.
pub fn library_path() -> Option<PathBuf> {
    // SAFETY: the call has no arguments and only asks the loader.
    take(unsafe { neurosearch_library_path() }).map(|bytes| PathBuf::from(OsStr::from_bytes(&bytes)))
}

/// Opens a shared library for every other library in the process, and never closes it.
pub fn open_library(path: &Path) -> Result<(), String> {
    let path = CString::new(path.as_os_str().as_bytes()).map_err(|_| "its path has a zero byte".to_string())?;
    // SAFETY: the path is a terminated string that outlives the call.
    take(unsafe { neurosearch_open_library(path.as_ptr()) })
        .map_or(Ok(()), |text| Err(String::from_utf8_lossy(&text).into_owned()))
}

/// The version of the CUDA runtime that libtorch brings, as CUDA numbers it (13000), or None if it brings none.
pub fn cuda_version() -> Option<u32> {
    // SAFETY: the call has no arguments, and asks a loaded library for a constant.
    u32::try_from(unsafe { neurosearch_cuda_version() }).ok().filter(|version| *version > 0)
}

/// A GPU as the driver knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CudaGpu {
    /// As NVML and `nvidia-smi` write it: `GPU-` and five groups of hexadecimal digits.
    pub uuid: String,
    /// The model: `NVIDIA H100 80GB HBM3`.
    pub name: String,
}

/// The GPU that libtorch numbers 0 in this process, whatever chose it, or None if the driver knows of none.
pub fn first_gpu() -> Option<CudaGpu> {
    let (mut uuid, mut name) = ([0; 16], [0; 256]);
    // SAFETY: the driver writes 16 bytes, and at most 256 with their terminator.
    let found = unsafe { neurosearch_first_gpu(uuid.as_mut_ptr(), name.as_mut_ptr().cast(), 256) };
    let name = CStr::from_bytes_until_nul(&name).ok().filter(|_| found)?;
    Some(CudaGpu { uuid: uuid_text(&uuid), name: name.to_string_lossy().into_owned() })
}

fn uuid_text(uuid: &[u8; 16]) -> String {
    let digits: String = uuid.iter().map(|byte| format!("{byte:02x}")).collect();
    let groups = [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]];
    format!("GPU-{}", groups.join("-"))
}

/// Lets CUDA's convolutions and matrix products round their inputs to TF32, or forbids it.
pub fn allow_tf32(allow: bool) {
    // SAFETY: sets two flags in libtorch's global context.
    unsafe { neurosearch_allow_tf32(allow) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_is_written_as_nvml_writes_it() {
        let uuid = std::array::from_fn(|i| 0x10 * (i as u8) + 0xf);
        assert_eq!(uuid_text(&uuid), "GPU-0f1f2f3f-4f5f-6f7f-8f9f-afbfcfdfefff");
    }

    #[test]
    fn libtorch_brings_a_cuda_runtime_whose_version_is_known_without_a_gpu() {
        assert!(cuda_version().is_some_and(|version| version >= 12_000), "{:?}", cuda_version());
    }

    #[test]
    fn the_first_gpu_is_one_that_the_driver_lists_or_there_is_none() {
        let listed = neurosearch::executor::local::gpus::find().gpus;
        match first_gpu() {
            Some(gpu) => {
                assert!(listed.iter().any(|g| g.device.as_str() == gpu.uuid && g.name == gpu.name), "{gpu:?} {listed:?}")
            }
            None => assert!(listed.is_empty(), "{listed:?}"),
        }
    }
}
