//! Reading what a miner committed.
//!
//! Two spellings are in use, each with a plain endpoint, a sealed one (`e`), or one that is bound to its hotkey and subnet as well
//! (`b`):
//!
//! - `user/repo:rev:deployment`, `user/repo:rev:e:<blob>`, `user/repo:rev:b:<blob>`; only the first two colons divide, since a URL
//!   has colons too
//! - `{"m":"user/repo","r":"<rev>","d":"<deployment>"}`, or `"e":"<blob>"` or `"b":"<blob>"` for `d`; members we do not know are
//!   ignored
//!
//! A deployment is a UUID or an http(s) or grpc(s) URL ([`Endpoint`]); a blob is a sealed UUID (`kinitro-crypto`).
//!
//! Reading has two steps: [`WrittenCommitment::read`] needs no key and tells what stands there, [`WrittenCommitment::open`] opens
//! what is sealed. [`parse_commitment`] is both.

use kinitro_crypto::{Binding, PrivateKey, check_blob};
use serde::Deserialize;

use crate::{
    CommitmentError, Endpoint, PublishedKey, PublishedKeyError,
    error::{NAME_LIMIT, REVISION_LIMIT},
};

/// A raw field on the chain holds at most this many bytes.
pub const COMMITMENT_LIMIT: usize = 128;

/// A policy that a miner committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commitment {
    /// The model repository, `user/name`.
    pub repo: String,
    /// A commit or tag of the repository.
    pub revision: String,
    /// Where the policy is reached.
    pub endpoint: Endpoint,
    /// How the endpoint was sealed; then never show it to anybody. `None`: it was plain.
    pub opened: Option<Opened>,
}

/// How a sealed endpoint was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opened {
    /// Which of the keys opened it.
    pub key: usize,
    /// It was bound to the hotkey and the subnet.
    pub bound: bool,
}

/// What opens sealed endpoints.
#[derive(Debug, Clone, Copy)]
pub struct Opening<'a> {
    /// Tried in turn.
    pub keys: &'a [PrivateKey],
    /// The hotkey that committed, and the subnet: what a bound endpoint opens for.
    pub binding: Binding,
}

/// A commitment as it stands on the chain, before anything is opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrittenCommitment {
    /// The model repository, `user/name`.
    pub repo: String,
    /// A commit or tag of the repository.
    pub revision: String,
    /// Where the policy is reached, or a blob that hides it.
    pub endpoint: WrittenEndpoint,
}

/// An endpoint as it stands in a commitment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WrittenEndpoint {
    /// For everybody to read.
    Plain(Endpoint),
    /// A blob for the operator's key; one who copies it has it too.
    Sealed(String),
    /// A blob for the operator's key that opens for one hotkey of one subnet.
    Bound(String),
}

#[derive(Deserialize)]
struct Compact {
    m: Option<String>,
    r: Option<String>,
    d: Option<String>,
    e: Option<String>,
    b: Option<String>,
}

#[derive(Clone, Copy)]
enum Part<'a> {
    Plain(&'a str),
    Sealed(&'a str),
    Bound(&'a str),
}

/// Reads a commitment in any of its spellings. A sealed endpoint is opened with the first of the keys that fits.
///
/// # Errors
/// What is wrong with it, as a sentence.
pub fn parse_commitment(data: &[u8], opening: Option<&Opening<'_>>) -> Result<Commitment, CommitmentError> {
    WrittenCommitment::read(data)?.open(opening)
}

impl WrittenCommitment {
    /// Reads a commitment in any of its spellings; blobs are checked for their length and alphabet only.
    ///
    /// # Errors
    /// What is wrong with it, as a sentence.
    pub fn read(data: &[u8]) -> Result<Self, CommitmentError> {
        if data.len() > COMMITMENT_LIMIT {
            return Err(CommitmentError::TooLong { length: data.len() });
        }
        let text = data.trim_ascii();
        if text.is_empty() {
            return Err(CommitmentError::Empty);
        }
        let printable = text.iter().all(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace());
        let text = str::from_utf8(text).ok().filter(|_| printable).ok_or(CommitmentError::NotText)?;
        if text.starts_with('{') { read_json(text) } else { read_colons(text) }
    }

    /// Opens what is sealed.
    ///
    /// # Errors
    /// [`CommitmentError::Sealed`] without a key, [`CommitmentError::NotOpened`] when none fits.
    pub fn open(self, opening: Option<&Opening<'_>>) -> Result<Commitment, CommitmentError> {
        let Self { repo, revision, endpoint } = self;
        let (blob, bound) = match endpoint {
            WrittenEndpoint::Plain(endpoint) => return Ok(Commitment { repo, revision, endpoint, opened: None }),
            WrittenEndpoint::Sealed(blob) => (blob, false),
            WrittenEndpoint::Bound(blob) => (blob, true),
        };
        let mut refused = None;
        for (key, private) in opening.map(|opening| opening.keys).unwrap_or_default().iter().enumerate() {
            let opened = match opening.filter(|_| bound) {
                Some(opening) => kinitro_crypto::open_bound(&blob, private, &opening.binding),
                None => kinitro_crypto::open(&blob, private),
            };
            match opened {
                Ok(uuid) => {
                    let opened = Some(Opened { key, bound });
                    return Ok(Commitment { repo, revision, endpoint: Endpoint::deployment(uuid), opened });
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

fn read_colons(text: &str) -> Result<WrittenCommitment, CommitmentError> {
    let mut parts = text.splitn(3, ':');
    let (Some(repo), Some(revision), Some(endpoint)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(CommitmentError::UnknownForm);
    };
    let part = match (endpoint.strip_prefix("e:"), endpoint.strip_prefix("b:")) {
        (Some(blob), _) => Part::Sealed(blob),
        (_, Some(blob)) => Part::Bound(blob),
        (None, None) => Part::Plain(endpoint),
    };
    assemble(repo, revision, part)
}

fn read_json(text: &str) -> Result<WrittenCommitment, CommitmentError> {
    if PublishedKey::parse(text.as_bytes()) != Err(PublishedKeyError::SomethingElse) {
        return Err(CommitmentError::PublishedKey);
    }
    let Compact { m, r, d, e, b } = serde_json::from_str(text).map_err(|_| CommitmentError::BadJson)?;
    let repo = m.ok_or(CommitmentError::MissingMember { member: "m" })?;
    let revision = r.ok_or(CommitmentError::MissingMember { member: "r" })?;
    let part = match (&d, &e, &b) {
        (Some(plain), None, None) => Part::Plain(plain),
        (None, Some(blob), None) => Part::Sealed(blob),
        (None, None, Some(blob)) => Part::Bound(blob),
        (None, None, None) => return Err(CommitmentError::MissingMember { member: "d" }),
        _ => return Err(CommitmentError::TwoEndpoints),
    };
    assemble(&repo, &revision, part)
}

fn assemble(repo: &str, revision: &str, part: Part<'_>) -> Result<WrittenCommitment, CommitmentError> {
    check_policy(repo, revision)?;
    let (repo, revision) = (repo.to_owned(), revision.to_owned());
    let blob = match part {
        Part::Plain(text) => {
            return match text.parse() {
                Ok(endpoint) => Ok(WrittenCommitment { repo, revision, endpoint: WrittenEndpoint::Plain(endpoint) }),
                Err(reason) => Err(CommitmentError::BadEndpoint { repo, revision, reason }),
            };
        }
        Part::Sealed(blob) | Part::Bound(blob) => blob,
    };
    if let Err(reason) = check_blob(blob) {
        return Err(CommitmentError::NotOpened { repo, revision, reason: reason.to_string() });
    }
    let endpoint = match part {
        Part::Bound(_) => WrittenEndpoint::Bound(blob.to_owned()),
        _ => WrittenEndpoint::Sealed(blob.to_owned()),
    };
    Ok(WrittenCommitment { repo, revision, endpoint })
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
