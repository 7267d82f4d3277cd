//! Adam with a state of its own, so that a checkpoint can keep it and a resumed run goes on bit for bit.

use super::state_dict::{Mismatch, State, copy_into};
use crate::failure::TrainingFailure;
use crate::shim::{self, AdamNumbers, AdamTensors};
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
    pub fn new(parameters: Vec<Tensor>, learning_rate: f64, weight_decay: f64) -> Result<Self, TrainingFailure> {
        let device = parameters.first().map_or(Device::Cpu, Tensor::device);
        let zeros = || parameters.iter().map(|p| p.f_detach()?.f_zeros_like()).collect::<Result<Vec<_>, TchError>>();
        let (means, squares) = (zeros()?, zeros()?);
        let count = Tensor::f_zeros([] as [i64; 0], (Kind::Float, device))?;
        let numbers = AdamNumbers { learning_rate, beta1: 0.9, beta2: 0.999, weight_decay, epsilon: 1e-8 };
        Ok(Adam { parameters, means, squares, count, numbers })
    }

    /// One step with the gradients accumulated since `zero_grad`; every parameter must have one.
    pub fn step(&mut self) -> Result<(), TrainingFailure> {
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

    /// Everything a later `load_state` needs to go on exactly here, each tensor as `take` gives it (`state::copied` or `live`):
    /// `step`, then `mean.i` and `square.i`.
    pub fn state_by(&self, take: impl Fn(&Tensor) -> Result<Tensor, TchError>) -> Result<State, TrainingFailure> {
        let taken = self.named().into_iter().map(|(name, tensor)| Ok((name, take(tensor)?)));
        taken.collect::<Result<State, TchError>>().map_err(TrainingFailure::from)
    }

    fn named(&self) -> Vec<(String, &Tensor)> {
        let mut named = vec![("step".to_string(), &self.count)];
        for (i, (mean, square)) in self.means.iter().zip(&self.squares).enumerate() {
            named.push((format!("mean.{i}"), mean));
            named.push((format!("square.{i}"), square));
        }
        named
    }

    /// Takes over a state of an optimizer of the same parameters; one that does not fit changes nothing.
    pub fn load_state(&mut self, state: &State) -> Result<(), Mismatch> {
        copy_into(&self.named(), state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::state_dict::copied;
    use tch::nn::{self, OptimizerConfig};

    const LEARNING_RATE: f64 = 3e-3;
    const WEIGHT_DECAY: f64 = 2e-2;

    fn start() -> Vec<Tensor> {
        tch::manual_seed(17);
        [vec![37, 11], vec![11], vec![5, 3, 3, 3]].iter().map(|size| Tensor::randn(&**size, (Kind::Float, Device::Cpu))).collect()
    }

    fn parameters() -> Vec<Tensor> {
        start().into_iter().map(|tensor| tensor.set_requires_grad(true)).collect()
    }

    /// A loss whose gradient changes with the step, the parameter and its value.
    fn loss(parameters: &[Tensor], step: i64) -> Tensor {
        let terms =
            parameters.iter().enumerate().map(|(i, p)| ((p * (1.0 + i as f64) + step as f64 * 0.1).sin() * p).sum(Kind::Float));
        terms.reduce(|a, b| a + b).expect("there are parameters")
    }

    fn train(adam: &mut Adam, parameters: &[Tensor], steps: std::ops::Range<i64>) {
        for step in steps {
            adam.zero_grad();
            loss(parameters, step).backward();
            adam.step().expect("steps");
        }
    }

    #[test]
    fn fifty_steps_with_weight_decay_agree_with_pytorchs_adam() {
        let ours = parameters();
        train(
            &mut Adam::new(ours.iter().map(Tensor::shallow_clone).collect(), LEARNING_RATE, WEIGHT_DECAY).expect("builds"),
            &ours,
            0..50,
        );

        let store = nn::VarStore::new(Device::Cpu);
        let root = store.root();
        let theirs: Vec<Tensor> = start().iter().enumerate().map(|(i, t)| root.var_copy(&format!("p{i}"), t)).collect();
        let mut adam = nn::Adam { wd: WEIGHT_DECAY, ..nn::Adam::default() }.build(&store, LEARNING_RATE).expect("builds");
        for step in 0..50 {
            adam.backward_step(&loss(&theirs, step));
        }
        for ((a, b), before) in ours.iter().zip(&theirs).zip(start()) {
            assert!((a - b).abs().max().double_value(&[]) < 1e-6);
            assert!((a - before).abs().max().double_value(&[]) > 0.05, "they moved");
        }
    }

    /// The definition, number by number in f64.
    #[test]
    fn fifty_steps_agree_with_the_definition_in_double_precision() {
        let ours = [Tensor::from_slice(&[0.5_f32, -1.0, 2.0]).set_requires_grad(true)];
        let mut adam = Adam::new(vec![ours[0].shallow_clone()], LEARNING_RATE, WEIGHT_DECAY).expect("builds");
        let (mut w, mut m, mut v) = ([0.5_f64, -1.0, 2.0], [0.0; 3], [0.0; 3]);
        for step in 1..=50 {
            adam.zero_grad();
            (ours[0].square() * ours[0].sin()).sum(Kind::Float).backward();
            adam.step().expect("steps");
            for i in 0..3 {
                let g = 2.0 * w[i] * w[i].sin() + w[i] * w[i] * w[i].cos() + WEIGHT_DECAY * w[i];
                m[i] = 0.9 * m[i] + 0.1 * g;
                v[i] = 0.999 * v[i] + 0.001 * g * g;
                let (mean, square) = (m[i] / (1.0 - 0.9_f64.powi(step)), v[i] / (1.0 - 0.999_f64.powi(step)));
                w[i] -= LEARNING_RATE * mean / (square.sqrt() + 1e-8);
            }
        }
        for (i, expected) in w.iter().enumerate() {
            assert!((ours[0].double_value(&[i as i64]) - expected).abs() < 1e-6);
        }
    }

    #[test]
    fn a_saved_state_goes_on_bit_for_bit() {
        let adam = |parameters: &[Tensor]| {
            Adam::new(parameters.iter().map(Tensor::shallow_clone).collect(), LEARNING_RATE, WEIGHT_DECAY).expect("builds")
        };
        let straight = parameters();
        train(&mut adam(&straight), &straight, 0..9);

        let first = parameters();
        let mut before = adam(&first);
        train(&mut before, &first, 0..4);
        let saved = before.state_by(copied).expect("copied");
        let second: Vec<Tensor> = first.iter().map(|p| copied(p).expect("copied").set_requires_grad(true)).collect();
        train(&mut before, &first, 4..6);
        let mut after = adam(&second);
        after.load_state(&saved).expect("fits");
        train(&mut after, &second, 4..9);
        assert!(straight.iter().zip(&second).all(|(a, b)| a.equal(b)));
        let refused = adam(&parameters()[..2]).load_state(&saved).expect_err("it has another parameter");
        assert!(refused.to_string().contains("mean.2"), "{refused}");
    }

    #[test]
    fn gradients_of_several_batches_add_up_until_they_are_forgotten() {
        let p = Tensor::from_slice(&[1.0_f32]).set_requires_grad(true);
        let mut adam = Adam::new(vec![p.shallow_clone()], LEARNING_RATE, 0.0).expect("builds");
        (&p * 2.0).sum(Kind::Float).backward();
        (&p * 3.0).sum(Kind::Float).backward();
        assert_eq!(p.grad().double_value(&[0]), 5.0);
        adam.zero_grad();
        let refused = adam.step().expect_err("nothing to step along");
        assert!(refused.sentence.contains("no gradient"), "{refused}");
    }
}
