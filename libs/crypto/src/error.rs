//! What can go wrong with keys and sealed endpoints.

use std::{io, path::PathBuf};

/// Why a key cannot be used or a sealed endpoint cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CryptoError {
    /// The blob is too short or too long.
    #[error("a sealed endpoint has {expected} characters, this one has {found}: seal it again")]
    BlobLength {
        /// How long it must be.
        expected: usize,
        /// How long it is.
        found: usize,
    },
    /// The blob is no RFC 1924 base85.
    #[error("the sealed endpoint is no base85 (RFC 1924): it was damaged or written in another alphabet")]
    BlobEncoding,
    /// The ephemeral key has low order, so that the shared secret would be known to everybody.
    #[error("the sealed endpoint uses a degenerate public key and protects nothing: seal it again")]
    DegenerateKey,
    /// The tag does not fit: another key, or a damaged blob.
    #[error("the sealed endpoint does not open with this key: it was sealed for another one, or damaged")]
    WrongKey,
    /// The tag does not fit: another key, another hotkey or subnet, or a damaged blob.
    #[error("the sealed endpoint does not open: it was sealed for another key, hotkey or subnet, or damaged")]
    WrongKeyOrBinding,
    /// A key's text is not 64 hex digits.
    #[error("a key must be 64 hex digits")]
    KeyFormat,
    /// A key file does not hold 64 hex digits.
    #[error("{} must hold 64 hex digits and nothing else: create it with `kinitro crypto`", path.display())]
    KeyFileFormat {
        /// The file.
        path: PathBuf,
    },
    /// A private key that others may read.
    #[error("{0} can be read by others (mode {mode:04o}): run `chmod 600 {0}`", path.display())]
    KeyFileExposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A key file that cannot be read or written.
    #[error("cannot {action} the key file {}", path.display())]
    KeyFile {
        /// What was tried: read or write.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
}
