//! Trains the networks of one job on one device, and says everything it has to say in files of the job's folder.

fn main() {
    println!("libtorch has CUDA: {}", tch::Cuda::is_available());
}
