//! Sealed endpoints: a miner hides the UUID of its deployment from everybody but the operator, in 80 characters.
//!
//! A sealed blob is 64 bytes in RFC 1924 base85: an ephemeral X25519 public key (32), then the ChaCha20-Poly1305 ciphertext and
//! tag of the UUID's 16 bytes (32). The cipher key is the raw X25519 shared secret; the nonce is the first 12 bytes of SHA-256 of
//! the ephemeral public key. Nonces never repeat under one cipher key, because every blob has its own ephemeral key. Both
//! properties are what existing miners write, so neither can be changed here.
//!
//! Everything in a blob is hostile: its length and alphabet are checked before anything is decoded, and an ephemeral key of low
//! order (whose shared secret anybody knows) is refused.

mod base85;
mod error;
mod keys;
mod sealed;

pub use error::CryptoError;
pub use keys::{PrivateKey, PublicKey};
pub use sealed::{SEALED_CHARS, open, seal};
