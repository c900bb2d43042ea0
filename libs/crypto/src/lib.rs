//! Sealed endpoints: a miner hides the UUID of its deployment from everybody but the operator, in 80 characters.
//!
//! There are two forms, each 64 bytes in RFC 1924 base85: an ephemeral X25519 public key (32), then the ChaCha20-Poly1305
//! ciphertext and tag of the UUID's 16 bytes (32).
//!
//! - [`seal`] and [`open`]: what existing miners write. The cipher key is the raw X25519 shared secret; the nonce is the first 12
//!   bytes of SHA-256 of the ephemeral public key. Anybody may copy such a blob into a commitment of their own, and it opens.
//! - [`seal_bound`] and [`open_bound`]: bound to a hotkey and a subnet ([`Binding`]). Key (32) and nonce (12) are HKDF-SHA256 of
//!   the shared secret; the salt is the ephemeral key and then the recipient's, and the info is a domain string, the netuid in
//!   little-endian order and the hotkey's 32 bytes, which are the associated data as well.
//!
//! Nonces never repeat under one cipher key, because every blob has its own ephemeral key. `tests/vectors` holds blobs that an
//! independent implementation made; neither form can be changed here.
//!
//! Everything in a blob is hostile: its length and alphabet are checked before anything is decoded, and an ephemeral key of low
//! order (whose shared secret anybody knows) is refused.

mod base85;
mod blob;
mod bound;
mod error;
mod keys;
mod sealed;
mod secret_file;
#[cfg(test)]
mod vectors;
mod written;

pub use blob::{SEALED_CHARS, check_blob};
pub use bound::{Binding, open_bound, seal_bound};
pub use error::CryptoError;
pub use keys::{PrivateKey, PublicKey};
pub use sealed::{open, seal};
pub use secret_file::open_secret_file;
pub use written::{hex_digits, plain_text, trimmed};
