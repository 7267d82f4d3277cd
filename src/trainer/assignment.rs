//! What this attempt was given to work with: by the one who started it, or else by the machine.

use neurosearch::domain::network::precision::Precision;
use neurosearch::executor::assignment::variable;
use neurosearch::executor::cache_folder;
use neurosearch::executor::local::cpu;
use neurosearch::executor::local::process_identity;
use neurosearch::store::data::volume_cache::CachePlace;
use neurosearch::store::fs::rights::Rights;
use neurosearch::store::records::job_records::TrainerRecord;
use neurosearch::store::records::run_id::RunId;
use std::ffi::OsString;

/// The trainer's environment, and what it fixed at the job's first start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrainerAssignment {
    /// `cpu` or a GPU's UUID; none when started by hand.
    pub device: Option<String>,
    pub threads: usize,
    /// From 1.
    pub attempt: u32,
    pub precision: Precision,
    /// Where decoded volumes are shared between trainers.
    pub cache: Option<CachePlace>,
    /// Whose rights inputs are read with.
    pub rights: Rights,
    pub host: String,
    /// What runs the trainer, where it is more than this process.
    pub run: Option<RunId>,
}

impl TrainerAssignment {
    /// Reads the environment; `last` is the record of the job's previous attempt.
    ///
    /// Its number of threads and its precision are kept, because the results depend on them. The number of threads changes the
    /// last bits of every sum on the CPU.
    ///
    /// # Errors
    /// One clause that names the variable whose value makes no sense.
    pub fn read(get: impl Fn(&str) -> Option<OsString>, last: Option<&TrainerRecord>) -> Result<Self, String> {
        let text = |name: &str| text(&get, name);
        let number = |name: &str| match text(name).map(|value| (value.parse::<u32>(), value)) {
            None => Ok(None),
            Some((Ok(number), _)) if number > 0 => Ok(Some(number)),
            Some((_, value)) => Err(format!("{name} is {value:?}, expected a number from 1")),
        };
        let given = number(variable::THREADS)?.map(|threads| threads as usize);
        let kept = last.map(|last| last.threads).filter(|threads| *threads > 0);
        let precision = text(variable::PRECISION).map(|word| word.parse::<Precision>()).transpose();
        let precision = precision.map_err(|error| format!("{}: {error}", variable::PRECISION))?;
        Ok(TrainerAssignment {
            device: device(&get),
            threads: kept.or(given).unwrap_or_else(cpu::cores),
            attempt: number(variable::ATTEMPT)?.unwrap_or_else(|| last.map_or(1, |last| last.attempt.saturating_add(1))),
            precision: last.map(|last| last.precision).or(precision).unwrap_or_default(),
            cache: cache_folder::of_environment(&get)?,
            rights: rights(&get)?,
            host: process_identity::host(),
            run: run(&get)?,
        })
    }
}

/// What [`TrainerAssignment::device`] will be, for what is said before anything else is read.
pub fn device(get: impl Fn(&str) -> Option<OsString>) -> Option<String> {
    text(get, variable::DEVICE)
}

fn rights(get: impl Fn(&str) -> Option<OsString>) -> Result<Rights, String> {
    let Some(text) = text(get, variable::READS_AS) else { return Ok(Rights::default()) };
    let uid = text.parse().map_err(|_| format!("{} is {text:?}, expected the number of a user", variable::READS_AS))?;
    Rights::of_user(uid).map_err(|e| format!("cannot find out which groups user {uid} is in: {e}"))
}

fn run(get: impl Fn(&str) -> Option<OsString>) -> Result<Option<RunId>, String> {
    let Some(text) = text(get, variable::RUN) else { return Ok(None) };
    serde_json::from_str(&text).map(Some).map_err(|e| format!("{} is {text:?}, which names no run: {e}", variable::RUN))
}

fn text(get: impl Fn(&str) -> Option<OsString>, name: &str) -> Option<String> {
    get(name).map(|value| value.to_string_lossy().into_owned()).filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn last(threads: usize) -> TrainerRecord {
        TrainerRecord {
            version: TrainerRecord::VERSION,
            run: RunId::new("queue", &1).expect("a name"),
            device: "cpu".to_string(),
            threads,
            precision: Precision::Bf16,
            attempt: 4,
        }
    }

    fn given(name: &str) -> Option<OsString> {
        match name {
            variable::THREADS => Some("3".into()),
            variable::ATTEMPT => Some("2".into()),
            variable::DEVICE => Some("cpu".into()),
            _ => None,
        }
    }

    #[test]
    fn the_threads_of_the_first_attempt_are_used_again() {
        assert_eq!(TrainerAssignment::read(given, None).expect("numbers").threads, 3);
        assert_eq!(TrainerAssignment::read(given, Some(&last(7))).expect("numbers").threads, 7);
    }

    #[test]
    fn a_job_keeps_the_precision_that_it_began_with() {
        let get = |name: &str| (name == variable::PRECISION).then(|| OsString::from("tf32"));
        assert_eq!(TrainerAssignment::read(get, None).expect("a word").precision, Precision::Tf32);
        assert_eq!(TrainerAssignment::read(get, Some(&last(1))).expect("a word").precision, Precision::Bf16);
        assert_eq!(TrainerAssignment::read(|_| None, None).expect("nothing").precision, Precision::Fp32);
        let wrong = TrainerAssignment::read(|name| (name == variable::PRECISION).then(|| OsString::from("fp16")), None);
        let error = wrong.expect_err("unknown");
        assert!(error.contains("NEUROSEARCH_PRECISION") && error.contains("fp16"), "{error}");
    }

    #[test]
    fn by_hand_all_cores_are_used_and_attempts_are_counted_on() {
        let by_hand = TrainerAssignment::read(|_| None, Some(&last(0))).expect("nothing");
        assert!(by_hand.threads >= 1);
        assert_eq!((by_hand.attempt, by_hand.device, by_hand.cache), (5, None, None));
        assert_eq!(TrainerAssignment::read(|_| None, None).expect("nothing").attempt, 1);
    }

    #[test]
    fn a_trainer_that_something_runs_is_told_what_and_any_other_is_a_process() {
        let given = |text: &'static str| move |name: &str| (name == variable::RUN).then(|| OsString::from(text));
        let run = TrainerAssignment::read(given(r#"{"slurm": {"id": 7}}"#), None).expect("a run").run.expect("a run");
        assert_eq!(run.kind(), "slurm");
        assert_eq!(TrainerAssignment::read(given(""), None).expect("nothing").run, None);
        let error = TrainerAssignment::read(given("7"), None).expect_err("no run");
        assert!(error.contains("NEUROSEARCH_RUN"), "{error}");
    }

    #[test]
    fn inputs_are_read_with_the_rights_of_the_user_that_is_named() {
        let named = |uid: &'static str| move |name: &str| (name == variable::READS_AS).then(|| OsString::from(uid));
        assert_eq!(TrainerAssignment::read(named("61001"), None).expect("a user").rights.uid(), Some(61_001));
        assert_eq!(TrainerAssignment::read(named(""), None).expect("nobody").rights.uid(), None);
    }

    #[test]
    fn a_variable_that_is_no_number_is_named() {
        for variable in [variable::THREADS, variable::READS_AS] {
            let get = |name: &str| (name == variable).then(|| OsString::from("many"));
            let error = TrainerAssignment::read(get, None).expect_err("no number");
            assert!(error.contains(variable) && error.contains("many"), "{error}");
        }
    }
}
