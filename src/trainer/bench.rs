//! Times training steps and forward passes of one network on tensors that are already in memory, and measures their memory.

use super::device::{self, use_threads};
use super::failure::TrainingFailure;
use super::model::adam::Adam;
use super::model::loss::{cross_entropy_sum, mse};
use super::model::network::Network;
use neurosearch::domain::job::FailureClass;
use neurosearch::domain::network::architecture::Architecture;
use neurosearch::domain::network::footprint::{self, Footprint};
use neurosearch::domain::network::precision::Precision;
use neurosearch::domain::options::read::Outline;
use neurosearch::domain::text::fault::Faults;
use neurosearch::domain::words::NetworkType;
use neurosearch::executor::local::cpu;
use neurosearch::executor::trainer_cli::{Bench, On};
use serde_json::json;
use std::io::Write;
use std::process::ExitCode;
use std::time::Instant;
use tch::{Cuda, Device, Kind, Tensor};

/// Steps that are queued on a GPU before its end is waited for, as in training.
const QUEUED: usize = 10;

/// Measures, and prints one line of JSON; the exit code is 0, or 1.
pub fn run(arguments: &Bench) -> ExitCode {
    let written = measure(arguments)
        .map_err(|failure| failure.sentence)
        .and_then(|line| writeln!(std::io::stdout(), "{line}").map_err(|error| format!("cannot write the result: {error}")));
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(sentence) => {
            let _ = writeln!(std::io::stderr(), "{sentence}");
            ExitCode::FAILURE
        }
    }
}

fn measure(arguments: &Bench) -> Result<serde_json::Value, TrainingFailure> {
    let bad = |sentence: String| TrainingFailure::new(FailureClass::BadOptions, sentence);
    let file = arguments.commandline.display().to_string();
    let text = std::fs::read_to_string(&arguments.commandline).map_err(|error| bad(format!("{file}: {error}")))?;
    let faulty = |faults: Faults| bad(faults.to_string());
    let network_type = Outline::from_json(&text, &file).map_err(faulty)?.network_type;
    let architecture = Architecture::from_commandline(&text, &file, &arguments.item.0).map_err(faulty)?;
    let device = device::choose(arguments.device == On::Cpu, None)?;
    device::use_precision(device, arguments.precision);
    let threads = arguments.threads.unwrap_or_else(cpu::cores);
    use_threads(threads);
    let before = peak_memory();
    let mut work = Work::new(&architecture, network_type, arguments.batch, device, arguments.precision)?;
    work.train()?;
    if arguments.memory {
        for _ in 0..arguments.steps {
            work.train()?;
        }
        let measured = peak_memory().saturating_sub(before);
        let predicted = Footprint::of(&architecture, network_type, arguments.batch);
        return Ok(json!({
            "batch": arguments.batch, "threads": threads, "parameters": predicted.parameters,
            "predicted_bytes": predicted.peak_bytes, "measured_bytes": measured,
            "predicted_to_measured": predicted.peak_bytes as f64 / measured as f64,
        }));
    }
    let training = timed(arguments.steps, device, || work.train())?;
    let items = work.evaluation_items()?;
    work.evaluate(&items)?;
    let evaluation = timed(arguments.steps, device, || work.evaluate(&items))?;
    let an_item = |seconds: &[f64], items: usize| seconds.iter().map(|s| s / items as f64).collect::<Vec<_>>();
    let (training, evaluation) = (an_item(&training, arguments.batch), an_item(&evaluation, work.evaluated));
    Ok(json!({
        "batch": arguments.batch, "evaluated_at_once": work.evaluated, "threads": threads, "steps": arguments.steps,
        "parameters": architecture.parameters(),
        "device": if device.is_cuda() { "cuda" } else { "cpu" }, "precision": arguments.precision,
        "training_median": median(&training), "training_fastest": training.first(),
        "evaluation_median": median(&evaluation), "evaluation_fastest": evaluation.first(),
    }))
}

/// One network with its optimizer and a batch to work on.
struct Work {
    network: Network,
    adam: Adam,
    batch: Tensor,
    /// Items of an evaluation's batch, as in a job.
    evaluated: usize,
    /// None for an autoencoder, whose target is the batch itself.
    classes: Option<Tensor>,
}

impl Work {
    fn new(
        architecture: &Architecture,
        network_type: NetworkType,
        items: usize,
        device: Device,
        precision: Precision,
    ) -> Result<Self, TrainingFailure> {
        let autoencoder = network_type == NetworkType::Autoencoder;
        let build = if autoencoder { Network::autoencoder } else { Network::cnn };
        let mut network = build(architecture, device)?.in_precision(precision);
        network.init(1)?;
        let size: Vec<i64> = std::iter::once(items).chain(architecture.input.iter().copied()).map(|n| n as i64).collect();
        tch::manual_seed(1);
        let batch = Tensor::f_rand(&size, (Kind::Float, device))?;
        let classes: Vec<i64> = (0..items as i64).map(|item| item % 2).collect();
        let classes = if autoencoder { None } else { Some(Tensor::f_from_slice(&classes)?.f_to_device(device)?) };
        let evaluated = footprint::evaluation_batch(architecture, network_type, items);
        Ok(Work { adam: Adam::new(network.trainable(), 1e-4, 1e-4)?, network, batch, evaluated, classes })
    }

    fn train(&mut self) -> Result<(), TrainingFailure> {
        self.adam.zero_grad();
        let output = self.network.forward(&self.batch, true)?;
        let loss = match &self.classes {
            Some(classes) => cross_entropy_sum(&output, classes)?,
            None => mse(&output, &self.batch)?,
        };
        loss.f_backward()?;
        self.adam.step()
    }

    /// The items that an evaluation takes at once.
    fn evaluation_items(&self) -> Result<Tensor, TrainingFailure> {
        let copies = vec![&self.batch; self.evaluated / self.batch.size()[0] as usize];
        Ok(Tensor::f_cat(&copies, 0)?)
    }

    fn evaluate(&mut self, items: &Tensor) -> Result<(), TrainingFailure> {
        self.network.forward(items, false).map(drop)
    }
}

/// Seconds of each run, ascending. On a GPU, those of each group of runs, as their mean.
fn timed(runs: usize, device: Device, mut run: impl FnMut() -> Result<(), TrainingFailure>) -> Result<Vec<f64>, TrainingFailure> {
    let mut seconds = Vec::with_capacity(runs);
    let group = if device.is_cuda() { QUEUED } else { 1 };
    let over = || {
        if let Device::Cuda(index) = device {
            Cuda::synchronize(index as i64)
        }
    };
    over();
    for _ in 0..runs {
        let start = Instant::now();
        (0..group).try_for_each(|_| run())?;
        over();
        seconds.push(start.elapsed().as_secs_f64() / group as f64);
    }
    seconds.sort_by(f64::total_cmp);
    Ok(seconds)
}

fn median(sorted: &[f64]) -> Option<f64> {
    sorted.get(sorted.len() / 2).copied()
}

/// The most memory this process has held so far, in bytes (`VmHWM`); 0 where the system does not say.
fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|rest| rest.split_whitespace().next()).and_then(|number| number.parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1024
}
