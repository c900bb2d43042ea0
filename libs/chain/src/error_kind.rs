//! Errors in the groups that a caller acts on: what to retry, what to wait for, what to tell the operator.

use crate::{ChainError, dispatch};

/// What an error means for the one who caused it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Too soon after the last time: wait some blocks.
    RateLimited,
    /// The hotkey is not registered on the subnet.
    NotRegistered,
    /// The hotkey holds no validator permit.
    NoPermit,
    /// The subnet takes sealed weights only.
    CommitRevealOn,
    /// The subnet takes open weights only.
    CommitRevealOff,
    /// Sealed weights in another format than the subnet's.
    CommitRevealVersion,
    /// The beacon's round for revealing is over already.
    RevealRound,
    /// The hotkey has too little stake.
    TooLittleStake,
    /// The version key is older than the subnet asks for.
    VersionKey,
    /// The weights themselves are refused.
    BadWeights,
    /// There is no such subnet or mechanism.
    NoSubnet,
    /// Somebody else used the key at the same time, repeatedly.
    StaleNonce,
    /// The transaction got into no block and never will: sign it anew.
    Expired,
    /// The node does not take the transaction, for a reason of its own.
    Refused,
    /// The node is away, or too slow. A ticket that was given out may still come true.
    Unreachable,
    /// The node answers nonsense, or lacks a block.
    Node,
    /// The node serves another chain.
    OtherChain,
    /// The node forgot the state that would tell.
    Forgotten,
    /// What stands on the chain is not what was written.
    NotAsWritten,
    /// What was given is wrong: an address, a key, a commitment. Repeating does not help.
    Input,
    /// Some other error of the runtime; its name is in the error.
    Other,
}

impl ChainError {
    /// The group that the error belongs to.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::BadAddress { .. }
            | Self::BadHotkey { .. }
            | Self::BadSigner { .. }
            | Self::KeyFile { .. }
            | Self::Commitment(_)
            | Self::Unrecorded { .. } => ErrorKind::Input,
            Self::Unreachable { .. } | Self::Timeout { .. } => ErrorKind::Unreachable,
            Self::OtherChain { .. } => ErrorKind::OtherChain,
            Self::BlockNotFound { .. } | Self::Node { .. } | Self::TooMany { .. } => ErrorKind::Node,
            Self::Refused { code, reason, .. } => dispatch::refusal(*code, reason),
            Self::Dispatch { error, .. } => dispatch::kind(error),
            Self::NotIncluded { .. } => ErrorKind::Expired,
            Self::Forgotten { .. } => ErrorKind::Forgotten,
            Self::NotAsWritten { .. } => ErrorKind::NotAsWritten,
        }
    }
}
