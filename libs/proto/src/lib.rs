//! The messages, clients and servers generated from `proto/`, and the descriptor set that reflection and REST transcoding read.
//!
//! The documentation of every message and call is in the `.proto` files.

/// All files of `proto/`, their imports and comments, as an encoded `google.protobuf.FileDescriptorSet`.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

macro_rules! packages {
    ($($name:ident = $package:literal),+) => {$(
        #[allow(missing_docs, clippy::all, reason = "generated; the .proto files hold the documentation")]
        pub mod $name {
            /// Version 1 of the package.
            pub mod v1 {
                tonic::include_proto!($package);
            }
        }
    )+};
}

packages!(
    ingestion = "kinitro.ingestion.v1",
    scheduling = "kinitro.scheduling.v1",
    execution = "kinitro.execution.v1",
    scoring = "kinitro.scoring.v1",
    policy = "kinitro.policy.v1"
);
