//! Trains the networks of one job on one device, and says everything it has to say in files of the job's folder.

mod autoencoder;
mod block;
mod device;
mod environment;
mod failure;
#[cfg(test)]
mod golden_tests;
mod init;
mod loss;
mod memory_format;
mod network;
mod optimizer;
mod shim;
mod state;

fn main() {
    println!("libtorch has CUDA: {}", tch::Cuda::is_available());
}
