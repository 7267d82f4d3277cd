//! Gives the trainer, and no other program, the run path to libtorch.
fn main() {
    println!("cargo:rerun-if-env-changed=LIBTORCH");
    if std::env::var_os("CARGO_FEATURE_TORCH").is_some()
        && let Ok(d) = std::env::var("LIBTORCH")
    {
        println!("cargo:rustc-link-arg-bin=neurosearch-trainer=-Wl,-rpath,{d}/lib");
    }
}
