//! Whether executors could say lately that they live.
//!
//! While scheduling or one of its stores is away, leases run out although their holders play on. When it is back, the holders are heard of
//! within moments; until then no expired lease is given to another executor, or each outage would have everything played twice.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// When executors last could not be heard, as this replica knows it.
#[derive(Clone, Default)]
pub(super) struct Unheard {
    last: Arc<Mutex<Option<Instant>>>,
}

impl Unheard {
    /// They cannot be heard now.
    pub(super) fn goes_on(&self) {
        self.went_on_at(Instant::now());
    }

    /// Whether that was within this time.
    pub(super) fn was_within(&self, time: Duration) -> bool {
        self.was_within_at(Instant::now(), time)
    }

    fn went_on_at(&self, now: Instant) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
    }

    fn was_within_at(&self, now: Instant, time: Duration) -> bool {
        let last = *self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.is_some_and(|last| now.saturating_duration_since(last) < time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_is_over_for_a_while_before_leases_expire_again() {
        let (unheard, begun) = (Unheard::default(), Instant::now());
        let after = |seconds| begun + Duration::from_secs(seconds);
        let within = |seconds| unheard.was_within_at(after(seconds), Duration::from_secs(10));
        assert!(!within(0));
        unheard.went_on_at(after(0));
        assert!(within(9));
        unheard.went_on_at(after(9));
        assert!(within(18), "from its end on");
        assert!(!within(19));
    }
}
