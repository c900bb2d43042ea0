//! Whether executors could say lately that they live.
//!
//! While scheduling or one of its stores is away, leases run out although their holders play on. When it is back, the holders are heard of
//! within moments; until then no expired lease is given to another executor, or each outage would have everything played twice.
//!
//! A call that fails now and then among others that are answered is no outage, and must not keep leases from expiring for ever: after the
//! first answer of a series of errors the later ones of it count for [`LONGEST`] and no more.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// For so long errors count that come although others are answered.
const LONGEST: Duration = Duration::from_secs(60);
/// A series of errors ends when there was none for so long.
const QUIET: Duration = Duration::from_secs(60);

/// When executors last could not be heard, as this replica knows it.
#[derive(Clone)]
pub(super) struct Unheard {
    /// Within so long after an outage the holders are heard of.
    moment: Duration,
    series: Arc<Mutex<Option<Series>>>,
}

/// Errors with less than a quiet time between them.
struct Series {
    last: Instant,
    /// The first call since its first error that was answered. In an outage there is none until its end.
    answered: Option<Instant>,
}

impl Unheard {
    pub(super) fn new(moment: Duration) -> Self {
        Self { moment, series: Arc::default() }
    }

    /// They cannot be heard now.
    pub(super) fn goes_on(&self) {
        self.went_on_at(Instant::now());
    }

    /// One was heard.
    pub(super) fn answered(&self) {
        self.answered_at(Instant::now());
    }

    /// Whether they could not be heard a moment ago.
    pub(super) fn was_lately(&self) -> bool {
        self.was_lately_at(Instant::now())
    }

    fn went_on_at(&self, now: Instant) {
        // Longer than an error counts, or one error each quiet time would count for ever.
        let quiet = QUIET.max(self.moment * 2);
        let mut series = self.series.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *series {
            Some(series) if now.saturating_duration_since(series.last) < quiet => series.last = now,
            series => *series = Some(Series { last: now, answered: None }),
        }
    }

    fn answered_at(&self, now: Instant) {
        if let Some(series) = &mut *self.series.lock().unwrap_or_else(PoisonError::into_inner) {
            series.answered = series.answered.or(Some(now));
        }
    }

    fn was_lately_at(&self, now: Instant) -> bool {
        let series = self.series.lock().unwrap_or_else(PoisonError::into_inner);
        series.as_ref().is_some_and(|series| {
            let last = series.answered.map_or(series.last, |answered| series.last.min(answered + LONGEST));
            now.saturating_duration_since(last) < self.moment
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unheard() -> (Unheard, impl Fn(u64) -> Instant) {
        let begun = Instant::now();
        (Unheard::new(Duration::from_secs(10)), move |seconds| begun + Duration::from_secs(seconds))
    }

    #[test]
    fn an_outage_is_over_for_a_while_before_leases_expire_again() {
        let (unheard, after) = unheard();
        assert!(!unheard.was_lately_at(after(0)));
        unheard.went_on_at(after(0));
        assert!(unheard.was_lately_at(after(9)));
        unheard.went_on_at(after(9));
        unheard.answered_at(after(10));
        assert!(unheard.was_lately_at(after(18)), "from its end on");
        assert!(!unheard.was_lately_at(after(19)));
    }

    #[test]
    fn an_outage_that_lasts_is_followed_by_the_same_while() {
        let (unheard, after) = unheard();
        (0..=60).for_each(|step| unheard.went_on_at(after(step * 5)));
        unheard.answered_at(after(301));
        assert!(unheard.was_lately_at(after(309)));
        assert!(!unheard.was_lately_at(after(310)));
    }

    #[test]
    fn errors_among_answers_do_not_keep_leases_from_expiring_for_ever() {
        let (unheard, after) = unheard();
        for step in 0..40 {
            unheard.went_on_at(after(step * 9));
            unheard.answered_at(after(step * 9 + 1));
        }
        assert!(!unheard.was_lately_at(after(39 * 9 + 2)), "the series began minutes ago");
        // The next series, after a quiet time.
        unheard.went_on_at(after(1000));
        unheard.answered_at(after(1001));
        assert!(unheard.was_lately_at(after(1009)));
        assert!(!unheard.was_lately_at(after(1010)));
    }

    #[test]
    fn single_errors_do_not_count_for_ever_where_leases_live_long() {
        let unheard = Unheard::new(Duration::from_secs(1200));
        let begun = Instant::now();
        let expired = (1..60).any(|minute| {
            let now = begun + Duration::from_secs(minute * 61);
            let expired = minute > 1 && !unheard.was_lately_at(now);
            unheard.went_on_at(now);
            unheard.answered_at(now);
            expired
        });
        assert!(expired);
    }
}
