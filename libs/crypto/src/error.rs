//! What can go wrong with keys and sealed endpoints.

use std::io;

use crate::secret_file;

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
    #[error("{path} must hold 64 hex digits and nothing else, but it {found}: create it with `kinitro crypto`")]
    KeyFileFormat {
        /// The file, as it may be shown.
        path: String,
        /// What it is or holds instead; nothing of it is quoted.
        found: String,
    },
    /// A private key that everybody may read, or others replace.
    #[error("{path} {}: run `chmod 600 {path}`", exposure(*mode))]
    KeyFileExposed {
        /// The file, as it may be shown.
        path: String,
        /// Its permission bits.
        mode: u32,
    },
    /// A folder, a pipe, a device.
    #[error("{path} is no regular file: give the path of the key's file")]
    NoKeyFile {
        /// What was named, as it may be shown.
        path: String,
    },
    /// A key file that cannot be read or written.
    #[error("cannot {action} the key file {path}")]
    KeyFile {
        /// What was tried: read or write.
        action: &'static str,
        /// The file, as it may be shown.
        path: String,
        /// Why it failed.
        source: io::Error,
    },
}

fn exposure(mode: u32) -> String {
    let what = if mode & secret_file::REPLACEABLE != 0 { "written by others" } else { "read by everybody" };
    format!("can be {what} (mode {mode:04o})")
}
