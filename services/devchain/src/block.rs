//! Blocks and their headers.

use std::sync::Arc;

use parity_scale_codec::{Compact, Encode};
use serde_json::{Value as Json, json};
use sp_crypto_hashing::blake2_256;

use crate::state::State;

/// A block's or a transaction's hash.
pub(crate) type Hash = [u8; 32];

/// `0x` and hex digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    format!("0x{}", hex::encode(bytes))
}

#[derive(Debug, Clone)]
pub(crate) struct Header {
    pub parent: Hash,
    pub number: u32,
    pub state_root: Hash,
    pub extrinsics_root: Hash,
}

impl Header {
    /// Blake2 of the SCALE bytes; ours has no digests.
    pub(crate) fn hash(&self) -> Hash {
        blake2_256(&self.encode_with(&[]))
    }

    /// Parent, compact number, state root, extrinsics root, and digests that are encoded already.
    pub(crate) fn encode_with(&self, digests: &[Vec<u8>]) -> Vec<u8> {
        let before = (self.parent, Compact(self.number), self.state_root, self.extrinsics_root).encode();
        [before, Compact::from(digests.len() as u32).encode(), digests.concat()].concat()
    }

    pub(crate) fn json(&self) -> Json {
        json!({
            "parentHash": hex(&self.parent),
            "number": format!("{:#x}", self.number),
            "stateRoot": hex(&self.state_root),
            "extrinsicsRoot": hex(&self.extrinsics_root),
            "digest": { "logs": [] },
        })
    }
}

#[derive(Clone)]
pub(crate) struct Block {
    pub header: Header,
    pub extrinsics: Vec<Arc<[u8]>>,
    /// `None` once the block is so old that its state was dropped.
    pub state: Option<Arc<State>>,
}
