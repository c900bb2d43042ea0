//! The password of a private server, in a file that its owner alone can read.
//!
//! Every user of the machine can reach a port on 127.0.0.1, and who reaches an unprotected Postgres or Redis runs programs as its
//! user. The password never stands in an argument, which all users could read.

use std::{
    fmt, fs,
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use crate::StoresError;

const FILE: &str = "password";

/// A password of letters and digits. It is not shown by `Debug`.
#[derive(Clone)]
pub(crate) struct Password(String);

impl Password {
    /// The one kept in a server's directory; a new one where there is none.
    pub(crate) fn of(directory: &Path) -> Result<Self, StoresError> {
        let path = file(directory);
        match fs::read_to_string(&path) {
            Ok(text) if is_plain(text.trim()) => Ok(Self(text.trim().to_owned())),
            // A damaged one is made anew, and the server told.
            Ok(_) => {
                fs::remove_file(&path).map_err(StoresError::io(format!("remove {}", path.display())))?;
                Ok(Self::new())
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::new()),
            Err(error) => Err(StoresError::io(format!("read {}", path.display()))(error)),
        }
    }

    fn new() -> Self {
        Self(format!("{}{}", uuid::Uuid::new_v4().simple(), uuid::Uuid::new_v4().simple()))
    }

    /// Whether the directory has it, that is: the server knows it already.
    pub(crate) fn is_kept(directory: &Path) -> bool {
        file(directory).is_file()
    }

    /// Keeps it, once the server knows it.
    pub(crate) fn keep(&self, directory: &Path) -> Result<(), StoresError> {
        write_private(&file(directory), &format!("{}\n", self.0))
    }

    /// As it is.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Where a server's password is kept.
pub(crate) fn file(directory: &Path) -> PathBuf {
    directory.join(FILE)
}

/// Safe in URLs and in the servers' own languages.
fn is_plain(text: &str) -> bool {
    text.len() >= 32 && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// Writes a file of mode 0600, in one step.
pub(crate) fn write_private(path: &Path, text: &str) -> Result<(), StoresError> {
    let shown = path.display();
    let unfinished = path.with_extension("new");
    let write = || {
        // Its mode is that of its creation.
        match fs::remove_file(&unfinished) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&unfinished, path)
    };
    write().map_err(StoresError::io(format!("write {shown}")))
}
