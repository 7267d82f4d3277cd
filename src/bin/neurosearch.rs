//! The command line: everything it does is in `neurosearch::cli`.

fn main() -> std::process::ExitCode {
    neurosearch::cli::main(std::env::args_os()).into()
}
