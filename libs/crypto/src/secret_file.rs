//! The one rule of which files with secrets are taken: regular ones that nobody else may write and not everybody may read.
//!
//! Who can write the file replaces the key. Who can read it has the key; but a group may, because the volumes that orchestrators mount
//! secrets into are readable for the group of the one user that a container runs as. That is only warned about.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::PermissionsExt as _,
    path::Path,
};

use kinitro_domain::shown_path;

use crate::CryptoError;

/// The permission bits with which others may write.
pub(crate) const REPLACEABLE: u32 = 0o022;
const READABLE_BY_ALL: u32 = 0o004;
const READABLE_BY_THE_GROUP: u32 = 0o040;

/// Opens a file with a secret for reading.
///
/// # Errors
/// [`CryptoError::KeyFile`], [`CryptoError::NoKeyFile`], or [`CryptoError::KeyFileExposed`]. None shows a path that looks like a key.
pub fn open_secret_file(path: &Path) -> Result<File, CryptoError> {
    let file = open_regular(path)?;
    // Of the file that was opened, whatever has its name by now.
    let mode = file.metadata().map_err(|source| failure("read", path, source))?.permissions().mode() & 0o7777;
    if mode & (REPLACEABLE | READABLE_BY_ALL) != 0 {
        return Err(CryptoError::KeyFileExposed { path: shown_path(path).into_owned(), mode });
    }
    if mode & READABLE_BY_THE_GROUP != 0 {
        tracing::warn!(
            path = %shown_path(path),
            mode = format!("{mode:04o}"),
            "the group of the file with the key may read it: chmod 600 it, unless that group is this user alone"
        );
    }
    Ok(file)
}

/// Opens a file for reading, unless it is something else: opening a pipe would wait for its writer.
pub(crate) fn open_regular(path: &Path) -> Result<File, CryptoError> {
    let unreadable = |source| failure("read", path, source);
    if !fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err(CryptoError::NoKeyFile { path: shown_path(path).into_owned() });
    }
    File::open(path).map_err(unreadable)
}

pub(crate) fn failure(action: &'static str, path: &Path, source: io::Error) -> CryptoError {
    CryptoError::KeyFile { action, path: shown_path(path).into_owned(), source }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use nix::{sys::stat::Mode, unistd::mkfifo};

    use super::*;

    #[test]
    fn a_secret_is_taken_from_its_owner_and_a_group_and_from_nobody_whom_others_can_replace() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        fs::write(&path, "07").unwrap();
        let opened = |mode| {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            open_secret_file(&path)
        };
        for mode in [0o600, 0o400, 0o440, 0o640, 0o700] {
            assert!(opened(mode).is_ok(), "{mode:o}");
        }
        for (mode, said) in
            [(0o644, "read by everybody"), (0o604, "0604"), (0o660, "written by others"), (0o602, "0602")]
        {
            let refused = opened(mode).unwrap_err().to_string();
            assert!(refused.contains(said), "{mode:o}: {refused}");
            assert!(refused.contains(&format!("chmod 600 {}", path.display())), "{refused}");
        }
    }

    #[test]
    fn what_is_no_file_is_refused_and_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        mkfifo(&pipe, Mode::S_IRUSR | Mode::S_IWUSR).unwrap();
        for path in [pipe.as_path(), folder.path(), Path::new("/dev/null")] {
            for refused in [open_secret_file(path).unwrap_err(), open_regular(path).unwrap_err()] {
                assert!(matches!(refused, CryptoError::NoKeyFile { .. }), "{refused}");
                assert!(!refused.to_string().contains("chmod"), "{refused}");
            }
        }
    }

    #[test]
    fn a_key_in_the_place_of_a_path_is_not_shown() {
        let refused = open_secret_file(Path::new(&"07".repeat(32))).unwrap_err();
        assert!(!format!("{refused} {refused:?}").contains("0707"), "{refused:?}");
        assert!(refused.to_string().contains("looks like a key"), "{refused}");
    }
}
