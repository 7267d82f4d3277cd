//! The device of a job: the CPU with its threads, or a GPU, for which libtorch's CUDA part is opened at run time.

use super::failure::TrainingFailure;
use super::shim;
use super::stderr::note;
use neurosearch::domain::job::FailureClass;
use neurosearch::domain::network::precision::Precision;
use std::path::Path;
use tch::{Cuda, Device};

/// The library that brings CUDA into a process that only needs libtorch's CPU part to start.
pub const CUDA_LIBRARY: &str = "libtorch_cuda.so";

/// The device for a job. `assigned` is what `NEUROSEARCH_DEVICE` says: `cpu`, or the UUID of the only GPU that
/// `CUDA_VISIBLE_DEVICES` leaves visible; none when started by hand. Must come before any other call into libtorch.
///
/// The error is of class `device`, and says why no GPU can be used and what to do about it.
pub fn choose(use_cpu: bool, assigned: Option<&str>) -> Result<Device, TrainingFailure> {
    if use_cpu {
        return Ok(Device::Cpu);
    }
    if assigned.is_some_and(|device| device.starts_with("cpu")) {
        return Err(no_gpu("the job was given the CPU"));
    }
    open_cuda().map_err(|reason| no_gpu(&reason))?;
    if !Cuda::is_available() {
        return Err(no_gpu("CUDA finds no device that it can use"));
    }
    Ok(Device::Cuda(0))
}

/// Computes on `device` in this precision from now on. What bf16 needs besides is the networks' own (`Network::in_precision`).
pub fn use_precision(device: Device, precision: Precision) {
    // Left alone, libtorch rounds what convolutions multiply: fp32 is to be fp32.
    shim::allow_tf32(precision == Precision::Tf32);
    if precision == Precision::Tf32 && !device.is_cuda() {
        note(format_args!("tf32 rounds on a GPU alone; the CPU computes in fp32"));
    }
}

fn no_gpu(reason: &str) -> TrainingFailure {
    let sentence = format!("use_cpu is false, but no GPU can be used here: {reason}; set \"use_cpu\": true to train on the CPU");
    TrainingFailure::new(FailureClass::Device, sentence)
}

/// Opens the CUDA part beside the CPU part that is already loaded.
fn open_cuda() -> Result<(), String> {
    let cpu_part = shim::library_path().ok_or("libtorch's place is not known")?;
    let directory = cpu_part.parent().unwrap_or(Path::new("."));
    let library = directory.join(CUDA_LIBRARY);
    if !library.exists() {
        return Err(format!("the libtorch in {} is the one without CUDA", directory.display()));
    }
    shim::open_library(&library).map_err(|error| format!("cannot open {}: {error}", library.display()))
}

/// Whether `data` bytes fit beside a training of `training` bytes with `free` bytes left.
///
/// Only half of what the training leaves counts: its need is estimated for the CPU, and other trainers may share the GPU.
pub fn has_room(free: u64, training: u64, data: u64) -> bool {
    data <= free.saturating_sub(training.saturating_add(training / 4)) / 2
}

/// Computes on the CPU with this many threads from now on.
pub fn use_threads(threads: usize) {
    tch::set_num_threads(i32::try_from(threads.max(1)).unwrap_or(i32::MAX));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_for_the_cpu_gets_it_whatever_was_assigned() {
        assert_eq!(choose(true, None), Ok(Device::Cpu));
        assert_eq!(choose(true, Some("GPU-0")), Ok(Device::Cpu));
    }

    #[test]
    fn a_job_for_a_gpu_on_a_cpu_slot_fails_with_a_sentence_that_says_so() {
        let failure = choose(false, Some("cpu")).expect_err("there is no GPU in a CPU slot");
        assert_eq!(failure.class, FailureClass::Device);
        assert!(failure.sentence.contains("no GPU") && failure.sentence.contains("\"use_cpu\": true"), "{failure}");
    }

    #[test]
    fn data_stays_on_a_gpu_in_half_of_what_the_training_leaves() {
        let gib = |number: u64| number << 30;
        assert!(has_room(gib(20), gib(8), gib(5)));
        assert!(!has_room(gib(20), gib(8), gib(5) + 1));
        assert!(!has_room(gib(8), gib(8), 1), "a training that leaves nothing");
        assert!(!has_room(0, gib(1), 1), "the CPU, and a GPU that does not say");
    }

    #[test]
    fn a_libtorch_without_cuda_is_named_as_the_reason() {
        let directory = shim::library_path().expect("libtorch is loaded");
        assert!(directory.ends_with("libtorch_cpu.so"), "{directory:?}");
        if !directory.with_file_name(CUDA_LIBRARY).exists() {
            let failure = choose(false, None).expect_err("there is no CUDA here");
            assert!(failure.sentence.contains("without CUDA"), "{failure}");
        }
    }
}
