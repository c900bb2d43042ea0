//! Lets this package's tests find libmujoco without `LD_LIBRARY_PATH`. Link arguments reach only the package that gives them, so
//! every package whose binaries or tests link this crate has the same lines.

fn main() {
    println!("cargo::rerun-if-env-changed=MUJOCO_DYNAMIC_LINK_DIR");
    if let Ok(folder) = std::env::var("MUJOCO_DYNAMIC_LINK_DIR") {
        println!("cargo::rustc-link-arg=-Wl,-rpath,{folder}");
    }
}
