//! Why a job cannot go on in this trainer: a class for the record and a sentence for the person.

use neurosearch::domain::job::FailureClass;
use neurosearch::domain::text::escape::inline;
use std::fmt;
use tch::TchError;

/// The end of a job, as `end.json` will say it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrainingFailure {
    pub class: FailureClass,
    /// One sentence that names the file, tensor or device, and the cure where there is one.
    pub sentence: String,
}

impl TrainingFailure {
    pub fn new(class: FailureClass, sentence: impl Into<String>) -> Self {
        // A path in it may hold anything, and the record, the log and the tables show it in one line.
        TrainingFailure { class, sentence: inline(&sentence.into()).into_owned() }
    }

    /// What a panic says: libtorch's own words where one of its calls failed, or else a fault of the trainer's.
    pub fn panicked(text: &str) -> Self {
        let sentence = format!("the trainer panicked: {}; the attempt's log says where", first_line(text));
        TrainingFailure::new(class(text), sentence)
    }
}

impl fmt::Display for TrainingFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence)
    }
}

impl std::error::Error for TrainingFailure {}

/// What libtorch says when an allocation failed, on the host and on a GPU.
const MEMORY: [&str; 5] =
    ["out of memory", "can't allocate memory", "not enough memory", "Cannot allocate memory", "STATUS_ALLOC_FAILED"];

/// What libtorch says when the device, not the computation, is at fault.
const DEVICE: [&str; 4] = ["CUDA error", "CUDNN_STATUS", "cuDNN error", "CUBLAS_STATUS"];

impl From<TchError> for TrainingFailure {
    /// The first line of libtorch's error (the rest is a C++ backtrace), classed by what it says.
    fn from(error: TchError) -> Self {
        let text = error.to_string();
        TrainingFailure::new(
            class(&text),
            format!("libtorch: {}", first_line(&text).trim_start_matches("Internal torch error: ")),
        )
    }
}

fn class(text: &str) -> FailureClass {
    if MEMORY.iter().any(|word| text.contains(word)) {
        FailureClass::OutOfMemory
    } else if DEVICE.iter().any(|word| text.contains(word)) {
        FailureClass::Device
    } else {
        FailureClass::Crashed
    }
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class_of(message: &str) -> FailureClass {
        TrainingFailure::from(TchError::Torch(message.to_string())).class
    }

    #[test]
    fn libtorchs_words_for_exhausted_memory_and_a_broken_device_are_told_apart() {
        let host = "[enforce fail at alloc_cpu.cpp:121] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes.";
        assert_eq!(class_of(host), FailureClass::OutOfMemory);
        assert_eq!(class_of("CUDA out of memory. Tried to allocate 2.00 GiB."), FailureClass::OutOfMemory);
        assert_eq!(class_of("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"), FailureClass::OutOfMemory);
        assert_eq!(class_of("CUDA error: an illegal memory access was encountered"), FailureClass::Device);
        assert_eq!(class_of("mat1 and mat2 shapes cannot be multiplied"), FailureClass::Crashed);
    }

    #[test]
    fn only_the_first_line_of_a_libtorch_error_reaches_the_sentence() {
        let failure = TrainingFailure::from(TchError::Torch("bad shape\nException raised from f at x.cpp:1".to_string()));
        assert_eq!(failure.sentence, "libtorch: bad shape");
    }

    #[test]
    fn a_panic_is_not_put_down_to_libtorch_and_its_words_tell_of_memory_all_the_same() {
        let ours = TrainingFailure::panicked("index out of bounds: the len is 2 but the index is 2");
        assert_eq!(ours.class, FailureClass::Crashed);
        assert!(ours.sentence.starts_with("the trainer panicked: index out of bounds") && !ours.sentence.contains("libtorch"));
        let theirs =
            TrainingFailure::panicked("called `Result::unwrap()` on an `Err` value: Torch(\"CUDA out of memory.\\nframe\")");
        assert_eq!(theirs.class, FailureClass::OutOfMemory);
    }

    #[test]
    fn a_real_failed_allocation_is_out_of_memory() {
        let error = tch::Tensor::f_empty([1 << 58], (tch::Kind::Float, tch::Device::Cpu)).expect_err("an exabyte is not there");
        assert_eq!(TrainingFailure::from(error).class, FailureClass::OutOfMemory);
    }
}
