//! Adam with a state of its own, so that a checkpoint can keep it and a resumed run goes on bit for bit.

use super::failure::Failure;
use super::shim::{self, AdamNumbers, AdamTensors};
use super::state::{Mismatch, State, copied, copy_into};
use tch::{Device, Kind, TchError, Tensor};

/// PyTorch's Adam: betas 0.9 and 0.999, epsilon 1e-8, weight decay added to the gradient.
#[derive(Debug)]
pub struct Adam {
    parameters: Vec<Tensor>,
    /// Running means of the gradient and of its square, one of each for each parameter.
    means: Vec<Tensor>,
    squares: Vec<Tensor>,
    /// Steps taken, an f32 on the parameters' device, as libtorch's kernel reads it.
    count: Tensor,
    numbers: AdamNumbers,
}

impl Adam {
    /// `parameters` are handles on a network's own tensors, all on one device.
    pub fn new(parameters: Vec<Tensor>, learning_rate: f64, weight_decay: f64) -> Result<Self, Failure> {
        let device = parameters.first().map_or(Device::Cpu, Tensor::device);
        let zeros = || parameters.iter().map(|p| p.f_detach()?.f_zeros_like()).collect::<Result<Vec<_>, TchError>>();
        let (means, squares) = (zeros()?, zeros()?);
        let count = Tensor::f_zeros([] as [i64; 0], (Kind::Float, device))?;
        let numbers = AdamNumbers { learning_rate, beta1: 0.9, beta2: 0.999, weight_decay, epsilon: 1e-8 };
        Ok(Adam { parameters, means, squares, count, numbers })
    }

    /// One step with the gradients accumulated since `zero_grad`; every parameter must have one.
    pub fn step(&mut self) -> Result<(), Failure> {
        let gradients: Vec<Tensor> = self.parameters.iter().map(Tensor::grad).collect();
        if let Some(i) = gradients.iter().position(|gradient| !gradient.defined()) {
            return Err(TchError::Shape(format!("parameter {i} has no gradient to step along")).into());
        }
        tch::no_grad(|| {
            let _ = self.count.f_add_scalar_(1.0)?;
            let steps: Vec<Tensor> = self.parameters.iter().map(|_| self.count.shallow_clone()).collect();
            let tensors = AdamTensors {
                parameters: &self.parameters,
                gradients: &gradients,
                means: &self.means,
                squares: &self.squares,
                steps: &steps,
            };
            shim::adam_step(&tensors, self.numbers)
        })?;
        Ok(())
    }

    /// Forgets the gradients. Without calling it, those of further batches are added up.
    pub fn zero_grad(&mut self) {
        self.parameters.iter().for_each(shim::drop_gradient);
    }

    /// Everything a later `load_state` needs to go on exactly here, copied to the CPU: `step`, then `mean.i` and `square.i`.
    pub fn state(&self) -> Result<State, Failure> {
        let mut state = vec![("step".to_string(), copied(&self.count)?)];
        for (i, (mean, square)) in self.means.iter().zip(&self.squares).enumerate() {
            state.push((format!("mean.{i}"), copied(mean)?));
            state.push((format!("square.{i}"), copied(square)?));
        }
        Ok(state)
    }

    /// Takes over a state of an optimizer of the same parameters; one that does not fit changes nothing.
    pub fn load_state(&mut self, state: &State) -> Result<(), Mismatch> {
        let mut own = vec![("step".to_string(), &self.count)];
        for (i, (mean, square)) in self.means.iter().zip(&self.squares).enumerate() {
            own.push((format!("mean.{i}"), mean));
            own.push((format!("square.{i}"), square));
        }
        copy_into(&own, state)
    }
}
