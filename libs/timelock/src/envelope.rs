//! The ciphertext as a whole: a sealed key, and the message under that key.

use aes_gcm::{Aes256Gcm, KeyInit as _, aead::Aead as _};
use ark_bls12_381::G2Affine;
use ark_ec::AffineRepr as _;
use ark_serialize::{CanonicalDeserialize as _, CanonicalSerialize as _};
use zeroize::Zeroizing;

use crate::{
    Beacon, TimelockError,
    beacon::read_signature,
    identity::{self, SealedKey},
};

/// The longest message, in bytes. Far above what the chain takes (its bound is 5,000 bytes of ciphertext).
pub const MESSAGE_LIMIT: usize = 64 * 1024;

const CIPHER_SUITE: &[u8] = b"AES_GCM_";
const NONCE_LENGTH: usize = 12;
const TAG_LENGTH: usize = 16;
const POINT_LENGTH: usize = 96;

/// What has to be random in a ciphertext. Used twice, both messages are open.
struct Secrets {
    key: Zeroizing<[u8; 32]>,
    sigma: Zeroizing<[u8; 32]>,
    nonce: [u8; NONCE_LENGTH],
}

impl Secrets {
    fn random() -> Self {
        Self { key: Zeroizing::new(rand::random()), sigma: Zeroizing::new(rand::random()), nonce: rand::random() }
    }
}

/// Seals a message for a round of the beacon: it opens with the beacon's signature of that round.
///
/// # Errors
///
/// Round 0, or a message above [`MESSAGE_LIMIT`].
pub fn encrypt(beacon: &Beacon, round: u64, message: &[u8]) -> Result<Vec<u8>, TimelockError> {
    encrypt_with(&Secrets::random(), beacon, round, message)
}

fn encrypt_with(secrets: &Secrets, beacon: &Beacon, round: u64, message: &[u8]) -> Result<Vec<u8>, TimelockError> {
    if message.len() > MESSAGE_LIMIT {
        return Err(TimelockError::TooLong);
    }
    let sealed = identity::seal(beacon.point(), identity::of_round(round)?, &secrets.key, &secrets.sigma);
    let text = Aes256Gcm::new((&*secrets.key).into())
        .encrypt((&secrets.nonce).into(), message)
        .map_err(|_| TimelockError::TooLong)?;

    let mut body = Vec::with_capacity(8 + text.len() + 8 + NONCE_LENGTH);
    write_bytes(&mut body, &text);
    write_bytes(&mut body, &secrets.nonce);
    let mut out = Vec::with_capacity(POINT_LENGTH + 2 * (8 + 32) + 8 + body.len() + 8 + CIPHER_SUITE.len());
    sealed.u.serialize_compressed(&mut out).expect("writing to memory cannot fail");
    write_bytes(&mut out, &sealed.v);
    write_bytes(&mut out, &sealed.w);
    write_bytes(&mut out, &body);
    write_bytes(&mut out, CIPHER_SUITE);
    Ok(out)
}

/// Opens a ciphertext with a beacon's signature of the round that it was sealed for.
///
/// Both may come from anywhere: the size is bounded, and nothing panics.
///
/// # Errors
///
/// The bytes are no ciphertext or no signature, the signature is another round's, or the ciphertext was altered.
pub fn decrypt(ciphertext: &[u8], signature: &[u8]) -> Result<Vec<u8>, TimelockError> {
    let signature = read_signature(signature)?;
    let parts = Parts::read(ciphertext)?;
    let key = identity::open(&parts.sealed, signature).ok_or(TimelockError::WrongSignature)?;
    Aes256Gcm::new((&*key).into()).decrypt((&parts.nonce).into(), parts.text).map_err(|_| TimelockError::Altered)
}

struct Parts<'a> {
    sealed: SealedKey,
    text: &'a [u8],
    nonce: [u8; NONCE_LENGTH],
}

impl<'a> Parts<'a> {
    fn read(ciphertext: &'a [u8]) -> Result<Self, TimelockError> {
        let (point, mut rest) = ciphertext
            .split_at_checked(POINT_LENGTH)
            .ok_or(TimelockError::Malformed("it is too short for the sealed key"))?;
        let v = take_array(&mut rest, "V must have 32 bytes")?;
        let w = take_array(&mut rest, "W must have 32 bytes")?;
        let mut body = take_bytes(&mut rest, "the body is cut off")?;
        if take_bytes(&mut rest, "the cipher suite is cut off")? != CIPHER_SUITE {
            return Err(TimelockError::Malformed("the cipher suite must be AES_GCM_"));
        }
        let text = take_bytes(&mut body, "the message is cut off")?;
        let nonce = take_array(&mut body, "the nonce must have 12 bytes")?;
        if !rest.is_empty() || !body.is_empty() {
            return Err(TimelockError::Malformed("bytes follow its end"));
        }
        if text.len() < TAG_LENGTH {
            return Err(TimelockError::Malformed("the message has no room for its tag"));
        }
        if text.len() > MESSAGE_LIMIT + TAG_LENGTH {
            return Err(TimelockError::TooLong);
        }
        // Last, as the only part that costs time.
        let u = G2Affine::deserialize_compressed(point)
            .ok()
            .filter(|u| !u.is_zero())
            .ok_or(TimelockError::Malformed("U is no point of the group"))?;
        Ok(Self { sealed: SealedKey { u, v, w }, text, nonce })
    }
}

fn write_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
    out.extend_from_slice(bytes);
}

fn take_bytes<'a>(rest: &mut &'a [u8], what: &'static str) -> Result<&'a [u8], TimelockError> {
    let malformed = TimelockError::Malformed(what);
    let (length, after) = rest.split_first_chunk().ok_or(malformed)?;
    let length = usize::try_from(u64::from_le_bytes(*length)).map_err(|_| malformed)?;
    let (bytes, after) = after.split_at_checked(length).ok_or(malformed)?;
    *rest = after;
    Ok(bytes)
}

fn take_array<const N: usize>(rest: &mut &[u8], what: &'static str) -> Result<[u8; N], TimelockError> {
    take_bytes(rest, what)?.try_into().map_err(|_| TimelockError::Malformed(what))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// Opened by the Python package `bittensor-drand` 2.0.0, with the signature of quicknet's round 1000:
    /// ```python
    /// from bittensor_drand import decrypt_with_signature
    /// # The package wants its own wrapping: the ciphertext's compact SCALE length before it, the round (8 bytes) after it.
    /// decrypt_with_signature(compact(len(c)) + c + (1000).to_bytes(8, "little"), signature)
    /// ```
    const OURS: &str = include_str!("../tests/vectors/ours-round-1000.hex");

    #[test]
    fn with_the_same_randomness_the_ciphertext_is_the_one_that_python_opened() {
        let secrets = Secrets { key: Zeroizing::new([1; 32]), sigma: Zeroizing::new([2; 32]), nonce: [3; 12] };
        let made = encrypt_with(&secrets, &Beacon::quicknet(), 1000, b"kinitro, sealed for round 1000").unwrap();
        assert_eq!(hex::encode(made), OURS.trim());
    }

    #[test]
    fn a_message_above_the_limit_is_refused() {
        let quicknet = Beacon::quicknet();
        assert_eq!(encrypt(&quicknet, 1, &vec![0; MESSAGE_LIMIT + 1]), Err(TimelockError::TooLong));
        assert!(encrypt(&quicknet, 1, &vec![0; MESSAGE_LIMIT]).is_ok());
    }

    #[test]
    fn there_is_no_round_zero() {
        assert_eq!(encrypt(&Beacon::quicknet(), 0, b""), Err(TimelockError::Round));
    }
}
