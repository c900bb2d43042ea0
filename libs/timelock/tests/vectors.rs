//! Bytes that others made: drand's quicknet, and the Python packages that validators use today.
//!
//! The ciphertexts are recorded from `bittensor-drand` 2.0.0 and `bittensor-core` 0.1.5 by this script:
//! ```python
//! import time, bittensor_core, bittensor_drand
//! def bare(wrapped):  # encrypt_at_round gives: compact SCALE length, ciphertext, round (8 bytes)
//!     return wrapped[{0: 1, 1: 2, 2: 4}[wrapped[0] & 3]:-8]
//! for module in (bittensor_drand, bittensor_core):  # drand-round-1000.hex, core-round-1000.hex
//!     print(bare(module.encrypt_at_round(b"from python, for round 1000", 1000)[0]).hex())
//! print(bare(bittensor_drand.encrypt_at_round(b"", 1000)[0]).hex())  # drand-empty-round-1000.hex
//! for module in (bittensor_drand, bittensor_core):  # drand-commit-round-1000.hex, core-commit-round-1000.hex
//!     # A negative block time puts the reveal into the past, at a round whose signature is known.
//!     block_time = (1_692_803_367 + 3 * 1000 + 1 - time.time()) / 363
//!     print(module.get_encrypted_commit_v2([0, 1, 255], [65535, 1, 300], 10005000, 1000, 0, 7, 360, 0, 1000, 1, block_time,
//!                                          bytes(range(32)))[0].hex())
//! ```

#![allow(clippy::unwrap_used)]

use kinitro_timelock::{Beacon, TimelockError, decrypt, encrypt, verify};

/// Quicknet's round 1000, as `api.drand.sh` serves it.
const ROUND_1000: &str =
    "b44679b9a59af2ec876b1a6b1ad52ea9b1615fc3982b19576350f93447cb1125e342b73a8dd2bacbe47e4b6b63ed5e39";

fn bytes(text: &str) -> Vec<u8> {
    hex::decode(text.trim()).unwrap()
}

#[test]
fn quicknets_signature_of_round_1000_is_accepted_for_that_round_and_no_other() {
    let (quicknet, signature) = (Beacon::quicknet(), bytes(ROUND_1000));
    assert_eq!(verify(&quicknet, 1000, &signature), Ok(()));
    assert_eq!(verify(&quicknet, 999, &signature), Err(TimelockError::WrongSignature));
    assert_eq!(verify(&quicknet, 1001, &signature), Err(TimelockError::WrongSignature));
    assert_eq!(verify(&quicknet, 0, &signature), Err(TimelockError::Round));
}

#[test]
fn what_bittensor_drand_sealed_opens() {
    let sealed = bytes(include_str!("vectors/drand-round-1000.hex"));
    assert_eq!(decrypt(&sealed, &bytes(ROUND_1000)).unwrap(), b"from python, for round 1000");
    let sealed = bytes(include_str!("vectors/drand-empty-round-1000.hex"));
    assert_eq!(decrypt(&sealed, &bytes(ROUND_1000)).unwrap(), b"");
}

#[test]
fn what_bittensor_core_sealed_opens() {
    let sealed = bytes(include_str!("vectors/core-round-1000.hex"));
    assert_eq!(decrypt(&sealed, &bytes(ROUND_1000)).unwrap(), b"from python, for round 1000");
}

#[test]
fn the_commits_of_both_packages_open_to_the_same_payload() {
    let payload = "80000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\
                   0c00000100ff000cffff01002c0108aa980000000000";
    for sealed in
        [include_str!("vectors/drand-commit-round-1000.hex"), include_str!("vectors/core-commit-round-1000.hex")]
    {
        assert_eq!(hex::encode(decrypt(&bytes(sealed), &bytes(ROUND_1000)).unwrap()), payload);
    }
}

#[test]
fn what_is_sealed_here_for_quicknet_opens_with_quicknets_signature_and_has_the_length_of_pythons() {
    let message = b"from python, for round 1000";
    let sealed = encrypt(&Beacon::quicknet(), 1000, message).unwrap();
    assert_eq!(sealed.len(), bytes(include_str!("vectors/drand-round-1000.hex")).len());
    assert_eq!(decrypt(&sealed, &bytes(ROUND_1000)).unwrap(), message);
    let other = encrypt(&Beacon::quicknet(), 1001, message).unwrap();
    assert_eq!(decrypt(&other, &bytes(ROUND_1000)), Err(TimelockError::WrongSignature));
}
