//! What miners commit, as text, and where their policies are reached.
//!
//! Pure: no I/O, nothing async. Ingestion reads commitments with it, the command line writes them, scheduling compares hosts, and
//! executors connect to what it has read. The text is hostile: sizes are bounded, nothing panics, and every refusal is a sentence for
//! the miner that never holds an endpoint or a key. `tests/hostile` and `fuzz/` try to break that.
//!
//! Contracts that the types do not show:
//!
//! - There is one [`Endpoint`] and one parser of it. What ingestion takes an executor takes too, because both ask this parser. Text
//!   stands only in protobuf and in Postgres; inside a process the typed endpoint goes as far as the connection.
//! - `Display` then `parse` gives the same endpoint, and the same commitment after [`WrittenCommitment::write`].
//! - `Debug` shows no endpoint, host or identity, for it may have been sealed. `Display` shows all of it.
//! - What is the same endpoint is [`EndpointIdentity`], what is the same host is [`Host`]. Neither compares text.

mod commitment;
mod endpoint;
mod endpoint_error;
mod error;
mod host;
mod identity;
mod parse;
mod published_key;
mod write;

pub use commitment::{
    COMMITMENT_LIMIT, Commitment, Opened, Opening, WrittenCommitment, WrittenEndpoint, parse_commitment,
};
pub use endpoint::{DEPLOYMENTS, Endpoint, Protocol};
pub use endpoint_error::EndpointError;
pub use error::CommitmentError;
pub use host::Host;
pub use identity::EndpointIdentity;
pub use parse::ENDPOINT_LIMIT;
pub use published_key::{PublishedKey, PublishedKeyError};
pub use write::{CommitmentData, Spelling, write_bound_commitment, write_commitment, write_sealed_commitment};
