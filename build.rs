//! Gives the trainer, and no other program, libtorch's missing calls (the three `.cpp` files below `src/trainer`) and the run path to libtorch.

/// A package says here where its libtorch will lie, so that its trainer never looks into the folder of whoever built it.
#[cfg(feature = "torch")]
const RUN_PATH: &str = "NEUROSEARCH_RPATH";
/// Where `make install` puts libtorch, seen from the installed trainer.
#[cfg(feature = "torch")]
const INSTALLED: &str = "$ORIGIN/../lib/neurosearch/torch/lib";

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    #[cfg(feature = "torch")]
    trainer();
}

#[cfg(feature = "torch")]
fn trainer() {
    const SHIMS: [&str; 3] = ["src/trainer/shim.cpp", "src/trainer/data/gpu_feed.cpp", "src/trainer/model/convolution.cpp"];
    for name in ["LIBTORCH", RUN_PATH] {
        println!("cargo:rerun-if-env-changed={name}");
    }
    SHIMS.iter().for_each(|file| println!("cargo:rerun-if-changed={file}"));
    let Some(libtorch) = std::env::var_os("LIBTORCH") else {
        panic!("LIBTORCH is not set: run `make libtorch` in the checkout, which .cargo/config.toml points at");
    };
    let libtorch = std::path::absolute(libtorch).expect("the working directory of a build script is there");
    let objects = cc::Build::new()
        .cpp(true)
        .std("c++17")
        .files(SHIMS)
        .include(libtorch.join("include"))
        .warnings(false)
        .cargo_metadata(false)
        .compile_intermediates();
    let link = |argument: String| println!("cargo:rustc-link-arg-bin=neurosearch-trainer={argument}");
    objects.iter().for_each(|object| link(object.display().to_string()));
    let library = libtorch.join("lib");
    link(format!("-L{}", library.display()));
    ["-ltorch_cpu", "-lc10", "-lstdc++"].into_iter().for_each(|name| link(name.to_string()));
    let run_path = std::env::var(RUN_PATH).unwrap_or_else(|_| format!("{INSTALLED}:{}", library.display()));
    link(format!("-Wl,-rpath,{run_path}"));
}
