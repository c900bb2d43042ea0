//! Compiles `proto/` with protox (no protoc needed) into messages, clients, servers and one descriptor set.

use std::{env, error::Error, fs, path::PathBuf};

use prost::Message as _;

/// Our services, and `policy`, which miners serve.
const PACKAGES: [&str; 5] = ["ingestion", "scheduling", "execution", "scoring", "policy"];

fn main() -> Result<(), Box<dyn Error>> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("../../proto");
    println!("cargo::rerun-if-changed={}", root.display());
    let files: Vec<PathBuf> =
        PACKAGES.iter().map(|name| root.join(format!("kinitro/{name}/v1/{name}.proto"))).collect();

    let mut compiler = protox::Compiler::new([&root])?;
    compiler.include_imports(true).include_source_info(true).open_files(&files)?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    // Encoded by protox itself: prost-types would drop the google.api.http options, which REST transcoding reads.
    fs::write(out.join("descriptors.bin"), compiler.encode_file_descriptor_set())?;

    let descriptors = prost_types::FileDescriptorSet::decode(compiler.encode_file_descriptor_set().as_slice())?;
    tonic_prost_build::configure().btree_map(".").compile_fds(descriptors)?;
    Ok(())
}
