//! One process a data directory: a lock that names its holder.
//!
//! The lock is an advisory `flock`, which the kernel releases when the holder ends, however it ends. The file's text
//! is only for the error message; a text left behind by a dead holder blocks nobody.

use std::{
    fs::{self, File, OpenOptions},
    io::{Read, Seek, SeekFrom, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use nix::{
    errno::Errno,
    fcntl::{Flock, FlockArg},
};

use crate::StoresError;

const LOCK_FILE: &str = "kinitro.lock";

/// A data directory held by this process until the value is dropped.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    _lock: Flock<File>,
}

impl DataDir {
    /// Creates the directory if need be and takes it, or tells who has it.
    ///
    /// A created directory can be entered by everybody (0755), because the private servers inside may run as another
    /// user; their own directories are private.
    pub fn lock(path: &Path) -> Result<Self, StoresError> {
        let shown = path.display();
        if !path.is_dir() {
            fs::create_dir_all(path).map_err(StoresError::io(format!("create {shown}")))?;
            fs::set_permissions(path, fs::Permissions::from_mode(0o755))
                .map_err(StoresError::io(format!("open {shown} to the servers")))?;
        }
        let path = path.canonicalize().map_err(StoresError::io(format!("resolve {shown}")))?;
        let name = path.join(LOCK_FILE);
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&name)
            .map_err(StoresError::io(format!("open {}", name.display())))?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(mut lock) => {
                sign(&mut lock).map_err(StoresError::io(format!("write {}", name.display())))?;
                Ok(Self { path, _lock: lock })
            }
            Err((mut file, Errno::EWOULDBLOCK)) => {
                let (pid, started) = read_holder(&mut file);
                Err(StoresError::Held { directory: path, pid, started })
            }
            Err((_, errno)) => Err(StoresError::io(format!("lock {}", name.display()))(errno)),
        }
    }

    /// The directory, absolute and without symlinks.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

fn sign(file: &mut File) -> std::io::Result<()> {
    file.set_len(0)?;
    file.seek(SeekFrom::Start(0))?;
    let started = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    file.write_all(format!("{}\n{started}\n", std::process::id()).as_bytes())
}

fn read_holder(file: &mut File) -> (String, String) {
    let mut text = String::new();
    // Between taking the lock and signing it the holder is unknown; so it is when the text is damaged.
    let _ = file.take(256).read_to_string(&mut text);
    let mut lines = text.lines();
    let mut line = || lines.next().filter(|line| !line.is_empty()).unwrap_or("unknown").to_owned();
    (line(), line())
}
