//! Secrets that `kinitro up` makes for itself: random, one a file in its data directory, for its owner only. Other commands on the same
//! machine find them there.

use std::{
    fs,
    io::{ErrorKind, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use kinitro_chassis::MeshToken;

/// The file of the gateway's key.
pub fn api_key_file(data_dir: &Path) -> PathBuf {
    data_dir.join("api-key")
}

/// The file of the mesh token.
pub fn mesh_token_file(data_dir: &Path) -> PathBuf {
    data_dir.join("mesh-token")
}

/// The secret in the file, made at the first start.
pub fn read_or_make(path: &Path) -> Result<String> {
    match fs::read_to_string(path) {
        Ok(text) => return Ok(text.trim().to_owned()),
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
    let secret = format!("{}{}", uuid::Uuid::new_v4().simple(), uuid::Uuid::new_v4().simple());
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .with_context(|| format!("cannot write {}", path.display()))?;
    writeln!(file, "{secret}").with_context(|| format!("cannot write {}", path.display()))?;
    Ok(secret)
}

/// The mesh token of a data directory, made at the first start.
pub fn mesh_token(data_dir: &Path) -> Result<MeshToken> {
    let path = mesh_token_file(data_dir);
    let token = read_or_make(&path)?;
    MeshToken::new(&token, format!("the file {} (remove it, and a new one is made)", path.display()))
        .map_err(Into::into)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_token_is_made_once_for_its_owner_and_a_damaged_one_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let first = mesh_token(folder.path()).unwrap();
        assert_eq!(first, mesh_token(folder.path()).unwrap());
        let path = mesh_token_file(folder.path());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        fs::write(&path, "").unwrap();
        let error = mesh_token(folder.path()).unwrap_err().to_string();
        assert!(error.contains("mesh-token (remove it"), "{error}");
    }
}
