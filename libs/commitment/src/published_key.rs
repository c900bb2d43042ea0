//! The operator's public key on the chain, where miners look it up by the operator's hotkey.
//!
//! It stands where a miner's policy would: `{"t":"pk","k":"<64 hex>"}`. `{"type":"backend_pubkey","key":"<64 hex>"}` is read too.

use kinitro_crypto::PublicKey;
use serde::Deserialize;

use crate::{COMMITMENT_LIMIT, CommitmentData};

/// A public key that an operator published; miners seal their endpoints with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublishedKey(pub PublicKey);

/// Why a commitment is no published key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PublishedKeyError {
    /// Something else is committed: a policy, or nothing that can be read.
    #[error(
        "the commitment is no published key: the operator's hotkey must commit `{{\"t\":\"pk\",\"k\":\"<64 hex digits>\"}}`"
    )]
    SomethingElse,
    /// It says that it is one, and its key is none.
    #[error(
        "the commitment is a published key, but its key is not 64 hex digits: ask the operator to publish it again"
    )]
    BadKey,
}

#[derive(Deserialize)]
struct Members {
    t: Option<String>,
    k: Option<String>,
    r#type: Option<String>,
    key: Option<String>,
}

impl PublishedKey {
    /// Reads a commitment that publishes a key, in either spelling. Members that are not known are ignored.
    ///
    /// # Errors
    /// [`PublishedKeyError`]
    pub fn parse(data: &[u8]) -> Result<Self, PublishedKeyError> {
        // JSON's arrays would be read as members in their order.
        let is_object = data.len() <= COMMITMENT_LIMIT && data.trim_ascii_start().starts_with(b"{");
        let members: Option<Members> = is_object.then(|| serde_json::from_slice(data).ok()).flatten();
        let members = members.ok_or(PublishedKeyError::SomethingElse)?;
        let digits = match (members.t.as_deref(), members.r#type.as_deref()) {
            (Some("pk"), None) => members.k,
            (None, Some("backend_pubkey")) => members.key,
            _ => return Err(PublishedKeyError::SomethingElse),
        };
        let key = digits.and_then(|digits| PublicKey::from_hex(&digits).ok());
        key.map(Self).ok_or(PublishedKeyError::BadKey)
    }

    /// The bytes to commit.
    pub fn write(&self) -> CommitmentData {
        let text = format!(r#"{{"t":"pk","k":"{}"}}"#, self.0);
        CommitmentData::fitting(text).expect("a published key has 82 bytes")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use kinitro_crypto::PrivateKey;

    use super::*;
    use crate::{CommitmentError, parse_commitment};

    #[test]
    fn what_is_written_is_read_and_is_no_policy() {
        let key = PublishedKey(PrivateKey::generate().public());
        let written = key.write();
        assert_eq!(written.as_str(), format!(r#"{{"t":"pk","k":"{}"}}"#, key.0));
        assert_eq!(PublishedKey::parse(&written), Ok(key));
        let older = format!(r#"{{"type": "backend_pubkey", "key": "{}", "v": 1}}"#, key.0.to_string().to_uppercase());
        assert_eq!(PublishedKey::parse(older.as_bytes()), Ok(key));
        for text in [written.as_str(), &older, r#"{"t":"pk"}"#] {
            assert_eq!(parse_commitment(text.as_bytes(), None), Err(CommitmentError::PublishedKey), "{text}");
        }
    }

    #[test]
    fn what_is_no_published_key_says_so() {
        let digits = "ab".repeat(32);
        for text in
            ["", "{", "[]", "a/b:v1:http://h", r#"{"m":"a/b","r":"v1","d":"http://h"}"#, r#"{"t":"px","k":"00"}"#]
        {
            assert_eq!(PublishedKey::parse(text.as_bytes()), Err(PublishedKeyError::SomethingElse), "{text}");
        }
        let array = format!(r#"["pk","{digits}",null,null]"#);
        let both = format!(r#"{{"t":"pk","type":"backend_pubkey","k":"{digits}"}}"#);
        let twice = format!(r#"{{"t":"pk","k":"{digits}","k":"00"}}"#);
        let long = format!(r#"{{"t":"pk","k":"{digits}"{}}}"#, " ".repeat(50));
        for text in [array, both, twice, long] {
            assert_eq!(PublishedKey::parse(text.as_bytes()), Err(PublishedKeyError::SomethingElse), "{text}");
        }
        for text in [
            r#"{"t":"pk"}"#.to_owned(),
            r#"{"t":"pk","k":"00"}"#.to_owned(),
            format!(r#"{{"t":"pk","k":"{digits}0"}}"#),
        ] {
            assert_eq!(PublishedKey::parse(text.as_bytes()), Err(PublishedKeyError::BadKey), "{text}");
        }
    }
}
