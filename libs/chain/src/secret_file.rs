//! Reading files with secrets: small, regular, and as [`kinitro_crypto::open_secret_file`] takes them.

use std::{
    fs::{self, File},
    io::Read as _,
    path::Path,
};

use kinitro_crypto::{CryptoError, plain_text};
use kinitro_domain::shown_path;
use zeroize::Zeroizing;

use crate::ChainError;

/// A key file has about 600 bytes.
const FILE_LIMIT: u64 = 16 * 1024;

/// The file's text.
pub(crate) fn read(path: &Path) -> Result<Zeroizing<String>, ChainError> {
    let file = kinitro_crypto::open_secret_file(path).map_err(|error| match error {
        CryptoError::KeyFile { source, .. } => refused(path, source.to_string()),
        CryptoError::NoKeyFile { .. } => refused(path, NO_FILE),
        CryptoError::KeyFileExposed { mode, .. } => {
            let reason = format!("others can write it or everybody can read it (mode {mode:04o}): chmod 600 it");
            refused(path, reason)
        }
        error => refused(path, error.to_string()),
    })?;
    let bytes = limited(path, file)?;
    let text = text(path, &bytes)?;
    Ok(Zeroizing::new(text.to_owned()))
}

/// A file's bytes as text, without a byte order mark and the white space around it.
pub(crate) fn text<'a>(path: &Path, bytes: &'a [u8]) -> Result<&'a str, ChainError> {
    match plain_text(bytes) {
        Ok("") => Err(refused(path, "it is empty")),
        Ok(text) => Ok(text),
        Err(fault) => Err(refused(path, format!("it {fault}"))),
    }
}

const NO_FILE: &str = "it is no regular file";

/// The file's bytes, whoever may write it: for what is public.
pub(crate) fn read_bytes(path: &Path) -> Result<Zeroizing<Vec<u8>>, ChainError> {
    let unreadable = |error: std::io::Error| refused(path, error.to_string());
    // Opening a pipe would wait for its writer.
    if !fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err(refused(path, NO_FILE));
    }
    limited(path, File::open(path).map_err(unreadable)?)
}

fn limited(path: &Path, file: File) -> Result<Zeroizing<Vec<u8>>, ChainError> {
    // As large as it can get, so that no copy of the secret is left behind by growing.
    let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(FILE_LIMIT).unwrap_or_default() + 1));
    file.take(FILE_LIMIT + 1).read_to_end(&mut bytes).map_err(|error| refused(path, error.to_string()))?;
    if bytes.len() as u64 > FILE_LIMIT {
        return Err(refused(path, format!("it has more than {FILE_LIMIT} bytes")));
    }
    Ok(bytes)
}

/// Names the file, unless somebody gave the secret in the place of its path.
pub(crate) fn refused(path: &Path, reason: impl Into<String>) -> ChainError {
    ChainError::KeyFile { path: shown_path(path).into_owned(), reason: reason.into() }
}
