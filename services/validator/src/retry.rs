//! Back-off between failures.

use std::time::Duration;

use tokio::time::Instant;

const LONGEST_PAUSE: Duration = Duration::from_secs(600);

/// After a failure nothing is sent for a while, after each further one for twice as long.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Retry {
    first: Duration,
    pause: Duration,
    not_before: Option<Instant>,
}

impl Retry {
    pub(crate) fn new(first: Duration) -> Self {
        Self { first, pause: first, not_before: None }
    }

    pub(crate) fn failed(&mut self) {
        self.not_before = Some(Instant::now() + self.pause);
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
    }

    pub(crate) fn succeeded(&mut self) {
        *self = Self::new(self.first);
    }

    pub(crate) fn waits(&self) -> bool {
        self.not_before.is_some_and(|at| Instant::now() < at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_until_something_succeeds() {
        let mut retry = Retry::new(Duration::from_secs(60));
        assert!(!retry.waits());
        for pause in [120, 240, 480, 600, 600] {
            retry.failed();
            assert!(retry.waits());
            assert_eq!(retry.pause, Duration::from_secs(pause));
        }
        retry.succeeded();
        assert_eq!((retry.waits(), retry.pause), (false, Duration::from_secs(60)));
    }
}
