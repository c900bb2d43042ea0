//! What can go wrong between us and the chain.

use crate::{BlockHash, CommitmentError};

/// A failed call. The ones that concern a node name its address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChainError {
    /// The node's address cannot be used.
    #[error("`{given}` is no node of the chain: {reason}; give finney, test, local, or a ws:// or wss:// URL")]
    BadAddress {
        /// What was given.
        given: String,
        /// What is wrong with it.
        reason: String,
    },
    /// No connection, or it was lost during the call. It is made again by the next call.
    #[error("the chain at {address} cannot be reached ({reason}): check that the node runs and the address is right")]
    Unreachable {
        /// The node.
        address: String,
        /// Why.
        reason: String,
    },
    /// The node did not answer in time.
    #[error("the chain at {address} did not finish within {seconds} s: {task}")]
    Timeout {
        /// The node.
        address: String,
        /// What was asked of it.
        task: &'static str,
        /// How long was waited.
        seconds: u64,
    },
    /// The node now serves another chain than before.
    #[error("the chain at {address} is not the one from before: its genesis block is {found}, expected {expected}")]
    OtherChain {
        /// The node.
        address: String,
        /// The genesis hash of the first connection.
        expected: BlockHash,
        /// The genesis hash now.
        found: BlockHash,
    },
    /// The node does not know the block, or forgot it.
    #[error(
        "the chain at {address} has no block {block}: it was dropped by a reorganisation, or the node keeps no old blocks"
    )]
    BlockNotFound {
        /// The node.
        address: String,
        /// Number or hash.
        block: String,
    },
    /// The node answered with an error, or with something that does not fit its own metadata.
    #[error("the chain at {address} failed: {task}: {reason}")]
    Node {
        /// The node.
        address: String,
        /// What was asked of it.
        task: &'static str,
        /// What it answered.
        reason: String,
    },
    /// The storage is larger than a subnet can make it.
    #[error("the chain at {address} lists more than {limit} {entries} for one subnet: the node cannot be trusted")]
    TooMany {
        /// The node.
        address: String,
        /// What there are too many of.
        entries: &'static str,
        /// How many are read at most.
        limit: usize,
    },
    /// An address of another network, or with a wrong checksum.
    #[error("`{hotkey}` is no SS58 address of prefix 42 with a valid checksum")]
    BadHotkey {
        /// The address.
        hotkey: String,
    },
    /// A secret that makes no key pair.
    #[error("the signing key cannot be used: {reason}")]
    BadSigner {
        /// What is wrong with it.
        reason: String,
    },
    /// The commitment's bytes cannot go onto the chain.
    #[error(transparent)]
    Commitment(#[from] CommitmentError),
    /// The node did not take the transaction: bad signature, stale nonce, expired era.
    #[error("the chain at {address} refused the transaction: {reason}")]
    Refused {
        /// The node.
        address: String,
        /// The code of the answer, 1010 for an invalid transaction.
        code: i32,
        /// What it answered.
        reason: String,
    },
    /// The transaction is in a block and failed there.
    #[error("the chain did not execute {call}: {error}{hint}")]
    Dispatch {
        /// The call, `Pallet.call`.
        call: &'static str,
        /// The error's name, `Pallet.Error`.
        error: String,
        /// What to do, when that is known: empty, or a colon and a clause.
        hint: &'static str,
    },
    /// The transaction was taken and then dropped.
    #[error("the transaction did not get into a block: {reason}; send it again")]
    NotIncluded {
        /// What the node said.
        reason: String,
    },
}
