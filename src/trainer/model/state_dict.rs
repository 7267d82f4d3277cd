//! A state dictionary: named tensors, how they are taken over, and how they stand in PyTorch's files.

use neurosearch::store::formats::torch_file;
use neurosearch::store::formats::torch_tensor::{Tensor as Stored, TensorData};
use neurosearch::store::formats::torch_value::Value;
use neurosearch::store::fs::error::StoreError;
use std::path::Path;
use tch::{Device, Kind, TchError, Tensor};

/// Names and tensors in PyTorch's order.
pub type State = Vec<(String, Tensor)>;

/// Why a state cannot be taken over.
#[derive(Debug, thiserror::Error)]
pub enum Mismatch {
    #[error("there is no tensor {0:?}")]
    Missing(String),
    #[error("the tensor {0:?} has no place in this network")]
    Unexpected(String),
    #[error("the tensor {name:?} has the shape {found:?}, expected {expected:?}")]
    Shape { name: String, expected: Vec<i64>, found: Vec<i64> },
    #[error("the tensor {name:?} holds {found:?}, expected {expected:?}")]
    Kind { name: String, expected: Kind, found: Kind },
    #[error(transparent)]
    Torch(#[from] TchError),
}

/// A copy on the CPU that no later step changes.
pub fn copied(tensor: &Tensor) -> Result<Tensor, TchError> {
    tensor.f_detach()?.f_to_device_(Device::Cpu, tensor.kind(), false, true)
}

/// A handle on the tensor itself, without a copy: it shows every later step, and so must be gone before the next one.
pub fn live(tensor: &Tensor) -> Result<Tensor, TchError> {
    tensor.f_detach()
}

/// Copies a state into tensors of the same names and shapes, all of them or, with an error, none.
pub fn copy_into(own: &[(String, &Tensor)], state: &State) -> Result<(), Mismatch> {
    let mut pairs = Vec::with_capacity(own.len());
    for (name, tensor) in own {
        let (_, found) = state.iter().find(|(n, _)| n == name).ok_or_else(|| Mismatch::Missing(name.clone()))?;
        check(name, tensor, found)?;
        pairs.push((tensor, found));
    }
    if let Some((extra, _)) = state.iter().find(|(name, _)| !own.iter().any(|(n, _)| n == name)) {
        return Err(Mismatch::Unexpected(extra.clone()));
    }
    tch::no_grad(|| pairs.into_iter().try_for_each(|(own, found)| own.shallow_clone().f_copy_(found)))?;
    Ok(())
}

/// The same shape, and whole numbers where whole numbers are expected.
fn check(name: &str, own: &Tensor, found: &Tensor) -> Result<(), Mismatch> {
    if own.size() != found.size() {
        return Err(Mismatch::Shape { name: name.to_string(), expected: own.size(), found: found.size() });
    }
    if (own.kind() == Kind::Int64) != (found.kind() == Kind::Int64) {
        return Err(Mismatch::Kind { name: name.to_string(), expected: own.kind(), found: found.kind() });
    }
    Ok(())
}

/// The state as a dictionary of PyTorch's files.
pub fn to_value(state: &State) -> Result<Value, TchError> {
    let pair = |(name, tensor): &(String, Tensor)| Ok((Value::Str(name.clone()), Value::Tensor(to_stored(tensor)?)));
    Ok(Value::Dict(state.iter().map(pair).collect::<Result<_, TchError>>()?))
}

/// The state in a dictionary of PyTorch's files; the error is one clause.
pub fn from_value(value: &Value) -> Result<State, String> {
    let Value::Dict(pairs) = value else {
        return Err("its state is not a dictionary".to_string());
    };
    let mut state = State::with_capacity(pairs.len());
    for (key, value) in pairs {
        match (key, value) {
            (Value::Str(name), Value::Tensor(tensor)) => {
                state.push((name.clone(), from_stored(tensor).map_err(|e| e.to_string())?))
            }
            (Value::Str(name), _) => return Err(format!("its entry {name:?} is not a tensor")),
            _ => return Err("its state has a key that is not a name".to_string()),
        }
    }
    Ok(state)
}

/// The state under `model` in a `model_best.pth.tar`, ours or the reference's.
pub fn read_model(path: &Path) -> Result<State, StoreError> {
    let value = torch_file::read(path)?;
    let model = value.get("model").ok_or_else(|| StoreError::content(path, "it has no \"model\", so it is not a best model"))?;
    from_value(model).map_err(|sentence| StoreError::content(path, sentence))
}

/// What a `model_best.pth.tar` holds; an autoencoder has no accuracy.
pub fn model_value(state: &State, epoch: u32, valid_loss: f64, valid_acc: Option<f64>) -> Result<Value, TchError> {
    let text = |word: &str| Value::Str(word.to_string());
    let mut pairs = vec![
        (text("model"), to_value(state)?),
        (text("epoch"), Value::Int(i64::from(epoch))),
        (text("valid_loss"), Value::Float(valid_loss)),
    ];
    pairs.extend(valid_acc.map(|accuracy| (text("valid_acc"), Value::Float(accuracy))));
    Ok(Value::Dict(pairs))
}

/// A tensor of libtorch's as the files hold it: whole numbers as int64, everything else as f32.
fn to_stored(tensor: &Tensor) -> Result<Stored, TchError> {
    let shape = tensor.size().iter().map(|size| usize::try_from(*size).unwrap_or_default()).collect();
    let kind = if tensor.kind() == Kind::Int64 { Kind::Int64 } else { Kind::Float };
    let flat = tensor.f_detach()?.f_to_device(Device::Cpu)?.f_to_kind(kind)?.f_contiguous()?.f_view([-1])?;
    let data = if kind == Kind::Int64 { TensorData::I64(Vec::try_from(&flat)?) } else { TensorData::F32(Vec::try_from(&flat)?) };
    Ok(Stored { shape, data })
}

/// The same the other way, on the CPU.
pub fn from_stored(stored: &Stored) -> Result<Tensor, TchError> {
    let shape: Vec<i64> = stored.shape.iter().map(|size| i64::try_from(*size).unwrap_or(i64::MAX)).collect();
    let flat = match &stored.data {
        TensorData::I64(numbers) => Tensor::f_from_slice(numbers)?,
        TensorData::F32(numbers) => Tensor::f_from_slice(numbers)?,
        other => Tensor::f_from_slice(&other.clone().into_f32())?,
    };
    flat.f_view(shape.as_slice())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state() -> State {
        let weight = Tensor::from_slice(&[1.5_f32, -2.0, 3.0, 0.25]).view([2, 2]);
        vec![("a.weight".to_string(), weight), ("a.num_batches_tracked".to_string(), Tensor::from(7_i64))]
    }

    #[test]
    fn a_state_comes_back_from_pytorchs_form_bit_for_bit_and_in_order() {
        let back = from_value(&to_value(&state()).expect("converts")).expect("converts back");
        for ((name, tensor), (n, t)) in state().iter().zip(&back) {
            assert_eq!((name, tensor.kind(), tensor.size()), (n, t.kind(), t.size()));
            assert!(tensor.equal(t));
        }
    }

    #[test]
    fn every_way_not_to_fit_is_named_and_changes_nothing() {
        let own: State = state().into_iter().map(|(name, tensor)| (name, tensor.zeros_like())).collect();
        let targets: Vec<_> = own.iter().map(|(name, tensor)| (name.clone(), tensor)).collect();
        let refused = |change: &dyn Fn(&mut State)| {
            let mut other = state();
            change(&mut other);
            copy_into(&targets, &other).expect_err("does not fit").to_string()
        };
        assert_eq!(refused(&|s| s.truncate(1)), "there is no tensor \"a.num_batches_tracked\"");
        let extra = refused(&|s| s.push(("b".to_string(), Tensor::from(1_f32))));
        assert_eq!(extra, "the tensor \"b\" has no place in this network");
        let shape = refused(&|s| s[0].1 = s[0].1.view([4]));
        assert_eq!(shape, "the tensor \"a.weight\" has the shape [4], expected [2, 2]");
        let kind = refused(&|s| s[1].1 = Tensor::from(7_f32));
        assert_eq!(kind, "the tensor \"a.num_batches_tracked\" holds Float, expected Int64");
        assert!(own.iter().all(|(_, tensor)| tensor.count_nonzero(None::<i64>).int64_value(&[]) == 0));
    }
}
