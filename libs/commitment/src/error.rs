//! Why a commitment cannot be read or written.

use crate::{COMMITMENT_LIMIT, EndpointError};

/// What repository hosts allow for each half of a name.
pub(crate) const NAME_LIMIT: usize = 96;
pub(crate) const REVISION_LIMIT: usize = 64;

/// Why a commitment cannot be used. Each is a sentence that the miner may read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CommitmentError {
    /// No bytes.
    #[error("the commitment is empty")]
    Empty,
    /// More bytes than a raw field holds.
    #[error("the commitment has {length} bytes, at most {COMMITMENT_LIMIT} are allowed")]
    TooLong {
        /// How many.
        length: usize,
    },
    /// Bytes that are no printable text.
    #[error("the commitment is no printable ASCII text")]
    NotText,
    /// Neither of the two spellings.
    #[error(
        "the commitment is neither `user/repo:revision:deployment` nor JSON with `m`, `r` and one of `d`, `e` and `b`"
    )]
    UnknownForm,
    /// Begins like JSON and is none.
    #[error("the commitment is no valid JSON object with the texts `m`, `r` and one of `d`, `e` and `b`")]
    BadJson,
    /// JSON without one of its members.
    #[error("the commitment's JSON has no member `{member}`")]
    MissingMember {
        /// Which.
        member: &'static str,
    },
    /// JSON with more than one endpoint.
    #[error("the commitment has both a plain endpoint and a sealed one, or two: keep one of `d`, `e` and `b`")]
    TwoEndpoints,
    /// The operator's form ([`crate::PublishedKey`]).
    #[error("the commitment is a published key, as an operator's hotkey commits it, and no policy")]
    PublishedKey,
    /// The repository's name.
    #[error("the repository must be `user/name`: letters, digits, `.`, `_` and `-`, at most {NAME_LIMIT} on each side")]
    BadRepo,
    /// The revision.
    #[error("the revision must have 1 to {REVISION_LIMIT} letters, digits, `.`, `_` or `-`")]
    BadRevision,
    /// The plain endpoint.
    #[error("{reason}")]
    BadEndpoint {
        /// The repository, which is known all the same.
        repo: String,
        /// The revision, which is known all the same.
        revision: String,
        /// What is wrong.
        reason: EndpointError,
    },
    /// The endpoint is sealed and no key was given.
    #[error("the endpoint is sealed and no key is configured to open it")]
    Sealed {
        /// The repository, which is known all the same.
        repo: String,
        /// The revision, which is known all the same.
        revision: String,
    },
    /// The endpoint is sealed and does not open.
    #[error("{reason}")]
    NotOpened {
        /// The repository, which is known all the same.
        repo: String,
        /// The revision, which is known all the same.
        revision: String,
        /// What is wrong with the blob, or what the last key said.
        reason: String,
    },
    /// Written by us, the parts would not fit.
    #[error(
        "the commitment would have {length} bytes, {excess} more than the chain's {COMMITMENT_LIMIT}: shorten the {part} ({part_length} bytes)"
    )]
    DoesNotFit {
        /// All of it.
        length: usize,
        /// How many too many.
        excess: usize,
        /// The longest part that can be shortened: repository, revision or endpoint.
        part: &'static str,
        /// How long that part is.
        part_length: usize,
    },
    /// The operator's public key cannot be used for sealing.
    #[error("the endpoint cannot be sealed: {reason}")]
    NotSealed {
        /// Why.
        reason: String,
    },
}

impl CommitmentError {
    /// The repository and revision, when only the endpoint is the trouble.
    pub fn policy(&self) -> Option<(&str, &str)> {
        match self {
            Self::BadEndpoint { repo, revision, .. }
            | Self::Sealed { repo, revision }
            | Self::NotOpened { repo, revision, .. } => Some((repo, revision)),
            _ => None,
        }
    }
}
