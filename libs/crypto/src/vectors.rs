//! Both forms against blobs that an independent implementation made (`tests/vectors/make_vectors.py`).
#![allow(clippy::unwrap_used)]

use serde::Deserialize;
use uuid::Uuid;
use x25519_dalek::StaticSecret;

use crate::{
    Binding, CryptoError, PrivateKey, bound::seal_bound_with, check_blob, open, open_bound, sealed::seal_with,
};

#[derive(Deserialize)]
struct Vector {
    private: String,
    public: String,
    ephemeral: String,
    deployment: Uuid,
    netuid: u16,
    hotkey: String,
    sealed: String,
    bound: String,
}

impl Vector {
    fn binding(&self) -> Binding {
        Binding { netuid: self.netuid, hotkey: bytes(&self.hotkey) }
    }

    fn key(&self) -> PrivateKey {
        PrivateKey::from_hex(&self.private).unwrap()
    }

    fn ephemeral(&self) -> StaticSecret {
        StaticSecret::from(bytes(&self.ephemeral))
    }
}

fn bytes(digits: &str) -> [u8; 32] {
    hex::decode(digits).unwrap().try_into().unwrap()
}

fn vectors() -> Vec<Vector> {
    let vectors: Vec<Vector> = serde_json::from_str(include_str!("../tests/vectors/sealed.json")).unwrap();
    assert_eq!(vectors.len(), 16);
    vectors
}

#[test]
fn what_another_implementation_sealed_opens_in_both_forms() {
    for vector in vectors() {
        let key = vector.key();
        assert_eq!(key.public().to_string(), vector.public);
        assert_eq!(open(&vector.sealed, &key).unwrap(), vector.deployment);
        assert_eq!(open_bound(&vector.bound, &key, &vector.binding()).unwrap(), vector.deployment);
        check_blob(&vector.sealed).and(check_blob(&vector.bound)).unwrap();
    }
}

#[test]
fn sealing_writes_what_another_implementation_writes() {
    for vector in vectors() {
        let (ephemeral, recipient) = (vector.ephemeral(), vector.key().public());
        assert_eq!(seal_with(&ephemeral, &vector.deployment, &recipient).unwrap(), vector.sealed);
        let bound = seal_bound_with(&ephemeral, &vector.deployment, &recipient, &vector.binding()).unwrap();
        assert_eq!(bound, vector.bound);
    }
}

#[test]
fn what_another_implementation_bound_opens_for_no_other_hotkey() {
    let vectors = vectors();
    for (vector, other) in vectors.iter().zip(vectors.iter().cycle().skip(1)) {
        let binding = Binding { hotkey: bytes(&other.hotkey), ..vector.binding() };
        assert!(matches!(open_bound(&vector.bound, &vector.key(), &binding), Err(CryptoError::WrongKeyOrBinding)));
    }
}
