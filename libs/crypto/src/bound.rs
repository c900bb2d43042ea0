//! The second form: sealed for a recipient and for one hotkey of one subnet. A copy under another hotkey does not open.

use chacha20poly1305::{
    ChaCha20Poly1305, KeyInit as _, Nonce,
    aead::{Aead as _, Payload},
};
use hkdf::Hkdf;
use sha2::Sha256;
use uuid::Uuid;
use x25519_dalek::{SharedSecret, StaticSecret};
use zeroize::Zeroizing;

use crate::{
    CryptoError, PrivateKey, PublicKey,
    blob::{KEY_BYTES, NONCE_BYTES, agree, deployment, divide, join, new_secret},
};

/// What else is derived from a shared secret anywhere has another first word here.
const DOMAIN: &[u8] = b"kinitro sealed endpoint, bound, version 1";
const CONTEXT_BYTES: usize = DOMAIN.len() + 2 + 32;

/// Whose endpoint is sealed: a blob opens for this hotkey on this subnet and for nobody else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Binding {
    /// The subnet.
    pub netuid: u16,
    /// The public key of the hotkey that commits the blob.
    pub hotkey: [u8; 32],
}

impl Binding {
    fn context(&self) -> [u8; CONTEXT_BYTES] {
        let mut context = [0; CONTEXT_BYTES];
        let (domain, rest) = context.split_at_mut(DOMAIN.len());
        let (netuid, hotkey) = rest.split_at_mut(2);
        domain.copy_from_slice(DOMAIN);
        netuid.copy_from_slice(&self.netuid.to_le_bytes());
        hotkey.copy_from_slice(&self.hotkey);
        context
    }
}

/// Seals a deployment's UUID so that only the holder of the private key learns it, and only from this hotkey's commitment.
///
/// # Errors
/// [`CryptoError::DegenerateKey`], when the recipient's key protects nothing.
pub fn seal_bound(deployment: &Uuid, recipient: &PublicKey, binding: &Binding) -> Result<String, CryptoError> {
    seal_bound_with(&new_secret(), deployment, recipient, binding)
}

pub(crate) fn seal_bound_with(
    ephemeral: &StaticSecret,
    deployment: &Uuid,
    recipient: &PublicKey,
    binding: &Binding,
) -> Result<String, CryptoError> {
    let public = x25519_dalek::PublicKey::from(ephemeral);
    let context = binding.context();
    let (cipher, nonce) = derive(&agree(ephemeral, &recipient.0)?, public.as_bytes(), recipient, &context);
    let ciphertext = cipher
        .encrypt(&nonce, Payload { msg: deployment.as_bytes(), aad: &context })
        .expect("16 bytes are within the cipher's limit");
    Ok(join(&public, &ciphertext))
}

/// Opens an endpoint sealed by [`seal_bound`].
///
/// # Errors
/// What is wrong with the blob, or [`CryptoError::WrongKeyOrBinding`].
pub fn open_bound(sealed: &str, key: &PrivateKey, binding: &Binding) -> Result<Uuid, CryptoError> {
    let (public, ciphertext) = divide(sealed)?;
    let shared = agree(key.secret(), &x25519_dalek::PublicKey::from(public))?;
    let context = binding.context();
    let (cipher, nonce) = derive(&shared, &public, &key.public(), &context);
    let plaintext = cipher
        .decrypt(&nonce, Payload { msg: &ciphertext, aad: &context })
        .map_err(|_| CryptoError::WrongKeyOrBinding)?;
    deployment(plaintext).ok_or(CryptoError::WrongKeyOrBinding)
}

/// HKDF-SHA256 (RFC 5869): 32 bytes of key, then 12 of nonce.
fn derive(
    shared: &SharedSecret,
    ephemeral: &[u8; KEY_BYTES],
    recipient: &PublicKey,
    context: &[u8],
) -> (ChaCha20Poly1305, Nonce) {
    let salt = [ephemeral.as_slice(), recipient.as_bytes()].concat();
    let mut derived = Zeroizing::new([0; KEY_BYTES + NONCE_BYTES]);
    Hkdf::<Sha256>::new(Some(&salt), shared.as_bytes())
        .expand(context, derived.as_mut_slice())
        .expect("44 bytes are within HKDF's limit");
    let (key, rest) = derived.split_first_chunk::<KEY_BYTES>().expect("44 bytes begin with 32");
    let mut nonce = Nonce::default();
    nonce.copy_from_slice(rest);
    (ChaCha20Poly1305::new(key.into()), nonce)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;
    use crate::{SEALED_CHARS, base85, open, seal};

    const BINDING: Binding = Binding { netuid: 26, hotkey: [9; 32] };

    #[test]
    fn a_copy_opens_for_no_other_hotkey_and_on_no_other_subnet() {
        let key = PrivateKey::generate();
        let sealed = seal_bound(&Uuid::from_u128(7), &key.public(), &BINDING).unwrap();
        assert_eq!(open_bound(&sealed, &key, &BINDING).unwrap(), Uuid::from_u128(7));
        let mut neighbour = BINDING.hotkey;
        neighbour[31] ^= 1;
        for other in [
            Binding { hotkey: neighbour, ..BINDING },
            Binding { netuid: 27, ..BINDING },
            // The same bytes in another order.
            Binding { netuid: BINDING.netuid.swap_bytes(), ..BINDING },
        ] {
            assert!(matches!(open_bound(&sealed, &key, &other), Err(CryptoError::WrongKeyOrBinding)), "{other:?}");
        }
        let stranger = PrivateKey::generate();
        assert!(matches!(open_bound(&sealed, &stranger, &BINDING), Err(CryptoError::WrongKeyOrBinding)));
    }

    #[test]
    fn neither_form_opens_as_the_other() {
        let key = PrivateKey::generate();
        let bound = seal_bound(&Uuid::nil(), &key.public(), &BINDING).unwrap();
        assert!(matches!(open(&bound, &key), Err(CryptoError::WrongKey)));
        let sealed = seal(&Uuid::nil(), &key.public()).unwrap();
        assert!(matches!(open_bound(&sealed, &key, &BINDING), Err(CryptoError::WrongKeyOrBinding)));
    }

    #[test]
    fn a_public_key_of_low_order_is_refused() {
        let key = PrivateKey::generate();
        let blob = base85::encode(&[[0; 32], [7; 32]].concat());
        assert!(matches!(open_bound(&blob, &key, &BINDING), Err(CryptoError::DegenerateKey)));
        let recipient = PublicKey::from_hex(&"0".repeat(64)).unwrap();
        assert!(matches!(seal_bound(&Uuid::nil(), &recipient, &BINDING), Err(CryptoError::DegenerateKey)));
    }

    proptest! {
        #[test]
        fn opening_undoes_sealing(deployment in any::<u128>(), netuid in any::<u16>(), hotkey in any::<[u8; 32]>()) {
            let (deployment, key, binding) = (Uuid::from_u128(deployment), PrivateKey::generate(), Binding { netuid, hotkey });
            let sealed = seal_bound(&deployment, &key.public(), &binding).unwrap();
            prop_assert_eq!(sealed.len(), SEALED_CHARS);
            prop_assert_eq!(open_bound(&sealed, &key, &binding).unwrap(), deployment);
        }

        #[test]
        fn a_changed_bit_opens_nothing(bit in 0..512_usize) {
            let key = PrivateKey::generate();
            let mut bytes = base85::decode(&seal_bound(&Uuid::nil(), &key.public(), &BINDING).unwrap()).unwrap();
            bytes[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(open_bound(&base85::encode(&bytes), &key, &BINDING).is_err());
        }

        #[test]
        fn no_text_makes_opening_panic(text in ".{0,100}", printable in "[!-~]{80}") {
            let key = PrivateKey::generate();
            prop_assert!(open_bound(&text, &key, &BINDING).is_err());
            prop_assert!(open_bound(&printable, &key, &BINDING).is_err());
        }
    }
}
