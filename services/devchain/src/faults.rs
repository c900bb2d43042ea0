//! What is broken on purpose, for tests of clients: the wishes are kept here and carried out where connections and blocks are made.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use serde::Deserialize;
use tokio::sync::watch;

/// When the connection of the next submission breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LostSubmission {
    /// Before the transaction was taken: it never exists.
    Before,
    /// After the transaction was taken: it waits for a block, and the sender was not told.
    After,
}

/// An error that is answered in place of a method's result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub code: i32,
    pub message: String,
}

/// The faults of one chain; clones are the same faults.
#[derive(Clone)]
pub(crate) struct Faults {
    hold_transactions: Arc<AtomicBool>,
    failures: Arc<Mutex<HashMap<String, (u32, Failure)>>>,
    lost_submission: Arc<Mutex<Option<LostSubmission>>>,
    drops: watch::Sender<u64>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            hold_transactions: Arc::default(),
            failures: Arc::default(),
            lost_submission: Arc::default(),
            drops: watch::Sender::new(0),
        }
    }
}

impl Faults {
    /// Whether transactions are taken into the pool and from there into no block.
    pub(crate) fn hold_transactions(&self, hold: bool) {
        self.hold_transactions.store(hold, Ordering::Relaxed);
    }

    pub(crate) fn holds_transactions(&self) -> bool {
        self.hold_transactions.load(Ordering::Relaxed)
    }

    /// Answers the next calls of a method with an error; none any more when `times` is 0.
    pub(crate) fn fail_next(&self, method: &str, times: u32, code: i32, message: &str) {
        let mut failures = locked(&self.failures);
        if times == 0 {
            failures.remove(method);
        } else {
            failures.insert(method.to_owned(), (times, Failure { code, message: message.to_owned() }));
        }
    }

    /// The error for this call of a method, which is used up by asking.
    pub(crate) fn take_failure(&self, method: &str) -> Option<Failure> {
        let mut failures = locked(&self.failures);
        let (times, failure) = failures.get_mut(method)?;
        *times -= 1;
        if *times > 0 {
            return Some(failure.clone());
        }
        failures.remove(method).map(|(_, failure)| failure)
    }

    /// Breaks the connection of the next submission.
    pub(crate) fn lose_next_submission(&self, kind: LostSubmission) {
        *locked(&self.lost_submission) = Some(kind);
    }

    /// How the connection of this submission breaks, which is used up by asking.
    pub(crate) fn take_lost_submission(&self) -> Option<LostSubmission> {
        locked(&self.lost_submission).take()
    }

    /// Breaks every connection that is open now.
    pub(crate) fn drop_connections(&self) {
        self.drops.send_modify(|drops| *drops += 1);
    }

    /// Wakes up at every [`Self::drop_connections`] after the call.
    pub(crate) fn connection_drops(&self) -> watch::Receiver<u64> {
        self.drops.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_and_lost_submissions_are_used_up() {
        let faults = Faults::default();
        faults.fail_next("chain_getHeader", 2, 1, "broken");
        assert_eq!(faults.take_failure("chain_getBlock"), None);
        let broken = Some(Failure { code: 1, message: "broken".to_owned() });
        let taken: Vec<_> = (0..3).map(|_| faults.take_failure("chain_getHeader")).collect();
        assert_eq!(taken, [broken.clone(), broken, None]);
        faults.fail_next("chain_getHeader", 1, 1, "broken");
        faults.fail_next("chain_getHeader", 0, 1, "broken");
        assert_eq!(faults.take_failure("chain_getHeader"), None);

        faults.lose_next_submission(LostSubmission::After);
        assert_eq!(faults.take_lost_submission(), Some(LostSubmission::After));
        assert_eq!(faults.take_lost_submission(), None);
    }
}
