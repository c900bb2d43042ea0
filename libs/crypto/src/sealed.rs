//! The first form: sealed for a recipient. Whoever copies the blob has sealed the same UUID.

use chacha20poly1305::{ChaCha20Poly1305, KeyInit as _, Nonce, aead::Aead as _};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;
use x25519_dalek::StaticSecret;

use crate::{
    CryptoError, PrivateKey, PublicKey,
    blob::{KEY_BYTES, NONCE_BYTES, agree, deployment, divide, join, new_secret},
};

/// Seals a deployment's UUID so that only the holder of the private key learns it. Two seals of one UUID differ.
///
/// # Errors
/// [`CryptoError::DegenerateKey`], when the recipient's key protects nothing.
pub fn seal(deployment: &Uuid, recipient: &PublicKey) -> Result<String, CryptoError> {
    seal_with(&new_secret(), deployment, recipient)
}

pub(crate) fn seal_with(
    ephemeral: &StaticSecret,
    deployment: &Uuid,
    recipient: &PublicKey,
) -> Result<String, CryptoError> {
    let public = x25519_dalek::PublicKey::from(ephemeral);
    let cipher = ChaCha20Poly1305::new(agree(ephemeral, &recipient.0)?.as_bytes().into());
    let ciphertext = cipher
        .encrypt(&nonce(public.as_bytes()), deployment.as_bytes().as_slice())
        .expect("16 bytes are within the cipher's limit");
    Ok(join(&public, &ciphertext))
}

/// Opens an endpoint sealed by [`seal`].
///
/// # Errors
/// What is wrong with the blob, or [`CryptoError::WrongKey`].
pub fn open(sealed: &str, key: &PrivateKey) -> Result<Uuid, CryptoError> {
    let (public, ciphertext) = divide(sealed)?;
    let shared = agree(key.secret(), &x25519_dalek::PublicKey::from(public))?;
    let cipher = ChaCha20Poly1305::new(shared.as_bytes().into());
    let plaintext = cipher.decrypt(&nonce(&public), ciphertext.as_slice()).map_err(|_| CryptoError::WrongKey)?;
    deployment(plaintext).ok_or(CryptoError::WrongKey)
}

fn nonce(ephemeral: &[u8; KEY_BYTES]) -> Nonce {
    let digest = Sha256::digest(ephemeral);
    let mut nonce = Nonce::default();
    nonce.copy_from_slice(&digest[..NONCE_BYTES]);
    nonce
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;
    use crate::{SEALED_CHARS, base85};

    #[test]
    fn another_key_or_a_changed_blob_opens_nothing() {
        let key = PrivateKey::generate();
        let sealed = seal(&Uuid::from_u128(7), &key.public()).unwrap();
        assert!(matches!(open(&sealed, &PrivateKey::generate()), Err(CryptoError::WrongKey)));
        assert!(matches!(open(&sealed[1..], &key), Err(CryptoError::BlobLength { found: 79, .. })));
        assert!(matches!(open(&format!(":{}", &sealed[1..]), &key), Err(CryptoError::BlobEncoding)));
        let mut bytes = base85::decode(&sealed).unwrap();
        for bit in [0, 8 * 31, 8 * 32, 8 * 47, 8 * 48, 8 * 63 + 7] {
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(matches!(open(&base85::encode(&bytes), &key), Err(CryptoError::WrongKey)), "bit {bit}");
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
    }

    #[test]
    fn a_public_key_of_low_order_is_refused() {
        let key = PrivateKey::generate();
        let mut one = [0; 32];
        one[0] = 1;
        for point in [[0; 32], one] {
            let blob = base85::encode(&[point, [7; 32]].concat());
            assert!(matches!(open(&blob, &key), Err(CryptoError::DegenerateKey)));
            let recipient = PublicKey::from_hex(&hex::encode(point)).unwrap();
            assert!(matches!(seal(&Uuid::nil(), &recipient), Err(CryptoError::DegenerateKey)));
        }
    }

    proptest! {
        #[test]
        fn opening_undoes_sealing(deployment in any::<u128>(), secret in any::<[u8; 32]>()) {
            let (deployment, key) = (Uuid::from_u128(deployment), PrivateKey::from_hex(&hex::encode(secret)).unwrap());
            let sealed = seal(&deployment, &key.public()).unwrap();
            prop_assert_eq!(sealed.len(), SEALED_CHARS);
            prop_assert_eq!(open(&sealed, &key).unwrap(), deployment);
        }

        #[test]
        fn no_text_makes_opening_panic(text in ".{0,100}", printable in "[!-~]{80}") {
            let key = PrivateKey::generate();
            prop_assert!(open(&text, &key).is_err());
            prop_assert!(open(&printable, &key).is_err());
        }
    }
}
