//! The leases that this executor holds: tasks that are being played, and finished ones that scheduling has not taken yet.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use kinitro_proto::scheduling::v1::{Lease, Task};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// All leases held, by task.
#[derive(Default)]
pub(crate) struct Leases {
    held: Mutex<BTreeMap<String, Held>>,
    changed: Notify,
}

struct Held {
    attempt: u32,
    stop: CancellationToken,
    /// The policy was reached, so it may have seen an observation.
    reached: bool,
    end: Option<End>,
}

/// What the result of a finished episode that waits to be delivered is worth.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// It decides its task, whatever has become of the lease.
    Counts,
    /// A fault of ours: without the lease it changes nothing.
    Fault,
}

impl Leases {
    fn held(&self) -> MutexGuard<'_, BTreeMap<String, Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a lease up; the token stops its episode. An older attempt of the same task that still plays here is stopped: its lease had
    /// been lost. `None` when a result that decides the task waits here for its delivery: there is nothing to play.
    pub(crate) fn take(&self, task: &Task) -> Option<CancellationToken> {
        let stop = CancellationToken::new();
        let new = Held { attempt: task.attempt, stop: stop.clone(), end: None, reached: false };
        if self.held().get(&task.task_uuid).is_some_and(|held| held.end == Some(End::Counts)) {
            return None;
        }
        if let Some(old) = self.held().insert(task.task_uuid.clone(), new) {
            old.stop.cancel();
        }
        Some(stop)
    }

    /// A result from before this process waits to be delivered.
    pub(crate) fn owe(&self, lease: &Lease) {
        let (attempt, stop) = (lease.attempt, CancellationToken::new());
        let held = Held { attempt, stop, reached: true, end: Some(End::Counts) };
        self.held().insert(lease.task_uuid.clone(), held);
    }

    /// The episode is over and its result waits to be delivered: the lease is kept alive, but there is nothing left to stop.
    pub(crate) fn finish(&self, lease: &Lease, end: End) {
        if let Some(held) = self.held().get_mut(&lease.task_uuid).filter(|held| held.attempt == lease.attempt) {
            held.end = Some(end);
        }
    }

    /// The policy of its episode was reached.
    pub(crate) fn reached(&self, lease: &Lease) {
        if let Some(held) = self.held().get_mut(&lease.task_uuid).filter(|held| held.attempt == lease.attempt) {
            held.reached = true;
        }
    }

    /// Of these leases, the tasks whose policy was reached.
    pub(crate) fn shown(&self, leases: &[Lease]) -> Vec<String> {
        let held = self.held();
        let shown = |lease: &&Lease| held.get(&lease.task_uuid).is_some_and(|held| held.reached);
        leases.iter().filter(shown).map(|lease| lease.task_uuid.clone()).collect()
    }

    /// Nothing is owed for this lease any more.
    pub(crate) fn drop_lease(&self, lease: &Lease) {
        let mut held = self.held();
        if held.get(&lease.task_uuid).is_some_and(|held| held.attempt == lease.attempt) {
            held.remove(&lease.task_uuid);
        }
        drop(held);
        self.changed.notify_waiters();
    }

    /// Every lease, to be heartbeaten.
    pub(crate) fn all(&self) -> Vec<Lease> {
        self.held().iter().map(|(task, held)| held.lease(task)).collect()
    }

    /// Stops the episodes of leases that went to somebody else.
    pub(crate) fn lost(&self, heartbeaten: &[Lease], lost: &[String]) {
        let mut held = self.held();
        for lease in heartbeaten.iter().filter(|lease| lost.contains(&lease.task_uuid)) {
            // A finished one is delivered all the same: the first completion counts, even from a lease that was lost.
            let current =
                held.get(&lease.task_uuid).is_some_and(|held| held.attempt == lease.attempt && held.end.is_none());
            if current && let Some(held) = held.remove(&lease.task_uuid) {
                tracing::warn!(task_uuid = lease.task_uuid, attempt = lease.attempt, "lease lost, episode stopped");
                held.stop.cancel();
            }
        }
        drop(held);
        self.changed.notify_waiters();
    }

    /// Stops what still plays.
    pub(crate) fn stop_all(&self) {
        self.held().values().filter(|held| held.end.is_none()).for_each(|held| held.stop.cancel());
    }

    /// The leases of which no episode finished.
    pub(crate) fn unfinished(&self) -> Vec<Lease> {
        self.held().iter().filter(|(_, held)| held.end.is_none()).map(|(task, held)| held.lease(task)).collect()
    }

    /// Resolves when no lease is held.
    pub(crate) async fn none_left(&self) {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            if self.held().is_empty() {
                return;
            }
            changed.await;
        }
    }
}

impl Held {
    fn lease(&self, task_uuid: &str) -> Lease {
        Lease { task_uuid: task_uuid.to_owned(), attempt: self.attempt }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(task_uuid: &str, attempt: u32) -> Task {
        Task { task_uuid: task_uuid.to_owned(), attempt, ..Task::default() }
    }

    fn lease(task_uuid: &str, attempt: u32) -> Lease {
        Lease { task_uuid: task_uuid.to_owned(), attempt }
    }

    #[test]
    fn a_lost_lease_stops_its_own_attempt_only() {
        let leases = Leases::default();
        let first = leases.take(&task("a", 1)).expect("played");
        let second = leases.take(&task("a", 2)).expect("played");
        assert!(first.is_cancelled(), "the older attempt");
        leases.lost(&[lease("a", 1)], &["a".to_owned()]);
        assert!(!second.is_cancelled());
        leases.lost(&[lease("a", 2)], &["a".to_owned()]);
        assert!(second.is_cancelled());
        assert!(leases.all().is_empty());
    }

    #[test]
    fn a_finished_episode_is_kept_until_it_is_delivered() {
        let leases = Leases::default();
        leases.take(&task("a", 1));
        leases.take(&task("b", 1));
        leases.finish(&lease("a", 1), End::Counts);
        leases.lost(&[lease("a", 1)], &["a".to_owned()]);
        assert_eq!(leases.all(), [lease("a", 1), lease("b", 1)]);
        assert_eq!(leases.unfinished(), [lease("b", 1)]);
        leases.drop_lease(&lease("a", 7));
        leases.drop_lease(&lease("b", 1));
        assert_eq!(leases.all(), [lease("a", 1)]);
    }

    #[test]
    fn what_is_finished_and_leased_anew_is_not_played_again() {
        let leases = Leases::default();
        leases.take(&task("a", 1));
        leases.finish(&lease("a", 1), End::Counts);
        leases.lost(&[lease("a", 1)], &["a".to_owned()]);
        assert!(leases.take(&task("a", 2)).is_none(), "its result waits");
        assert_eq!(leases.all(), [lease("a", 1)]);
        leases.drop_lease(&lease("a", 1));
        assert!(leases.take(&task("a", 3)).is_some(), "it was delivered, and did not count");
        leases.finish(&lease("a", 3), End::Fault);
        assert!(leases.take(&task("a", 4)).is_some(), "without its lease a fault of ours is no end");
    }

    #[tokio::test]
    async fn waiting_for_none_ends_with_the_last() {
        let leases = Leases::default();
        leases.none_left().await;
        leases.take(&task("a", 1));
        tokio::join!(leases.none_left(), async {
            tokio::task::yield_now().await;
            leases.drop_lease(&lease("a", 1));
        });
    }
}
