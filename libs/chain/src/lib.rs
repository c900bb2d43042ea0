//! The subtensor client: finalized blocks, neurons, commitments.
//!
//! A [`ChainClient`] talks to one node over a WebSocket, through the RPC methods that every node serves (never the newer
//! `chainHead` ones, which cannot read old blocks), and finds storage, calls and errors by name in the metadata that the node
//! itself serves. So a runtime upgrade that moves indices or wraps a type does not need a new build.
//!
//! The connection is made when first needed and made again when it was lost: a call while the node is away fails with an error
//! that names the address, and a later call works again. [`ChainClient::follow_finalized`] does the waiting by itself.
//!
//! What miners wrote ([`RawCommitment`], [`parse_commitment`]) is hostile: sizes are bounded, nothing panics, and one bad entry
//! never costs the others.

mod account;
mod block;
mod client;
mod commitment;
mod endpoint;
mod error;
mod follow;
mod link;
mod network;
mod state;
mod submit;
mod value;
mod write;

pub use account::{Signer, account_of, hotkey_of};
pub use block::{BlockHash, BlockHashError, BlockRef};
pub use client::ChainClient;
pub use commitment::{COMMITMENT_LIMIT, Commitment, CommitmentError, parse_commitment};
pub use endpoint::{Endpoint, EndpointError};
pub use error::ChainError;
pub use network::NodeAddress;
pub use state::{MalformedCommitment, Neuron, RawCommitment};
pub use submit::{Receipt, Wait};
pub use write::{write_commitment, write_sealed_commitment};
