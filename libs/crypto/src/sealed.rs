//! Sealing a deployment's UUID, and opening it again.

use chacha20poly1305::{ChaCha20Poly1305, KeyInit as _, Nonce, aead::Aead as _};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;
use x25519_dalek::{SharedSecret, StaticSecret};

use crate::{CryptoError, PrivateKey, PublicKey, base85};

/// The length of a sealed endpoint.
pub const SEALED_CHARS: usize = 80;

const KEY_BYTES: usize = 32;

/// Seals a deployment's UUID so that only the holder of the private key learns it. Two seals of one UUID differ.
pub fn seal(deployment: &Uuid, recipient: &PublicKey) -> Result<String, CryptoError> {
    seal_with(StaticSecret::from(rand::random::<[u8; 32]>()), deployment, recipient)
}

fn seal_with(ephemeral: StaticSecret, deployment: &Uuid, recipient: &PublicKey) -> Result<String, CryptoError> {
    let public = x25519_dalek::PublicKey::from(&ephemeral);
    let cipher = cipher(&ephemeral.diffie_hellman(&recipient.0))?;
    let ciphertext = cipher
        .encrypt(&nonce(public.as_bytes()), deployment.as_bytes().as_slice())
        .expect("16 bytes are within the cipher's limit");
    Ok(base85::encode(&[public.as_bytes().as_slice(), &ciphertext].concat()))
}

/// Opens a sealed endpoint.
pub fn open(sealed: &str, key: &PrivateKey) -> Result<Uuid, CryptoError> {
    if sealed.len() != SEALED_CHARS {
        return Err(CryptoError::BlobLength { expected: SEALED_CHARS, found: sealed.len() });
    }
    let blob = base85::decode(sealed).ok_or(CryptoError::BlobEncoding)?;
    let (public, ciphertext) = blob.split_first_chunk::<KEY_BYTES>().ok_or(CryptoError::BlobEncoding)?;
    let cipher = cipher(&key.secret().diffie_hellman(&x25519_dalek::PublicKey::from(*public)))?;
    let plaintext = cipher.decrypt(&nonce(public), ciphertext).map_err(|_| CryptoError::WrongKey)?;
    Uuid::from_slice(&plaintext).map_err(|_| CryptoError::WrongKey)
}

fn cipher(shared: &SharedSecret) -> Result<ChaCha20Poly1305, CryptoError> {
    if !shared.was_contributory() {
        return Err(CryptoError::DegenerateKey);
    }
    Ok(ChaCha20Poly1305::new(shared.as_bytes().into()))
}

fn nonce(ephemeral: &[u8; KEY_BYTES]) -> Nonce {
    let digest = Sha256::digest(ephemeral);
    let mut nonce = Nonce::default();
    nonce.copy_from_slice(&digest[..12]);
    nonce
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    // Made with Python's `cryptography`, X25519 and AEAD cross-checked with PyNaCl:
    //     rec = X25519PrivateKey.from_private_bytes(bytes(range(32)))
    //     eph = X25519PrivateKey.from_private_bytes(bytes(range(100, 132)))
    //     pub = eph.public_key().public_bytes_raw()
    //     ct = ChaCha20Poly1305(eph.exchange(rec.public_key())).encrypt(sha256(pub).digest()[:12], uuid.bytes, None)
    //     base64.b85encode(pub + ct)
    const PRIVATE: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
    const PUBLIC: &str = "8f40c5adb68f25624ae5b214ea767a6ec94d829d3d7b5e1ad1ba6f3e2138285f";
    const DEPLOYMENT: &str = "8a4cd2e1-36f7-4e0f-9b5d-0c1f2a3b4c5d";
    const SEALED: &str = "eVimQWjTUe7?$OKC>eJ~c|7I}zT>S&+MNfuU!`6u?&pCnkOAL=BGjbKkP6Yk1uYy4_2em(85fRdP}n25";

    #[test]
    fn what_another_implementation_sealed_opens() {
        let key = PrivateKey::from_hex(PRIVATE).unwrap();
        assert_eq!(key.public().to_string(), PUBLIC);
        assert_eq!(open(SEALED, &key).unwrap().to_string(), DEPLOYMENT);
    }

    #[test]
    fn sealing_writes_what_another_implementation_writes() {
        let ephemeral = StaticSecret::from(std::array::from_fn::<u8, 32, _>(|i| 100 + i as u8));
        let recipient = PublicKey::from_hex(PUBLIC).unwrap();
        assert_eq!(seal_with(ephemeral, &DEPLOYMENT.parse().unwrap(), &recipient).unwrap(), SEALED);
    }

    #[test]
    fn another_key_or_a_changed_blob_opens_nothing() {
        assert!(matches!(open(SEALED, &PrivateKey::generate()), Err(CryptoError::WrongKey)));
        let key = PrivateKey::from_hex(PRIVATE).unwrap();
        let changed = SEALED.replace("n25", "n26");
        assert!(matches!(open(&changed, &key), Err(CryptoError::WrongKey)));
        assert!(matches!(open(&SEALED[1..], &key), Err(CryptoError::BlobLength { found: 79, .. })));
        assert!(matches!(open(&SEALED.replace('?', ":"), &key), Err(CryptoError::BlobEncoding)));
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
