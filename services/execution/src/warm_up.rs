//! The time that a policy has to wake up: once for a miner and cycle.
//!
//! Hosts put servers to sleep that are not asked, and a model is loaded by the first question. So until a miner's policy has answered its
//! first action of a cycle, an answer that comes late, and a status that says that the policy or what stands before it is not ready (502, 503,
//! 504; UNAVAILABLE), only begin its warm-up. Within that the episode begins again, from `/reset`, as often as it takes; nothing of it was
//! played. The first such answer begins the warm-up for all of the miner's episodes; those that were not under way then have what is left, and
//! none has any once an action was answered. What an executor forgets when it starts anew, or another executor, gives the time again.

use std::{
    collections::HashMap,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::time::timeout;

/// More miners than this are not remembered: several cycles of a large subnet.
const MOST_REMEMBERED: usize = 4096;

/// The pause before a policy is asked again that named none.
pub(crate) const PAUSE: Duration = Duration::from_millis(500);

/// How often it is looked whether this process runs.
const TICK: Duration = Duration::from_millis(50);

/// A miner in a cycle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Entrant {
    pub(crate) cycle: u64,
    pub(crate) uid: u32,
}

/// The warm-ups of all miners.
pub(crate) struct WarmUps {
    length: Duration,
    known: Mutex<HashMap<Entrant, Arc<WarmUp>>>,
}

/// The warm-up of one miner in one cycle.
#[derive(Default)]
pub(crate) struct WarmUp(Mutex<State>);

#[derive(Default)]
struct State {
    begun: Option<Instant>,
    answered: bool,
}

/// The share of one episode in it.
pub(crate) struct Share {
    warm_up: Arc<WarmUp>,
    length: Duration,
}

impl WarmUps {
    pub(crate) fn new(length: Duration) -> Self {
        Self { length, known: Mutex::default() }
    }

    /// What an episode of a miner has of its warm-up; nothing when a first action was answered before.
    pub(crate) fn share(&self, entrant: Entrant) -> Option<Share> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST_REMEMBERED && !known.contains_key(&entrant) {
            // Those of the oldest cycle first: they are over.
            let oldest = known.keys().map(|entrant| entrant.cycle).min();
            known.retain(|entrant, _| Some(entrant.cycle) != oldest);
        }
        let warm_up = known.entry(entrant).or_default().clone();
        drop(known);
        let share = Share { warm_up, length: self.length };
        let answered = share.state().answered;
        (!answered && !share.left().is_zero()).then_some(share)
    }
}

impl Share {
    fn state(&self) -> MutexGuard<'_, State> {
        self.warm_up.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The time that is left.
    pub(crate) fn left(&self) -> Duration {
        let begun = self.state().begun;
        begun.map_or(self.length, |begun| self.length.saturating_sub(begun.elapsed()))
    }

    /// The policy was found not ready, which took so long. Only the first time begins the warm-up.
    pub(crate) fn begin(&self, took: Duration) {
        let now = Instant::now();
        self.state().begun.get_or_insert(now.checked_sub(took).unwrap_or(now));
    }

    /// The policy answered a first action: episodes to come find it ready.
    pub(crate) fn answered(&self) {
        self.state().answered = true;
    }
}

/// What comes of a future, and for how long it was waited for while this process ran: what it stood still is not a policy's slowness.
pub(crate) async fn attended<T>(future: impl Future<Output = T>) -> (T, Duration) {
    let mut future = pin!(future);
    let mut waited = Duration::ZERO;
    loop {
        let since = Instant::now();
        let output = timeout(TICK, future.as_mut()).await;
        waited += since.elapsed().min(2 * TICK);
        if let Ok(output) = output {
            return (output, waited);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const LENGTH: Duration = Duration::from_secs(30);
    const SEVEN: Entrant = Entrant { cycle: 1, uid: 7 };

    #[test]
    fn a_miner_warms_up_once_a_cycle_whatever_its_episodes_are() {
        let warm_ups = WarmUps::new(LENGTH);
        let (first, second) = (warm_ups.share(SEVEN).unwrap(), warm_ups.share(SEVEN).unwrap());
        assert_eq!(second.left(), LENGTH);
        first.begin(LENGTH / 2);
        second.begin(Duration::ZERO);
        assert!(second.left() <= LENGTH / 2 && !second.left().is_zero(), "it began with the first");
        first.answered();
        assert!(warm_ups.share(SEVEN).is_none(), "it is awake");
        assert!(!second.left().is_zero(), "what was under way has its time");
        assert!(warm_ups.share(Entrant { uid: 8, ..SEVEN }).is_some());
        assert!(warm_ups.share(Entrant { cycle: 2, ..SEVEN }).is_some());
    }

    #[tokio::test]
    async fn a_standstill_of_this_process_is_not_waited() {
        let (seven, waited) = attended(async {
            tokio::time::sleep(TICK).await;
            // The only thread of this runtime.
            #[expect(clippy::disallowed_methods, reason = "this is the standstill")]
            std::thread::sleep(40 * TICK);
            7
        })
        .await;
        assert!(seven == 7 && waited < 20 * TICK, "{waited:?}");
    }

    #[test]
    fn a_warm_up_that_is_over_comes_not_again() {
        let warm_ups = WarmUps::new(LENGTH);
        warm_ups.share(SEVEN).unwrap().begin(LENGTH);
        assert!(warm_ups.share(SEVEN).is_none());
        assert!(WarmUps::new(Duration::ZERO).share(SEVEN).is_none(), "none is given");
    }

    #[test]
    fn the_oldest_cycle_is_forgotten_first() {
        let warm_ups = WarmUps::new(LENGTH);
        for uid in 0..MOST_REMEMBERED as u32 {
            let cycle = 1 + u64::from(uid % 2);
            warm_ups.share(Entrant { cycle, uid }).unwrap().answered();
        }
        assert!(warm_ups.share(Entrant { cycle: 3, uid: 0 }).is_some());
        assert!(warm_ups.share(Entrant { cycle: 2, uid: 1 }).is_none(), "still known");
        assert!(warm_ups.known.lock().unwrap().len() <= MOST_REMEMBERED);
    }
}
