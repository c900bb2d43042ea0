//! What a caller keeps of a transaction, and what can become of it.

use kinitro_domain::{BlockNumber, Hotkey};
use serde::{Deserialize, Serialize};

use crate::{BlockHash, BlockRef, ChainError};

/// For how many blocks a transaction is valid, from the finalized block that it was signed on. About 13 minutes.
pub const ERA: u64 = 64;

/// A transaction that was signed and perhaps sent. Whoever keeps it on disk can ask for its fate after a restart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ticket {
    /// The transaction's hash.
    pub hash: BlockHash,
    /// Who signed it.
    pub hotkey: Hotkey,
    /// The call, `Pallet.call`.
    pub call: String,
    /// Its place among the signer's transactions. Of all that share it, one at most gets into a chain.
    pub nonce: u64,
    /// The finalized block that it was signed on: it can be in no block up to this one.
    pub birth: BlockRef,
    /// The last block that it can be in.
    pub last_block: BlockNumber,
}

/// How sure a transaction must be before it is reported as done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// It is in a block of the best chain. A reorganisation can still undo it.
    Inclusion,
    /// It is in a finalized block.
    Finality,
}

/// A transaction that is in a block and succeeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receipt {
    /// The block.
    pub block: BlockRef,
    /// The transaction's hash.
    pub transaction: BlockHash,
}

/// What became of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It is in a block and succeeded.
    Included(Receipt),
    /// It is in a block and failed there: a [`ChainError::Dispatch`].
    Failed(ChainError),
    /// It is in no block and never will be: its time is over, or another transaction has its nonce, in finalized blocks.
    NeverIncluded,
}
