//! Whether the chain goes on, as the node tells it.

use std::time::Duration;

use kinitro_domain::BlockNumber;
use tokio::time::Instant;

/// Finality comes in batches; a new connection fetches the metadata anew.
const LEAST_BLAME: Duration = Duration::from_secs(120);

/// How far the chain was finalized at most, and when that was seen first.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Progress {
    limit: Duration,
    highest: BlockNumber,
    since: Instant,
    /// When the connection was replaced last.
    replaced: Instant,
}

/// What is wrong with a finalized head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lag {
    /// It is older than what was known before: the node lags, or the chain was rolled back.
    Behind {
        /// What was known.
        known: BlockNumber,
    },
    /// It has not moved for so long.
    Stalled(Duration),
}

impl Progress {
    /// A finality that stands still for `limit` is stalled.
    pub(crate) fn new(limit: Duration) -> Self {
        let now = Instant::now();
        Self { limit, highest: BlockNumber(0), since: now, replaced: now }
    }

    /// Takes note of the finalized head. `known` is a finalized block from before, of the memory on disk.
    pub(crate) fn saw(&mut self, head: BlockNumber, known: BlockNumber) -> Option<Lag> {
        self.saw_at(head, known, Instant::now())
    }

    fn saw_at(&mut self, head: BlockNumber, known: BlockNumber, now: Instant) -> Option<Lag> {
        if head > self.highest {
            (self.highest, self.since) = (head, now);
        }
        let (known, still) = (known.max(self.highest), now.saturating_duration_since(self.since));
        if head < known {
            Some(Lag::Behind { known })
        } else if still >= self.limit {
            Some(Lag::Stalled(still))
        } else {
            None
        }
    }

    /// Whether the connection may be to blame: nothing new came over it for the limit, or at least for [`LEAST_BLAME`]. True once in
    /// that time.
    pub(crate) fn blames_connection(&mut self) -> bool {
        self.blames_connection_at(Instant::now())
    }

    fn blames_connection_at(&mut self, now: Instant) -> bool {
        let blamed = now.saturating_duration_since(self.since.max(self.replaced)) >= self.limit.max(LEAST_BLAME);
        if blamed {
            self.replaced = now;
        }
        blamed
    }

    /// Gives up a height that nobody has confirmed since: one node may have told any number.
    pub(crate) fn believe(&mut self, head: BlockNumber) {
        self.highest = self.highest.min(head);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_that_does_not_move_is_stalled_and_one_that_goes_back_is_behind() {
        let (limit, start) = (Duration::from_secs(600), Instant::now());
        let mut progress = Progress::new(limit);
        let mut saw = |head, known, seconds| {
            progress.saw_at(BlockNumber(head), BlockNumber(known), start + Duration::from_secs(seconds))
        };
        assert_eq!(saw(10, 0, 1), None);
        assert_eq!(saw(10, 0, 600), None);
        assert_eq!(saw(10, 0, 601), Some(Lag::Stalled(limit)));
        assert_eq!(saw(11, 0, 700), None);
        assert_eq!(saw(9, 0, 701), Some(Lag::Behind { known: BlockNumber(11) }), "the highest that was seen");
        assert_eq!(saw(11, 0, 702), None);
        assert_eq!(saw(12, 13, 703), Some(Lag::Behind { known: BlockNumber(13) }), "what the memory knows");
        assert_eq!(saw(13, 13, 704), None);
    }

    #[test]
    fn a_connection_is_blamed_once_a_limit() {
        for (limit, after) in [(600, 600), (1, 120)] {
            let mut progress = Progress::new(Duration::from_secs(limit));
            let start = progress.since;
            let mut blames = |seconds| progress.blames_connection_at(start + Duration::from_secs(seconds));
            assert!(!blames(after - 1));
            assert!(blames(after));
            assert!(!blames(after + 1), "it was replaced just now");
            assert!(blames(2 * after));
        }
    }

    #[test]
    fn a_height_that_only_one_node_ever_told_is_given_up_with_its_connection() {
        let mut progress = Progress::new(Duration::from_secs(600));
        let start = progress.since;
        let far = BlockNumber(4_000_000_000);
        assert_eq!(progress.saw_at(far, BlockNumber(0), start), None);
        let behind = Some(Lag::Behind { known: far });
        assert_eq!(progress.saw_at(BlockNumber(12), BlockNumber(10), start + Duration::from_secs(600)), behind);
        assert!(progress.blames_connection_at(start + Duration::from_secs(600)));
        progress.believe(BlockNumber(12));
        assert_eq!(progress.saw_at(BlockNumber(13), BlockNumber(10), start + Duration::from_secs(660)), None);
        let behind = Some(Lag::Behind { known: BlockNumber(14) });
        assert_eq!(
            progress.saw_at(BlockNumber(13), BlockNumber(14), start + Duration::from_secs(661)),
            behind,
            "on disk"
        );
    }
}
