//! A beacon of one's own, and bytes that want to do harm.

#![allow(clippy::unwrap_used)]

use kinitro_timelock::{Beacon, BeaconKey, TimelockError, decrypt, encrypt, verify};
use proptest::{collection, prelude::*};

const MESSAGE: &[u8] = b"sealed until the round is signed";

fn key() -> BeaconKey {
    BeaconKey::from_seed(&[7; 32])
}

fn beacon() -> Beacon {
    key().beacon(1_000, 12).unwrap()
}

#[test]
fn a_beacon_of_ones_own_opens_what_was_sealed_for_its_rounds() {
    let (key, beacon) = (key(), beacon());
    for round in [1, 2, 1_000_000, u64::MAX] {
        let signature = key.sign(round).unwrap();
        assert_eq!(verify(&beacon, round, &signature), Ok(()));
        let sealed = encrypt(&beacon, round, MESSAGE).unwrap();
        assert_eq!(decrypt(&sealed, &signature).unwrap(), MESSAGE);
    }
    assert_eq!(key.sign(0), Err(TimelockError::Round));
}

#[test]
fn the_signature_of_another_beacon_neither_verifies_nor_opens() {
    let signature = BeaconKey::generate().sign(5).unwrap();
    assert_eq!(verify(&beacon(), 5, &signature), Err(TimelockError::WrongSignature));
    let sealed = encrypt(&beacon(), 5, MESSAGE).unwrap();
    assert_eq!(decrypt(&sealed, &signature), Err(TimelockError::WrongSignature));
}

#[test]
fn the_same_message_is_never_sealed_to_the_same_bytes() {
    let (first, second) = (encrypt(&beacon(), 5, MESSAGE).unwrap(), encrypt(&beacon(), 5, MESSAGE).unwrap());
    // U, V, W, the text and the nonce; lengths between them.
    for part in [0..96, 104..136, 144..176, 192..240, 248..260] {
        assert_ne!(first[part.clone()], second[part]);
    }
}

#[test]
fn a_signature_that_is_no_point_of_the_group_is_refused() {
    let sealed = encrypt(&beacon(), 5, MESSAGE).unwrap();
    let mut infinity = [0; 48];
    infinity[0] = 0xc0;
    for signature in [&[][..], &[0; 47], &[0; 48], &[0; 49], &[0xff; 48], &infinity] {
        assert_eq!(decrypt(&sealed, signature), Err(TimelockError::Signature));
        assert_eq!(verify(&beacon(), 5, signature), Err(TimelockError::Signature));
    }
}

#[test]
fn every_cut_and_every_flipped_bit_is_refused() {
    let sealed = encrypt(&beacon(), 5, b"x").unwrap();
    let signature = key().sign(5).unwrap();
    for length in 0..sealed.len() {
        assert!(matches!(decrypt(&sealed[..length], &signature), Err(TimelockError::Malformed(_))), "cut at {length}");
    }
    for at in 0..sealed.len() {
        let mut altered = sealed.clone();
        altered[at] ^= 1 << (at % 8);
        assert!(decrypt(&altered, &signature).is_err(), "flipped in byte {at}");
    }
    let mut longer = sealed;
    longer.push(0);
    assert_eq!(decrypt(&longer, &signature), Err(TimelockError::Malformed("bytes follow its end")));
}

#[test]
fn a_length_that_promises_more_than_there_is_costs_nothing() {
    let mut sealed = encrypt(&beacon(), 5, MESSAGE).unwrap();
    for (at, of) in [(96, "V"), (136, "W"), (176, "body"), (184, "text"), (240, "nonce")] {
        let kept = sealed[at..at + 8].to_vec();
        sealed[at..at + 8].copy_from_slice(&u64::MAX.to_le_bytes());
        assert!(matches!(decrypt(&sealed, &key().sign(5).unwrap()), Err(TimelockError::Malformed(_))), "{of}");
        sealed[at..at + 8].copy_from_slice(&kept);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn random_bytes_are_refused_without_a_panic(
        ciphertext in collection::vec(any::<u8>(), 0..400),
        signature in collection::vec(any::<u8>(), 0..60),
        public_key in collection::vec(any::<u8>(), 90..100),
    ) {
        let signed = key().sign(5).unwrap();
        prop_assert!(decrypt(&ciphertext, &signed).is_err());
        prop_assert!(decrypt(&ciphertext, &signature).is_err());
        prop_assert!(verify(&beacon(), 5, &signature).is_err());
        prop_assert!(Beacon::new(&public_key, 0, 1).is_err());
    }

    #[test]
    fn several_altered_bytes_are_refused_without_a_panic(
        changes in collection::vec((any::<prop::sample::Index>(), 1..=u8::MAX), 1..6),
    ) {
        let sealed = encrypt(&beacon(), 5, MESSAGE).unwrap();
        let mut altered = sealed.clone();
        for (at, change) in changes {
            let at = at.index(altered.len());
            altered[at] ^= change;
        }
        let opened = decrypt(&altered, &key().sign(5).unwrap());
        prop_assert!(altered == sealed || opened.is_err());
    }

    #[test]
    fn any_message_for_any_round_comes_back(message in collection::vec(any::<u8>(), 0..2_000), round in 1..=u64::MAX) {
        let sealed = encrypt(&beacon(), round, &message).unwrap();
        prop_assert_eq!(decrypt(&sealed, &key().sign(round).unwrap()).unwrap(), message);
    }
}
