//! Back-off between failures.

use std::time::Duration;

use kinitro_chassis::BackOff;
use tokio::time::Instant;

const LONGEST_PAUSE: Duration = Duration::from_secs(600);

/// After a failure nothing is sent for a while, after each further one for longer.
#[derive(Debug)]
pub(crate) struct Retry {
    back_off: BackOff,
    not_before: Option<Instant>,
}

impl Retry {
    pub(crate) fn new(first: Duration) -> Self {
        Self { back_off: BackOff::new(first, LONGEST_PAUSE), not_before: None }
    }

    pub(crate) fn failed(&mut self) {
        self.not_before = Some(Instant::now() + self.back_off.pause());
    }

    pub(crate) fn succeeded(&mut self) {
        self.back_off.reset();
        self.not_before = None;
    }

    pub(crate) fn waits(&self) -> bool {
        self.not_before.is_some_and(|at| Instant::now() < at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_sent_for_a_while_after_a_failure_and_at_once_after_a_success() {
        let mut retry = Retry::new(Duration::from_secs(60));
        assert!(!retry.waits());
        for whole in [60, 120, 240, 480, 600, 600].map(Duration::from_secs) {
            let before = Instant::now();
            retry.failed();
            let until = retry.not_before.expect("it failed");
            assert!(before + whole / 2 <= until && until <= Instant::now() + whole, "{whole:?}: {until:?}");
            assert!(retry.waits());
        }
        retry.succeeded();
        assert!(!retry.waits());
    }
}
