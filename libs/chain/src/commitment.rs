//! Reading what a miner committed.
//!
//! Two spellings are in use, each plain or with a sealed endpoint:
//!
//! - `user/repo:rev:deployment` and `user/repo:rev:e:<blob>`; only the first two colons divide, since a URL has colons too
//! - `{"m":"user/repo","r":"<rev>","d":"<deployment>"}` and `{"m":…,"r":…,"e":"<blob>"}`; members we do not know are ignored
//!
//! A deployment is a UUID or an http(s) or grpc(s) URL ([`Endpoint`]); a blob is a sealed UUID (`kinitro-crypto`).

use kinitro_crypto::PrivateKey;
use serde::Deserialize;

use crate::{Endpoint, EndpointError};

/// A raw field on the chain holds at most this many bytes.
pub const COMMITMENT_LIMIT: usize = 128;
/// What repository hosts allow for each half of a name.
const NAME_LIMIT: usize = 96;
const REVISION_LIMIT: usize = 64;

/// A policy that a miner committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commitment {
    /// The model repository, `user/name`.
    pub repo: String,
    /// A commit or tag of the repository.
    pub revision: String,
    /// Where the policy is reached.
    pub endpoint: Endpoint,
    /// The endpoint was sealed: never show it to anybody.
    pub sealed: bool,
}

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
    #[error("the commitment is neither `user/repo:revision:deployment` nor JSON with `m`, `r` and `d` or `e`")]
    UnknownForm,
    /// Begins like JSON and is none.
    #[error("the commitment is no valid JSON object with the texts `m`, `r` and `d` or `e`")]
    BadJson,
    /// JSON without one of its members.
    #[error("the commitment's JSON has no member `{member}`")]
    MissingMember {
        /// Which.
        member: &'static str,
    },
    /// JSON with a plain and a sealed endpoint.
    #[error("the commitment has both a plain endpoint `d` and a sealed one `e`")]
    TwoEndpoints,
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
        /// What the last key said.
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
        /// The part that is longest: repository, revision or endpoint.
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

#[derive(Deserialize)]
struct Compact {
    m: Option<String>,
    r: Option<String>,
    d: Option<String>,
    e: Option<String>,
}

enum Part<'a> {
    Plain(&'a str),
    Sealed(&'a str),
}

/// Reads a commitment in any of its spellings. Sealed endpoints are opened with the first of `keys` that fits.
pub fn parse_commitment(data: &[u8], keys: Option<&[PrivateKey]>) -> Result<Commitment, CommitmentError> {
    if data.len() > COMMITMENT_LIMIT {
        return Err(CommitmentError::TooLong { length: data.len() });
    }
    let text = data.trim_ascii();
    if text.is_empty() {
        return Err(CommitmentError::Empty);
    }
    let printable = text.iter().all(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace());
    let text = str::from_utf8(text).ok().filter(|_| printable).ok_or(CommitmentError::NotText)?;
    if text.starts_with('{') { parse_json(text, keys) } else { parse_colons(text, keys) }
}

fn parse_colons(text: &str, keys: Option<&[PrivateKey]>) -> Result<Commitment, CommitmentError> {
    let mut parts = text.splitn(3, ':');
    let (Some(repo), Some(revision), Some(endpoint)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(CommitmentError::UnknownForm);
    };
    let endpoint = endpoint.strip_prefix("e:").map_or(Part::Plain(endpoint), Part::Sealed);
    assemble(repo, revision, endpoint, keys)
}

fn parse_json(text: &str, keys: Option<&[PrivateKey]>) -> Result<Commitment, CommitmentError> {
    let compact: Compact = serde_json::from_str(text).map_err(|_| CommitmentError::BadJson)?;
    let repo = compact.m.ok_or(CommitmentError::MissingMember { member: "m" })?;
    let revision = compact.r.ok_or(CommitmentError::MissingMember { member: "r" })?;
    let endpoint = match (&compact.d, &compact.e) {
        (Some(plain), None) => Part::Plain(plain),
        (None, Some(sealed)) => Part::Sealed(sealed),
        (Some(_), Some(_)) => return Err(CommitmentError::TwoEndpoints),
        (None, None) => return Err(CommitmentError::MissingMember { member: "d" }),
    };
    assemble(&repo, &revision, endpoint, keys)
}

fn assemble(
    repo: &str,
    revision: &str,
    endpoint: Part<'_>,
    keys: Option<&[PrivateKey]>,
) -> Result<Commitment, CommitmentError> {
    check_policy(repo, revision)?;
    let (repo, revision) = (repo.to_owned(), revision.to_owned());
    match endpoint {
        Part::Plain(text) => match text.parse() {
            Ok(endpoint) => Ok(Commitment { repo, revision, endpoint, sealed: false }),
            Err(reason) => Err(CommitmentError::BadEndpoint { repo, revision, reason }),
        },
        Part::Sealed(blob) => {
            let mut refused = None;
            for key in keys.unwrap_or_default() {
                match kinitro_crypto::open(blob, key) {
                    Ok(uuid) => {
                        return Ok(Commitment { repo, revision, endpoint: Endpoint::Deployment(uuid), sealed: true });
                    }
                    Err(error) => refused = Some(error.to_string()),
                }
            }
            Err(match refused {
                Some(reason) => CommitmentError::NotOpened { repo, revision, reason },
                None => CommitmentError::Sealed { repo, revision },
            })
        }
    }
}

/// Checks a repository and a revision, whether read or about to be written.
pub(crate) fn check_policy(repo: &str, revision: &str) -> Result<(), CommitmentError> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    let name = |name: &str| {
        (1..=NAME_LIMIT).contains(&name.len())
            && name.bytes().all(allowed)
            && name.bytes().any(|byte| byte.is_ascii_alphanumeric())
            && !name.starts_with(['.', '-'])
            && !name.contains("..")
    };
    if !repo.split_once('/').is_some_and(|(user, model)| name(user) && name(model)) {
        return Err(CommitmentError::BadRepo);
    }
    let revision_ok = (1..=REVISION_LIMIT).contains(&revision.len())
        && revision.bytes().all(allowed)
        && !revision.starts_with(['.', '-'])
        && !revision.contains("..");
    if revision_ok { Ok(()) } else { Err(CommitmentError::BadRevision) }
}
