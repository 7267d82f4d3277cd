//! Trains the networks of one job on one device, and says everything it has to say in files of the job's folder.

mod augment;
mod autoencoder;
mod block;
mod chance;
mod container;
mod device;
mod environment;
mod events;
mod failure;
#[cfg(test)]
mod golden_tests;
mod init;
mod loss;
mod memory_format;
mod network;
#[cfg(test)]
mod network_tests;
mod optimizer;
mod order;
mod shim;
mod state;
mod stop;
mod table;
mod transfer;
#[cfg(test)]
mod transfer_tests;

fn main() {
    println!("libtorch has CUDA: {}", tch::Cuda::is_available());
}
