//! A state dictionary: named tensors, how they are taken over, and how they stand in PyTorch's files.

use tch::{Device, Kind, TchError, Tensor};

/// Names and tensors in PyTorch's order.
pub type State = Vec<(String, Tensor)>;

/// Why a state cannot be taken over.
#[derive(Debug, thiserror::Error)]
pub enum Mismatch {
    #[error("there is no tensor {0:?}")]
    Missing(String),
    #[error("the tensor {0:?} is not one of this network")]
    Unexpected(String),
    #[error("the tensor {name:?} has the shape {found:?}, expected {expected:?}")]
    Shape { name: String, expected: Vec<i64>, found: Vec<i64> },
    #[error("the tensor {name:?} holds {found:?}, expected {expected:?}")]
    Kind { name: String, expected: Kind, found: Kind },
    #[error("{0}")]
    Torch(#[from] TchError),
}

/// A copy on the CPU that no later step changes.
pub fn copied(tensor: &Tensor) -> Result<Tensor, TchError> {
    tensor.f_detach()?.f_to_device_(Device::Cpu, tensor.kind(), false, true)
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
