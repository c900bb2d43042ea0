//! Whether as many files may be open as episodes need: every episode has a connection.

use kinitro_chassis::raise_open_files;

/// An episode's connection, the one that may replace it, and its share of everything else.
const FILES_A_SLOT: usize = 3;

/// Raises this process's limit to the most that it may have; logs when that is little for so many slots.
pub(crate) fn raise_limit(slots: usize) {
    match raise_open_files() {
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
mod tests {
    use super::*;

    #[test]
    fn every_slot_needs_files_for_two_connections_and_its_share_of_the_rest() {
        assert_eq!(wanted(20), 60);
        assert_eq!(wanted(usize::MAX), u64::MAX);
    }
}
