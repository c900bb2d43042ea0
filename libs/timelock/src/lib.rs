//! Encrypting to a moment: what is sealed for a round of a drand beacon opens when the beacon signs that round.
//!
//! Subnets with commit-reveal on (the chain's default) take a validator's weights only sealed: the validator commits bytes for a
//! later round of the beacon ([`encrypt`]), the chain learns the round's signature with everybody else and opens them
//! ([`decrypt`]). The beacon of mainnet and testnet is drand's quicknet ([`Beacon::quicknet`]): BLS on BLS12-381, unchained,
//! signatures in G1, public key in G2, a round every three seconds. A development chain has a beacon of its own ([`BeaconKey`]).
//!
//! # The format
//!
//! That of the `tle` crate (`ideal-lab5/timelock`), which the chain and the Python packages `bittensor-drand` and
//! `bittensor-core` use; `tests/vectors.rs` holds ciphertexts of theirs. It is the FullIdent scheme of Boneh and Franklin
//! ("Identity-Based Encryption from the Weil Pairing", 2001) around AES-256-GCM, for the identity SHA-256(round as 8 bytes, most
//! significant first), hashed to G1 under drand's domain `BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_NUL_`. All lengths are 8 bytes,
//! least significant first, as arkworks writes a `Vec<u8>`:
//!
//! | part | bytes |
//! |---|---|
//! | U = r·G2, r = SHA-256(sigma, key) as a big-endian number | 96, compressed |
//! | V = sigma xor SHA-256(e(identity, public key)^r) | length 32, 32 |
//! | W = key xor SHA-256(sigma) | length 32, 32 |
//! | body: the message and its 16-byte tag, then the nonce | length; (length, message and tag), (length 12, 12) |
//! | cipher suite | length 8, `AES_GCM_` |
//!
//! The field element that V hashes is arkworks' own serialisation (12 coefficients of 48 bytes, least significant byte first):
//! another pairing library would have to reproduce it.
//!
//! # Contracts that do not show
//!
//! - Reading is stricter than the chain's: trailing bytes, another cipher suite and other lengths are refused. What is made here
//!   has none of these.
//! - A ciphertext does not name its round. Who has the wrong signature gets [`TimelockError::WrongSignature`].
//! - [`decrypt`] does not say who signed: hand it signatures that [`verify`] accepted.

mod beacon;
mod envelope;
mod error;
mod identity;
mod key;

pub use beacon::{Beacon, SIGNATURE_LENGTH, verify};
pub use envelope::{MESSAGE_LIMIT, decrypt, encrypt};
pub use error::TimelockError;
pub use key::BeaconKey;
