//! A chain for development: one node, the real runtime metadata, the real RPC, no consensus.
//!
//! It serves what subxt's legacy backend calls, over the metadata of the real subtensor runtime (spec 461), and executes one
//! call, `Commitments.set_commitment`, by rules of its own that follow the real pallet. Everything else of a block is there in
//! its real encoding: headers whose hash is the Blake2 of their bytes, storage keys by the metadata's hashers, events, dispatch
//! errors, signatures, nonces, eras. So a client that works here speaks the chain's language. It does *not* show that a real
//! node would agree with an outcome: there is no consensus, no fee, no weight, and the state root is a running hash, no trie.
//!
//! Finality lags the head by a configured number of blocks, and the last blocks can be reorganised away through the control
//! interface, because a client that confuses the head with the finalized head works on every chain that never reorganises.
//!
//! State lives in memory: a chain that is started anew is another chain, with another genesis hash. Old states are kept for
//! a few hundred blocks.

mod block;
mod chain;
mod config;
mod error;
mod extrinsic;
mod genesis;
mod meta;
mod pool;
mod rpc;
mod runtime;
mod service;
mod state;

pub use config::{Config, NeuronSeed};
pub use error::Error;
pub use service::{Devchain, DevchainHandle, RpcServer, start};
