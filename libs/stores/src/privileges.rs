//! Who runs the servers, and whether that user can reach the data.
//!
//! An ordinary user runs them as himself. Root hands them to the first of a list of unprivileged users, gives that
//! user the data directory, and checks first that every directory above it can be entered.

use std::{
    fs, io,
    os::unix::fs::{MetadataExt, PermissionsExt, lchown},
    path::Path,
    process::Command,
};

use nix::unistd::{User, geteuid};

use crate::{StoresError, binaries, postgres::PostgresKind, server::Kind as _};

/// Runs the program unless our parent, whose process id is `$0`, is gone already: it may have ended after the fork and before
/// the death signal was asked for, and then no signal would ever come.
const UNLESS_ORPHANED: &str = r#"[ "$PPID" = "$0" ] || exit 1; exec "$@""#;

/// The user a server runs as.
#[derive(Debug, Clone)]
pub(crate) struct Account {
    /// `None` when the server simply runs as we do.
    switch_to: Option<User>,
}

impl Account {
    /// The first of `candidates` that exists when we are root, ourselves otherwise.
    pub(crate) fn choose(candidates: &[&str]) -> Result<Self, StoresError> {
        if !geteuid().is_root() {
            return Ok(Self { switch_to: None });
        }
        for name in candidates {
            let found = User::from_name(name).map_err(StoresError::io(format!("look up user {name}")))?;
            if let Some(user) = found.filter(|user| !user.uid.is_root()) {
                return Ok(Self { switch_to: Some(user) });
            }
        }
        Err(StoresError::NoUnprivilegedUser { candidates: candidates.join(", ") })
    }

    /// A command that runs `program` as this user; with `death_signal` it ends with the thread that starts it.
    pub(crate) fn command(&self, program: &Path, death_signal: Option<&str>) -> Result<Command, StoresError> {
        let mut command = Command::new(binaries::setpriv()?);
        if let Some(user) = &self.switch_to {
            command.arg(format!("--reuid={}", user.uid)).arg(format!("--regid={}", user.gid)).arg("--clear-groups");
        }
        if let Some(signal) = death_signal {
            command.arg("--pdeathsig").arg(signal);
        }
        command.arg("--no-new-privs").arg("--");
        if death_signal.is_some() {
            command.args(["/bin/sh", "-c", UNLESS_ORPHANED]).arg(std::process::id().to_string());
        }
        command.arg(program);
        Ok(command)
    }

    /// Creates `directory`, private to this user, and makes sure the user can get there.
    pub(crate) fn prepare(&self, directory: &Path) -> Result<(), StoresError> {
        let shown = directory.display();
        fs::create_dir_all(directory).map_err(StoresError::io(format!("create {shown}")))?;
        let private = || {
            let mode = fs::Permissions::from_mode(0o700);
            fs::set_permissions(directory, mode).map_err(StoresError::io(format!("make {shown} private")))
        };
        let Some(user) = &self.switch_to else { return private() };
        let absolute = directory.canonicalize().map_err(StoresError::io(format!("resolve {shown}")))?;
        if let Some(closed) = closed_to(user, absolute.ancestors().skip(1))? {
            return Err(StoresError::Unreachable { directory: closed.to_owned(), user: user.name.clone() });
        }
        give(user, &absolute).map_err(StoresError::io(format!("give {shown} to user {}", user.name)))?;
        private()
    }

    /// Hands one file to this user.
    pub(crate) fn give(&self, path: &Path) -> Result<(), StoresError> {
        let Some(user) = &self.switch_to else { return Ok(()) };
        give(user, path).map_err(StoresError::io(format!("give {} to user {}", path.display(), user.name)))
    }
}

/// Whether the user that Postgres runs as can get into a directory that exists.
pub fn postgres_can_reach(directory: &Path) -> Result<bool, StoresError> {
    let Some(user) = Account::choose(PostgresKind::USERS)?.switch_to else { return Ok(true) };
    let shown = directory.display();
    let absolute = directory.canonicalize().map_err(StoresError::io(format!("resolve {shown}")))?;
    Ok(closed_to(&user, absolute.ancestors())?.is_none())
}

/// The first of some directories that the user cannot enter.
fn closed_to<'a>(user: &User, directories: impl Iterator<Item = &'a Path>) -> Result<Option<&'a Path>, StoresError> {
    for directory in directories {
        if !can_enter(user, directory).map_err(StoresError::io(format!("inspect {}", directory.display())))? {
            return Ok(Some(directory));
        }
    }
    Ok(None)
}

fn can_enter(user: &User, directory: &Path) -> io::Result<bool> {
    let meta = fs::metadata(directory)?;
    let bit = if meta.uid() == user.uid.as_raw() {
        0o100
    } else if meta.gid() == user.gid.as_raw() {
        0o010
    } else {
        0o001
    };
    Ok(meta.mode() & bit != 0)
}

/// Hands over a tree. A tree whose root already belongs to the user was handed over before and is left alone.
fn give(user: &User, path: &Path) -> io::Result<()> {
    let meta = fs::symlink_metadata(path)?;
    if meta.uid() == user.uid.as_raw() {
        return Ok(());
    }
    if meta.is_dir() {
        for entry in fs::read_dir(path)? {
            give(user, &entry?.path())?;
        }
    }
    // The root comes last: an interrupted hand-over starts again.
    lchown(path, Some(user.uid.as_raw()), Some(user.gid.as_raw()))
}
