//! The device for a job that is run here and now, without a daemon that shares them out.

use super::exit::{Exit, Failure};
use crate::domain::device::Device;
use crate::executor::local::gpus::{Gpu, GpuList};

/// The processor for a job with `use_cpu`; else the first GPU that nobody occupies among those that
/// `CUDA_VISIBLE_DEVICES` allows. Where somebody set that variable, a batch system or a person, its first GPU is theirs to
/// give, occupied or not.
///
/// # Errors
/// When there is no such GPU: says why, and what would work.
pub fn choose(use_cpu: bool, listing: impl FnOnce() -> GpuList, visible: Option<&str>) -> Result<Device, Failure> {
    if use_cpu {
        return Ok(Device::Cpu);
    }
    let listing = listing();
    if let Some(gpu) = visible.and_then(|variable| listing.visible(variable).into_iter().next()) {
        return Ok(gpu.device.clone());
    }
    let refuse =
        |why: String| Err(Failure::new(Exit::Failed, format!("use_cpu is false and {why}; --use_cpu trains on the processor")));
    if let Some(variable) = visible {
        return refuse(format!("CUDA_VISIBLE_DEVICES is {variable:?}, which names no GPU of this machine"));
    }
    if let Some(free) = listing.gpus.iter().find(|gpu| gpu.occupied(|_| false).is_none()) {
        return Ok(free.device.clone());
    }
    match (listing.gpus.as_slice(), listing.problem) {
        ([], None) => refuse("this machine has no GPU with an NVIDIA driver".to_string()),
        ([], Some(problem)) => refuse(format!("no GPU was found: {problem}")),
        (gpus, _) => {
            let who: Vec<String> = gpus.iter().map(describe).collect();
            refuse(format!(
                "every GPU is occupied ({}); wait, name one in CUDA_VISIBLE_DEVICES, or let neurosearchd queue the job",
                who.join("; ")
            ))
        }
    }
}

fn describe(gpu: &Gpu) -> String {
    let name = format!("{} {:?}", gpu.index, gpu.name);
    gpu.occupied(|_| false).map_or_else(|| name.clone(), |who| format!("{name}: {who}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::executor::local::gpus::GpuProcess;

    fn gpu(index: u32, pids: &[u32]) -> Gpu {
        Gpu {
            index,
            device: Device::gpu(&format!("GPU-{index}")).expect("a GPU"),
            name: "NVIDIA H100".to_string(),
            memory_total: 80 << 30,
            memory_free: 80 << 30,
            utilization: None,
            processes: pids.iter().map(|&pid| GpuProcess { pid, memory: None }).collect(),
        }
    }

    fn listing(gpus: Vec<Gpu>) -> impl FnOnce() -> GpuList {
        move || GpuList { gpus, problem: None }
    }

    #[test]
    fn a_job_on_the_processor_asks_for_no_gpu() {
        let never = || panic!("the listing takes time and is not needed");
        assert_eq!(choose(true, never, None), Ok(Device::Cpu));
    }

    #[test]
    fn the_first_free_gpu_is_taken_unless_a_visible_one_is_named() {
        let gpus = || vec![gpu(0, &[9]), gpu(1, &[]), gpu(2, &[])];
        assert_eq!(choose(false, listing(gpus()), None).map(|d| d.to_string()), Ok("GPU-1".to_string()));
        assert_eq!(choose(false, listing(gpus()), Some("0")).map(|d| d.to_string()), Ok("GPU-0".to_string()));
    }

    #[test]
    fn without_a_usable_gpu_the_sentence_says_why_and_what_would_work() {
        for (gpus, visible, word) in [
            (vec![], None, "no GPU"),
            (vec![gpu(0, &[77])], None, "process 77"),
            (vec![gpu(0, &[])], Some(""), "CUDA_VISIBLE_DEVICES"),
        ] {
            let failure = choose(false, listing(gpus), visible).expect_err("refused");
            assert_eq!(failure.exit, Exit::Failed);
            assert!(failure.sentence.contains(word) && failure.sentence.contains("--use_cpu"), "{failure}");
        }
    }
}
