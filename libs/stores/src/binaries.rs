//! Where the servers' programs are.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use crate::StoresError;

const DEBIAN_POSTGRES: &str = "/usr/lib/postgresql";
const INSTALL_POSTGRES: &str = "apt-get install postgresql";
const INSTALL_REDIS: &str = "apt-get install redis-server";
const INSTALL_PGBOUNCER: &str = "apt-get install pgbouncer";
const INSTALL_SETPRIV: &str = "apt-get install util-linux";

/// The programs of one Postgres installation.
#[derive(Debug, Clone)]
pub(crate) struct PostgresBinaries {
    pub(crate) initdb: PathBuf,
    pub(crate) postgres: PathBuf,
    /// Major version, "15". Empty when found through PATH, where the path does not tell.
    pub(crate) version: String,
}

impl PostgresBinaries {
    /// The installation of `wanted` major version, or the newest: Debian's directories first, then PATH.
    pub(crate) fn find(wanted: Option<&str>) -> Result<Self, StoresError> {
        let mut installed = debian_installations();
        installed.sort_by_key(|(version, _)| *version);
        let chosen = match wanted {
            Some(wanted) => installed.iter().find(|(version, _)| version.to_string() == wanted).or(installed.last()),
            None => installed.last(),
        };
        if let Some((version, bin)) = chosen {
            let version = version.to_string();
            return Ok(Self { initdb: bin.join("initdb"), postgres: bin.join("postgres"), version });
        }
        let missing = |program| StoresError::MissingBinary { program, install: INSTALL_POSTGRES };
        let initdb = on_path("initdb").ok_or_else(|| missing("initdb"))?;
        let postgres = on_path("postgres").ok_or_else(|| missing("postgres"))?;
        Ok(Self { initdb, postgres, version: String::new() })
    }
}

fn debian_installations() -> Vec<(u32, PathBuf)> {
    let Ok(entries) = fs::read_dir(DEBIAN_POSTGRES) else { return Vec::new() };
    entries
        .flatten()
        .filter_map(|entry| {
            let version = entry.file_name().to_str()?.parse().ok()?;
            let bin = entry.path().join("bin");
            (bin.join("initdb").is_file() && bin.join("postgres").is_file()).then_some((version, bin))
        })
        .collect()
}

pub(crate) fn redis_server() -> Result<PathBuf, StoresError> {
    on_path("redis-server").ok_or(StoresError::MissingBinary { program: "redis-server", install: INSTALL_REDIS })
}

pub(crate) fn pgbouncer() -> Result<PathBuf, StoresError> {
    on_path("pgbouncer").ok_or(StoresError::MissingBinary { program: "pgbouncer", install: INSTALL_PGBOUNCER })
}

pub(crate) fn setpriv() -> Result<PathBuf, StoresError> {
    on_path("setpriv").ok_or(StoresError::MissingBinary { program: "setpriv", install: INSTALL_SETPRIV })
}

fn on_path(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    // Debian's sbin is not on every user's PATH, and servers like to live there.
    env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin"].map(PathBuf::from))
        .map(|directory| directory.join(program))
        .find(|candidate| is_executable(candidate))
}

fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}
