//! The limit of open files. Shells and container runtimes often set the soft one to 1024, far below what the hard one allows, and every
//! episode has a connection.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// An episode's connection, the one that may replace it, and its share of everything else.
const FILES_A_SLOT: usize = 3;

/// Raises this process's limit to the most that it may have; logs when that is little for so many slots.
pub(crate) fn raise_limit(slots: usize) {
    let raised = getrlimit(Resource::RLIMIT_NOFILE).and_then(|(soft, hard)| {
        if soft < hard {
            setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
        }
        Ok(hard)
    });
    match raised {
        Ok(limit) if limit < wanted(slots) => {
            tracing::warn!(
                limit,
                slots,
                wanted = wanted(slots),
                "few files may be open for so many slots: raise `ulimit -n`"
            );
        }
        Ok(limit) => tracing::debug!(limit, slots, "open files"),
        Err(error) => tracing::warn!(%error, "the limit of open files could not be raised"),
    }
}

fn wanted(slots: usize) -> u64 {
    u64::try_from(slots.saturating_mul(FILES_A_SLOT)).unwrap_or(u64::MAX)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_becomes_the_hard_one() {
        let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        setrlimit(Resource::RLIMIT_NOFILE, hard.min(1024), hard).unwrap();
        raise_limit(20);
        assert_eq!(getrlimit(Resource::RLIMIT_NOFILE).unwrap(), (hard, hard));
        assert_eq!(wanted(20), 60);
    }
}
