//! A chain for development: one node, the real runtime metadata, the real RPC, no consensus.
//!
//! It serves what subxt and the Python SDKs call, over the metadata of the real subtensor runtime (spec 461 or 419), and
//! executes five calls by rules of its own that follow the real pallets: `set_commitment`, `set_weights` and
//! `commit_timelocked_weights`, the last two also for a mechanism. Everything else of a block is there in its real encoding:
//! headers whose hash is the Blake2 of their bytes, storage keys by the metadata's hashers, events, dispatch errors, signatures,
//! nonces, eras. So a client that works here speaks the chain's language. It does *not* show that a real node would agree with an
//! outcome: there is no consensus, no fee, no emission, permits are as they were set, and the state root is a running hash, no
//! trie.
//!
//! Commit-reveal is off unless configured, unlike on the real chain, where it is on by default. Sealed weights are for the rounds
//! of a beacon of the chain's own, in `Drand.BeaconConfig`: what was sealed for the real drand is dropped when it is due.
//!
//! Finality lags the head by a configured number of blocks, and the last blocks can be reorganised away through the control
//! interface, because a client that confuses the head with the finalized head works on every chain that never reorganises.
//!
//! State lives in memory: a chain that is started anew is another chain, with another genesis hash. Old states are kept for
//! a few hundred blocks.

mod beacon;
mod block;
mod call;
mod chain;
#[cfg(test)]
mod chain_tests;
mod clock;
mod config;
mod error;
mod extrinsic;
mod faults;
mod genesis;
mod hyperparameters;
mod known_calls;
mod meta;
mod pool;
#[cfg(test)]
mod recorded_tests;
mod rpc;
mod runtime;
mod service;
mod state;

pub use config::{Config, NeuronSeed};
pub use error::Error;
pub use faults::LostSubmission;
pub use hyperparameters::{Hyperparameter, Hyperparameters};
pub use service::{Devchain, DevchainHandle, RpcServer, start};
