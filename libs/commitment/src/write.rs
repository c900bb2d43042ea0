//! Writing commitments, in either spelling. What is written is never longer than the chain takes: [`CommitmentData`] cannot be.

use std::{fmt, ops::Deref};

use kinitro_crypto::{Binding, CryptoError, PublicKey, check_blob, seal, seal_bound};
use uuid::Uuid;

use crate::{
    COMMITMENT_LIMIT, CommitmentError, Endpoint, WrittenCommitment, WrittenEndpoint, commitment::check_policy,
};

/// The bytes of a commitment: printable ASCII, at most [`COMMITMENT_LIMIT`] of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitmentData(String);

impl CommitmentData {
    /// A text, if it fits.
    pub(crate) fn fitting(text: String) -> Option<Self> {
        (text.len() <= COMMITMENT_LIMIT).then_some(Self(text))
    }

    /// The same as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Deref for CommitmentData {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Display for CommitmentData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How a commitment is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Spelling {
    /// `user/repo:rev:endpoint`: the shorter one, by 18 or 20 bytes.
    #[default]
    Colons,
    /// `{"m":"user/repo","r":"rev","d":"endpoint"}`
    Json,
}

impl WrittenEndpoint {
    /// A deployment sealed for the operator's key.
    ///
    /// # Errors
    /// [`CommitmentError::NotSealed`], when the key protects nothing.
    pub fn seal(deployment: &Uuid, recipient: &PublicKey) -> Result<Self, CommitmentError> {
        seal(deployment, recipient).map(Self::Sealed).map_err(not_sealed)
    }

    /// A deployment sealed for the operator's key, and for one hotkey of one subnet.
    ///
    /// # Errors
    /// [`CommitmentError::NotSealed`], when the key protects nothing.
    pub fn seal_bound(deployment: &Uuid, recipient: &PublicKey, binding: &Binding) -> Result<Self, CommitmentError> {
        seal_bound(deployment, recipient, binding).map(Self::Bound).map_err(not_sealed)
    }

    /// The JSON member, and the text.
    fn parts(&self) -> (char, String) {
        match self {
            Self::Plain(endpoint) => ('d', endpoint.to_string()),
            Self::Sealed(blob) => ('e', blob.clone()),
            Self::Bound(blob) => ('b', blob.clone()),
        }
    }
}

fn not_sealed(error: CryptoError) -> CommitmentError {
    CommitmentError::NotSealed { reason: error.to_string() }
}

impl WrittenCommitment {
    /// The bytes to commit. [`WrittenCommitment::read`] reads the same from them.
    ///
    /// # Errors
    /// A repository, revision or blob that would not be read back, or [`CommitmentError::DoesNotFit`], which names the part to
    /// shorten. A blob takes 82 bytes in the colon spelling and cannot be shortened, so repository and revision together have 44.
    pub fn write(&self, spelling: Spelling) -> Result<CommitmentData, CommitmentError> {
        let Self { repo, revision, endpoint } = self;
        check_policy(repo, revision)?;
        let plain = match endpoint {
            WrittenEndpoint::Plain(_) => true,
            WrittenEndpoint::Sealed(blob) | WrittenEndpoint::Bound(blob) => {
                check_blob(blob).map_err(not_sealed)?;
                false
            }
        };
        let (member, endpoint) = endpoint.parts();
        // No part has a character that JSON would escape: names, URLs and blobs have neither quotes nor backslashes.
        let text = match spelling {
            Spelling::Colons if plain => format!("{repo}:{revision}:{endpoint}"),
            Spelling::Colons => format!("{repo}:{revision}:{member}:{endpoint}"),
            Spelling::Json => format!(r#"{{"m":"{repo}","r":"{revision}","{member}":"{endpoint}"}}"#),
        };
        let length = text.len();
        CommitmentData::fitting(text).ok_or_else(|| {
            let parts = [("revision", revision.len()), ("endpoint", endpoint.len()), ("repository", repo.len())];
            let (part, part_length) = parts
                .into_iter()
                .filter(|(part, _)| plain || *part != "endpoint")
                .max_by_key(|(_, length)| *length)
                .unwrap_or(("repository", repo.len()));
            CommitmentError::DoesNotFit { length, excess: length - COMMITMENT_LIMIT, part, part_length }
        })
    }

    fn colons(repo: &str, revision: &str, endpoint: WrittenEndpoint) -> Result<CommitmentData, CommitmentError> {
        Self { repo: repo.to_owned(), revision: revision.to_owned(), endpoint }.write(Spelling::Colons)
    }
}

/// A commitment with a plain endpoint, in the colon spelling.
///
/// # Errors
/// As [`WrittenCommitment::write`].
pub fn write_commitment(repo: &str, revision: &str, endpoint: &Endpoint) -> Result<CommitmentData, CommitmentError> {
    WrittenCommitment::colons(repo, revision, WrittenEndpoint::Plain(endpoint.clone()))
}

/// A commitment whose endpoint only the holder of the private key learns, in the colon spelling. Anybody may copy the blob.
///
/// # Errors
/// As [`WrittenCommitment::write`], and [`CommitmentError::NotSealed`].
pub fn write_sealed_commitment(
    repo: &str,
    revision: &str,
    deployment: &Uuid,
    recipient: &PublicKey,
) -> Result<CommitmentData, CommitmentError> {
    WrittenCommitment::colons(repo, revision, WrittenEndpoint::seal(deployment, recipient)?)
}

/// A commitment whose endpoint only the holder of the private key learns, and only when this hotkey commits it on this subnet, in
/// the colon spelling.
///
/// # Errors
/// As [`WrittenCommitment::write`], and [`CommitmentError::NotSealed`].
pub fn write_bound_commitment(
    repo: &str,
    revision: &str,
    deployment: &Uuid,
    recipient: &PublicKey,
    binding: &Binding,
) -> Result<CommitmentData, CommitmentError> {
    WrittenCommitment::colons(repo, revision, WrittenEndpoint::seal_bound(deployment, recipient, binding)?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_commitment_that_does_not_fit_names_the_part_to_shorten_and_by_how_much() {
        let long: Endpoint = format!("http://host/{}", "x".repeat(120)).parse().unwrap();
        let refused = write_commitment("user/repo", "0a1b2c3d", &long).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "the commitment would have 151 bytes, 23 more than the chain's 128: shorten the endpoint (132 bytes)"
        );
        let key = kinitro_crypto::PrivateKey::generate().public();
        for endpoint in [
            WrittenEndpoint::seal(&Uuid::nil(), &key).unwrap(),
            WrittenEndpoint::seal_bound(&Uuid::nil(), &key, &Binding { netuid: 1, hotkey: [1; 32] }).unwrap(),
        ] {
            let mut commitment =
                WrittenCommitment { repo: format!("user/{}", "r".repeat(30)), revision: "v".repeat(9), endpoint };
            let written = commitment.write(Spelling::Colons).unwrap();
            assert_eq!(written.len(), COMMITMENT_LIMIT, "exactly full");
            let refused = commitment.write(Spelling::Json).unwrap_err().to_string();
            assert!(
                refused.contains("146 bytes, 18 more") && refused.contains("the repository (35 bytes)"),
                "{refused}"
            );
            commitment.revision = "v".repeat(40);
            assert_eq!(
                commitment.write(Spelling::Colons),
                Err(CommitmentError::DoesNotFit { length: 159, excess: 31, part: "revision", part_length: 40 })
            );
        }
    }

    #[test]
    fn what_would_not_be_read_back_is_not_written() {
        let endpoint: Endpoint = "http://h".parse().unwrap();
        assert_eq!(write_commitment("repo", "v1", &endpoint), Err(CommitmentError::BadRepo));
        assert_eq!(write_commitment("a/b", "v:1", &endpoint), Err(CommitmentError::BadRevision));
        for blob in ["", "x", &"\"".repeat(80), &"~".repeat(80)] {
            let endpoint = WrittenEndpoint::Sealed(blob.to_owned());
            let commitment = WrittenCommitment { repo: "a/b".to_owned(), revision: "v1".to_owned(), endpoint };
            assert!(matches!(commitment.write(Spelling::Json), Err(CommitmentError::NotSealed { .. })), "{blob}");
        }
    }
}
