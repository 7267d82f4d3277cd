//! Trains the networks of one job on one device, and says everything it has to say in files of the job's folder.

mod augment;
mod autoencoder;
mod bench;
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

fn main() -> std::process::ExitCode {
    // Without its environment the program computes the same, only slower.
    let _ = environment::settle();
    let mut arguments = std::env::args_os().skip(1);
    match arguments.next() {
        Some(word) if word == "bench" => bench::run(arguments),
        _ => std::process::ExitCode::from(2),
    }
}
