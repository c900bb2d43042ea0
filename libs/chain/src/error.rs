//! What can go wrong between us and the chain.

use kinitro_commitment::CommitmentError;

use crate::BlockHash;

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
    #[error("the chain at {address} is not the one from before: its block {number} is {found}, expected {expected}")]
    OtherChain {
        /// The node.
        address: String,
        /// Which block tells it: 0, the genesis block, or the one that a ticket was signed on.
        number: u64,
        /// Its hash on the chain from before.
        expected: BlockHash,
        /// Its hash now.
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
    /// A wallet or a file with a secret that cannot be used. Never quotes what is in it.
    #[error("the key file {path} cannot be used: {reason}")]
    KeyFile {
        /// The file.
        path: String,
        /// What is wrong, and what to do.
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
    /// The transaction got into no block and never will: it may be signed anew.
    #[error("the transaction {transaction} got into no block and never will: {reason}; send it again")]
    NotIncluded {
        /// The transaction's hash.
        transaction: BlockHash,
        /// How that is known.
        reason: String,
    },
    /// The node keeps no body or no state of a block that would tell.
    #[error(
        "what became of the transaction {transaction} in block {block} cannot be read, because the chain at {address} has \
         discarded what it knew of that block: look at what stands on the chain now, or ask an archive node"
    )]
    Forgotten {
        /// The node.
        address: String,
        /// The transaction's hash.
        transaction: BlockHash,
        /// The block that it is in, or could be in.
        block: u64,
    },
    /// The ticket could not be written down, so the transaction was not sent.
    #[error("the transaction was not sent, because its ticket could not be recorded: {reason}")]
    Unrecorded {
        /// What the caller said.
        reason: String,
    },
    /// What stands on the chain is not what was written. Somebody else uses the key, or the runtime changes what it is given.
    #[error("the chain does not hold what {call} wrote: {difference}")]
    NotAsWritten {
        /// The call, `Pallet.call`.
        call: &'static str,
        /// What differs.
        difference: String,
    },
}
