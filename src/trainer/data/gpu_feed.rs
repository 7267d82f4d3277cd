//! Safe Rust over `gpu_feed.cpp`: a GPU's batches, copied while the last step computes.

use crate::shim::{succeeded, take};
use std::ffi::{c_char, c_void};
use tch::{Device, Kind, TchError, Tensor};

unsafe extern "C" {
    fn neurosearch_feed_new(index: i8, feed: *mut *mut c_void) -> *mut c_char;
    fn neurosearch_feed_free(feed: *mut c_void);
    fn neurosearch_feed_pinned(sizes: *const i64, count: usize, output: *mut *mut c_void) -> *mut c_char;
    fn neurosearch_feed_copy(feed: *mut c_void, host: *const c_void, output: *mut *mut c_void) -> *mut c_char;
    fn neurosearch_feed_ended(feed: *mut c_void) -> *mut c_char;
    fn neurosearch_feed_began(feed: *mut c_void, counted: bool) -> *mut c_char;
    fn neurosearch_feed_waited(feed: *const c_void) -> f64;
    fn neurosearch_free_memory(index: i8) -> u64;
}

/// The way of batches to one GPU. The host queues work at most one step ahead of what the GPU computes.
#[derive(Debug)]
pub struct Feed(*mut c_void);

impl Feed {
    /// For `device`, whose CUDA part must be open; none for the CPU, which needs no feeding.
    pub fn to(device: Device) -> Result<Option<Self>, TchError> {
        let Device::Cuda(index) = device else { return Ok(None) };
        let mut feed = std::ptr::null_mut();
        // SAFETY: the pointer is set to a new object wherever no text comes back.
        succeeded(take(unsafe { neurosearch_feed_new(small(index), &raw mut feed) }))?;
        Ok(Some(Feed(feed)))
    }

    /// Copies a pinned tensor to the GPU without waiting for it; what is queued from now on does.
    pub fn copy(&self, host: &Tensor) -> Result<Tensor, TchError> {
        let mut output = std::ptr::null_mut();
        // SAFETY: both are live objects, and the output is set to a new tensor wherever no text comes back. The memory of the
        // host's is reused by its allocator only once the copy is over.
        unsafe {
            succeeded(take(neurosearch_feed_copy(self.0, host.as_ptr().cast(), &raw mut output)))?;
            Ok(Tensor::from_ptr(output.cast()))
        }
    }

    /// A step has been queued; returns once the one before it is over.
    pub fn ended(&self) -> Result<(), TchError> {
        // SAFETY: the feed is live.
        succeeded(take(unsafe { neurosearch_feed_ended(self.0) }))
    }

    /// A batch has been queued; `counted`: what passed since the last step's end was waiting for it.
    pub fn began(&self, counted: bool) -> Result<(), TchError> {
        // SAFETY: the feed is live.
        succeeded(take(unsafe { neurosearch_feed_began(self.0, counted) }))
    }

    /// Seconds that the GPU had nothing to compute since its batch was not there.
    pub fn waited(&self) -> f64 {
        // SAFETY: the feed is live.
        unsafe { neurosearch_feed_waited(self.0) }
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        // SAFETY: it was made by `neurosearch_feed_new`, and is given back once.
        unsafe { neurosearch_feed_free(self.0) }
    }
}

fn small(index: usize) -> i8 {
    i8::try_from(index).unwrap_or_default()
}

/// An empty f32 tensor on the host: pinned where it is for a GPU, so that it can be copied there without waiting.
pub fn host_tensor(sizes: &[i64], device: Device) -> Result<Tensor, TchError> {
    if !device.is_cuda() {
        return Tensor::f_empty(sizes, (Kind::Float, Device::Cpu));
    }
    let mut output = std::ptr::null_mut();
    // SAFETY: the sizes outlive the call, and the output is set to a new tensor wherever no text comes back.
    unsafe {
        succeeded(take(neurosearch_feed_pinned(sizes.as_ptr(), sizes.len(), &raw mut output)))?;
        Ok(Tensor::from_ptr(output.cast()))
    }
}

/// Bytes that `device` has free; 0 for the CPU, and where it does not say.
pub fn free_memory(device: Device) -> u64 {
    match device {
        // SAFETY: it only asks, and answers 0 to whatever goes wrong.
        Device::Cuda(index) => unsafe { neurosearch_free_memory(small(index)) },
        _ => 0,
    }
}
