//! Networks in tensors: layers, losses, the optimizer and their state.

pub mod adam;
pub mod autoencoder;
pub mod convolution;
pub mod init;
pub mod layers;
pub mod loss;
pub mod memory_format;
pub mod network;
pub mod state_dict;
pub mod transfer;
