//! Writing commitments, in the colon form: the shorter of the two spellings.

use kinitro_crypto::PublicKey;
use uuid::Uuid;

use crate::{COMMITMENT_LIMIT, CommitmentError, Endpoint, commitment::check_policy};

/// The bytes of a commitment with a plain endpoint.
///
/// # Errors
/// A repository or revision that would not be read back, or [`CommitmentError::DoesNotFit`], which names the part to shorten.
pub fn write_commitment(repo: &str, revision: &str, endpoint: &Endpoint) -> Result<Vec<u8>, CommitmentError> {
    write(repo, revision, &endpoint.to_string())
}

/// The bytes of a commitment whose endpoint only the holder of the private key learns.
///
/// # Errors
/// As [`write_commitment`]; a sealed endpoint takes 82 bytes, so repository and revision together have 44.
pub fn write_sealed_commitment(
    repo: &str,
    revision: &str,
    deployment: &Uuid,
    recipient: &PublicKey,
) -> Result<Vec<u8>, CommitmentError> {
    let sealed = kinitro_crypto::seal(deployment, recipient)
        .map_err(|error| CommitmentError::NotSealed { reason: error.to_string() })?;
    write(repo, revision, &format!("e:{sealed}"))
}

fn write(repo: &str, revision: &str, endpoint: &str) -> Result<Vec<u8>, CommitmentError> {
    check_policy(repo, revision)?;
    let text = format!("{repo}:{revision}:{endpoint}");
    if text.len() <= COMMITMENT_LIMIT {
        return Ok(text.into_bytes());
    }
    // A sealed endpoint has a fixed length: there is nothing to shorten.
    let parts = [("repository", repo), ("revision", revision), ("endpoint", endpoint)];
    let (part, longest) = parts
        .into_iter()
        .filter(|(_, text)| !text.starts_with("e:"))
        .max_by_key(|(_, text)| text.len())
        .unwrap_or(("repository", repo));
    Err(CommitmentError::DoesNotFit {
        length: text.len(),
        excess: text.len() - COMMITMENT_LIMIT,
        part,
        part_length: longest.len(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commitment_that_does_not_fit_names_the_part_to_shorten() {
        let long = Endpoint::Url(format!("http://host/{}", "x".repeat(120)).parse().expect("a URL"));
        let refused = write_commitment("user/repo", "0a1b2c3d", &long).expect_err("151 bytes");
        assert_eq!(
            refused.to_string(),
            "the commitment would have 151 bytes, 23 more than the chain's 128: shorten the endpoint (132 bytes)"
        );
        let key = kinitro_crypto::PrivateKey::generate().public();
        let refused = write_sealed_commitment(&format!("user/{}", "r".repeat(60)), "0a1b2c3d", &Uuid::nil(), &key);
        assert!(matches!(refused, Err(CommitmentError::DoesNotFit { part: "repository", part_length: 65, .. })));
    }
}
