//! The limit of open files. Shells and container runtimes often set the soft one to 1024, far below what the hard one allows, and
//! every connection is a file.

use std::{io, sync::OnceLock};

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// What POSIX guarantees and every system gives, for when the limit cannot be read.
const FEW: u64 = 256;

/// Raises this process's limit of open files to the most that it may have, and returns it.
///
/// # Errors
/// The system's, when the limit can be neither read nor raised.
pub fn raise_open_files() -> io::Result<u64> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if soft < hard {
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    }
    Ok(hard)
}

/// The limit after it was raised, once a process.
pub(super) fn open_files() -> u64 {
    static LIMIT: OnceLock<u64> = OnceLock::new();
    *LIMIT.get_or_init(|| {
        raise_open_files().unwrap_or_else(|error| {
            tracing::warn!(%error, "the limit of open files could not be raised");
            getrlimit(Resource::RLIMIT_NOFILE).map_or(FEW, |(soft, _)| soft)
        })
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_becomes_the_hard_one() {
        let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        setrlimit(Resource::RLIMIT_NOFILE, hard.min(1024), hard).unwrap();
        assert_eq!(raise_open_files().unwrap(), hard);
        assert_eq!(getrlimit(Resource::RLIMIT_NOFILE).unwrap(), (hard, hard));
    }
}
