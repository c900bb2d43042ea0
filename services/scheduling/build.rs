//! The migrations are embedded: a new one must cause a new build.

fn main() {
    println!("cargo::rerun-if-changed=../../migrations/scheduling");
}
