//! What both sealed forms share: 64 bytes, an ephemeral X25519 key (32), then a ciphertext and its tag (32), as 80 characters.

use rand::{TryRng as _, rngs::SysRng};
use uuid::Uuid;
use x25519_dalek::{PublicKey, SharedSecret, StaticSecret};
use zeroize::Zeroizing;

use crate::{CryptoError, base85};

/// The length of a sealed endpoint.
pub const SEALED_CHARS: usize = 80;

pub(crate) const KEY_BYTES: usize = 32;
pub(crate) const NONCE_BYTES: usize = 12;

/// Whether a text has the length and the alphabet of a sealed endpoint, in either form. Whether it opens only a key can tell.
///
/// # Errors
/// [`CryptoError::BlobLength`] or [`CryptoError::BlobEncoding`].
pub fn check_blob(text: &str) -> Result<(), CryptoError> {
    divide(text).map(drop)
}

/// The ephemeral key and the ciphertext of a blob.
pub(crate) fn divide(text: &str) -> Result<([u8; KEY_BYTES], Vec<u8>), CryptoError> {
    if text.len() != SEALED_CHARS {
        return Err(CryptoError::BlobLength { expected: SEALED_CHARS, found: text.len() });
    }
    let blob = base85::decode(text).ok_or(CryptoError::BlobEncoding)?;
    let (ephemeral, ciphertext) = blob.split_first_chunk::<KEY_BYTES>().ok_or(CryptoError::BlobEncoding)?;
    Ok((*ephemeral, ciphertext.to_vec()))
}

pub(crate) fn join(ephemeral: &PublicKey, ciphertext: &[u8]) -> String {
    base85::encode(&[ephemeral.as_bytes().as_slice(), ciphertext].concat())
}

/// A new secret, straight from the operating system's generator.
pub(crate) fn new_secret() -> StaticSecret {
    let mut bytes = Zeroizing::new([0; KEY_BYTES]);
    SysRng.try_fill_bytes(bytes.as_mut_slice()).expect("every system that we run on has a generator");
    StaticSecret::from(*bytes)
}

/// The shared secret, unless everybody knows it.
pub(crate) fn agree(secret: &StaticSecret, public: &PublicKey) -> Result<SharedSecret, CryptoError> {
    let shared = secret.diffie_hellman(public);
    if shared.was_contributory() { Ok(shared) } else { Err(CryptoError::DegenerateKey) }
}

pub(crate) fn deployment(plaintext: Vec<u8>) -> Option<Uuid> {
    Uuid::from_slice(&Zeroizing::new(plaintext)).ok()
}
