//! Why a development chain cannot run or do what it was told.

use std::{io, path::PathBuf};

/// A failure of the chain itself; what a client did wrong is answered to the client.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Settings that contradict each other.
    #[error("the development chain cannot be made: {reason}")]
    Config {
        /// Which, and what they must be.
        reason: String,
    },
    /// The runtime metadata was not fetched.
    #[error("the chain's metadata {} cannot be read ({source}): run `make setup`", path.display())]
    MetadataMissing {
        /// Where it was looked for.
        path: PathBuf,
        /// Why it cannot be read.
        source: io::Error,
    },
    /// The runtime metadata is not what this version was written for.
    #[error("the chain's metadata in {} cannot be used: {reason}", path.display())]
    Metadata {
        /// The folder.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The seed file cannot be read.
    #[error("the seed file {} cannot be used: {reason}", path.display())]
    Seed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A neuron of the configuration or the seed file.
    #[error("the neuron `{hotkey}` cannot be registered: {reason}")]
    Neuron {
        /// As configured.
        hotkey: String,
        /// What is wrong.
        reason: String,
    },
    /// A value that does not fit the metadata's type.
    #[error("{item} cannot be encoded as the metadata says: {reason}")]
    Encoding {
        /// The storage entry or event.
        item: String,
        /// What is wrong.
        reason: String,
    },
    /// The chain's own beacon.
    #[error("the chain's beacon cannot be made: {0}")]
    Beacon(#[source] kinitro_timelock::TimelockError),
    /// More mechanisms than a subnet can have.
    #[error("a subnet has 1 to 16 mechanisms, not {count}")]
    Mechanisms {
        /// What was asked for.
        count: u8,
    },
    /// A uid beyond the subnet's size.
    #[error("there is no uid {uid}: the subnet has {size} neurons; register a hotkey there first")]
    NoSuchUid {
        /// What was asked for.
        uid: u16,
        /// How many there are.
        size: u64,
    },
    /// More blocks than are unfinalized.
    #[error("{depth} blocks cannot be reorganised: only {unfinalized} are not finalized")]
    ReorgTooDeep {
        /// What was asked for.
        depth: u32,
        /// What is possible.
        unfinalized: u32,
    },
    /// The listening socket.
    #[error("the RPC server cannot start: {0}")]
    Listen(#[source] io::Error),
}
