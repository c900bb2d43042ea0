//! Reading files with secrets: small, regular, and written by nobody else.
//!
//! Who can write the file can make us sign with another key, so that is refused. Who can read it has the key: that is only warned
//! about, because the volumes that orchestrators mount secrets into are often readable for a group, and refusing them would drive
//! people to pass secrets in variables.

use std::{fs::File, io::Read as _, path::Path};

use zeroize::Zeroizing;

use crate::ChainError;

/// A key file has about 600 bytes.
const FILE_LIMIT: u64 = 16 * 1024;

/// The file's text.
pub(crate) fn read(path: &Path) -> Result<Zeroizing<String>, ChainError> {
    let bytes = read_bytes(path)?;
    check_permissions(path)?;
    let text = std::str::from_utf8(&bytes).map_err(|_| refused(path, "it is no text"))?;
    Ok(Zeroizing::new(text.to_owned()))
}

/// The file's bytes, whoever may write it: for what is public.
pub(crate) fn read_bytes(path: &Path) -> Result<Zeroizing<Vec<u8>>, ChainError> {
    let unreadable = |error: std::io::Error| refused(path, error.to_string());
    // Opening a pipe would wait for its writer.
    let found = std::fs::metadata(path).map_err(unreadable)?;
    if !found.is_file() {
        return Err(refused(path, "it is no regular file"));
    }
    let mut bytes =
        Zeroizing::new(Vec::with_capacity(usize::try_from(found.len().min(FILE_LIMIT)).unwrap_or_default() + 1));
    File::open(path).map_err(unreadable)?.take(FILE_LIMIT + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > FILE_LIMIT {
        return Err(refused(path, format!("it has more than {FILE_LIMIT} bytes")));
    }
    Ok(bytes)
}

#[cfg(unix)]
fn check_permissions(path: &Path) -> Result<(), ChainError> {
    use std::os::unix::fs::PermissionsExt as _;

    let found = std::fs::metadata(path).map_err(|error| refused(path, error.to_string()))?;
    let mode = found.permissions().mode();
    if mode & 0o022 != 0 {
        let mode = mode & 0o777;
        return Err(refused(
            path,
            format!("others may write it (mode {mode:o}), and so replace the key: chmod 600 it"),
        ));
    }
    if mode & 0o044 != 0 {
        tracing::warn!(path = %path.display(), "others may read the file with the key: chmod 600 it");
    }
    Ok(())
}

#[cfg(not(unix))]
fn check_permissions(_: &Path) -> Result<(), ChainError> {
    Ok(())
}

pub(crate) fn refused(path: &Path, reason: impl Into<String>) -> ChainError {
    ChainError::KeyFile { path: path.display().to_string(), reason: reason.into() }
}
