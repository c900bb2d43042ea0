//! The pause before the next try.

use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};

/// Pauses that double from a first to a longest one. Of each, between half and the whole is waited, at random, so that all clients of a
/// server that comes back do not ask it in the same moment. No pause is longer than the longest.
#[derive(Debug)]
pub struct BackOff {
    builder: ExponentialBuilder,
    pauses: ExponentialBackoff,
    longest: Duration,
}

impl BackOff {
    /// Begins with the first pause; the longest bounds that one, too.
    pub fn new(first: Duration, longest: Duration) -> Self {
        // The crate adds up to as much again to each of its delays.
        let builder = ExponentialBuilder::new()
            .with_min_delay(first.min(longest) / 2)
            .with_max_delay(longest / 2)
            .without_max_times()
            .with_jitter();
        Self { builder, pauses: builder.build(), longest }
    }

    /// The pause after one more failure.
    pub fn pause(&mut self) -> Duration {
        self.pauses.next().unwrap_or(self.longest)
    }

    /// Something succeeded: the next pause is the first again.
    pub fn reset(&mut self) {
        self.pauses = self.builder.build();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Duration = Duration::from_millis(250);
    const LONGEST: Duration = Duration::from_secs(30);

    /// The pauses without their jitter.
    fn whole() -> impl Iterator<Item = Duration> {
        std::iter::successors(Some(FIRST), |pause| Some((*pause * 2).min(LONGEST)))
    }

    #[test]
    fn pauses_double_up_to_the_longest_and_begin_anew_after_a_success() {
        let mut back_off = BackOff::new(FIRST, LONGEST);
        for _ in 0..100 {
            for whole in whole().take(20) {
                let pause = back_off.pause();
                assert!(whole / 2 <= pause && pause <= whole, "{pause:?} of {whole:?}");
            }
            back_off.reset();
        }
    }

    #[test]
    fn clients_that_failed_together_do_not_come_back_together() {
        let mut pauses: Vec<Duration> = (0..100).map(|_| BackOff::new(FIRST, LONGEST).pause()).collect();
        pauses.sort();
        pauses.dedup();
        assert!(pauses.len() > 90, "{} of 100 differ", pauses.len());
    }

    #[test]
    fn a_first_pause_above_the_longest_is_cut() {
        let mut back_off = BackOff::new(LONGEST * 2, LONGEST);
        assert!((0..10).all(|_| back_off.pause() <= LONGEST));
    }

    #[test]
    fn it_goes_on_without_end() {
        let mut back_off = BackOff::new(Duration::MAX, Duration::MAX);
        assert!((0..1000).all(|_| back_off.pause() >= Duration::MAX / 4));
    }
}
