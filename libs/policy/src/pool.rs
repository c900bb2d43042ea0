//! Connections that rest between two episodes of the same policy.
//!
//! A connection is lent to one episode at a time, whatever it could carry: one episode's slow handshake, unread picture or lost packet
//! must not cost another one's action timeout, and a miner who spreads connections over several servers gets every one of them used.
//! That holds for HTTP/2 too, where streams of a connection share its flow control and its order of bytes.
//!
//! What rests here was made to a checked address and stays with it. It is kept for [`IDLE`] at most, less than the five seconds after
//! which common Python servers hang up, so that few connections are found closed; who takes one out makes sure that it is alive before an episode
//! depends on it. After [`MAX_AGE`] a connection is not lent again, so that a miner who moved a name is followed.
//!
//! Few policies cannot take all the room: there is a bound for each destination and one for all.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::runtime::Handle;

use crate::Destination;

/// How long a connection rests before it is closed.
pub(crate) const IDLE: Duration = Duration::from_secs(4);

/// How long after a sign of life a connection is used without asking for another one.
pub(crate) const STANDS: Duration = Duration::from_millis(3500);

/// How old a connection is lent again.
const MAX_AGE: Duration = Duration::from_secs(300);

/// The most connections that rest for one destination.
const MAX_PER_DESTINATION: usize = 32;

/// The most connections that rest.
const MAX_RESTING: usize = 512;

/// A connection that an episode uses alone.
pub(crate) struct Lent<C> {
    pub(crate) connection: C,
    made: Instant,
}

/// The connections at rest. Clones are the same pool.
pub(crate) struct Pool<C>(Arc<Mutex<Resting<C>>>);

struct Resting<C> {
    /// Of each destination, the one that rests for the shortest time last. No list is empty.
    by_destination: HashMap<Destination, Vec<(Instant, Lent<C>)>>,
    total: usize,
}

impl<C> Lent<C> {
    pub(crate) fn new(connection: C) -> Self {
        Self { connection, made: Instant::now() }
    }

    fn is_old(&self, now: Instant) -> bool {
        now.duration_since(self.made) >= MAX_AGE
    }
}

impl<C> Clone for Pool<C> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<C: Send + 'static> Pool<C> {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new(Resting { by_destination: HashMap::new(), total: 0 })))
    }

    /// A connection to a destination. Whether it still stands is to be found out.
    pub(crate) fn take(&self, destination: &Destination) -> Option<Lent<C>> {
        let (swept, taken) = {
            let mut resting = lock(&self.0);
            let swept = resting.sweep(Instant::now());
            let taken = resting.by_destination.get_mut(destination).and_then(Vec::pop).map(|(_, lent)| lent);
            resting.total -= usize::from(taken.is_some());
            resting.by_destination.retain(|_, list| !list.is_empty());
            (swept, taken)
        };
        drop(swept);
        taken
    }

    /// Closes what rests for a destination, because one of its connections was found dead.
    pub(crate) fn forget(&self, destination: &Destination) {
        let forgotten = {
            let mut resting = lock(&self.0);
            let forgotten = resting.by_destination.remove(destination).unwrap_or_default();
            resting.total -= forgotten.len();
            forgotten
        };
        drop(forgotten);
    }

    /// Takes a connection whose episode ended well. Outside a runtime it is closed, for nobody could wake to close it in time.
    pub(crate) fn give_back(&self, destination: Destination, lent: Lent<C>) {
        let Ok(runtime) = Handle::try_current() else { return };
        let closed = {
            let mut resting = lock(&self.0);
            let mut closed = resting.sweep(Instant::now());
            let full = resting.total >= MAX_RESTING
                || resting.by_destination.get(&destination).is_some_and(|list| list.len() >= MAX_PER_DESTINATION);
            if full || lent.is_old(Instant::now()) {
                closed.push(lent);
            } else {
                resting.by_destination.entry(destination).or_default().push((Instant::now(), lent));
                resting.total += 1;
            }
            closed
        };
        drop(closed);
        let pool = Arc::downgrade(&self.0);
        runtime.spawn(async move {
            tokio::time::sleep(IDLE).await;
            let swept = pool.upgrade().map(|pool| lock(&pool).sweep(Instant::now()));
            drop(swept);
        });
    }

    #[cfg(test)]
    fn total(&self) -> usize {
        lock(&self.0).total
    }
}

impl<C> Resting<C> {
    /// Takes out what rests for too long. It is closed by whoever drops it, after the lock.
    fn sweep(&mut self, now: Instant) -> Vec<Lent<C>> {
        let mut swept = Vec::new();
        for list in self.by_destination.values_mut() {
            // The longest-resting first.
            let stale = list.iter().take_while(|(since, _)| now.duration_since(*since) >= IDLE).count();
            swept.extend(list.drain(..stale).map(|(_, lent)| lent));
        }
        self.by_destination.retain(|_, list| !list.is_empty());
        self.total -= swept.len();
        swept
    }
}

fn lock<C>(resting: &Mutex<Resting<C>>) -> MutexGuard<'_, Resting<C>> {
    resting.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn destination(number: usize) -> Destination {
        format!("http://policy-{number}.example").parse::<kinitro_commitment::Endpoint>().unwrap().into()
    }

    #[tokio::test]
    async fn what_was_given_back_is_lent_once() {
        let pool = Pool::new();
        pool.give_back(destination(1), Lent::new("a"));
        assert!(pool.take(&destination(2)).is_none());
        assert_eq!(pool.take(&destination(1)).map(|lent| lent.connection), Some("a"));
        assert!(pool.take(&destination(1)).is_none());
        assert_eq!(pool.total(), 0);
    }

    #[tokio::test]
    async fn the_room_is_bounded_for_each_endpoint_and_for_all() {
        let pool = Pool::new();
        for number in 0..2 * MAX_PER_DESTINATION {
            pool.give_back(destination(1), Lent::new(number));
        }
        assert_eq!(pool.total(), MAX_PER_DESTINATION);
        for number in 0..2 * MAX_RESTING {
            pool.give_back(destination(number), Lent::new(number));
        }
        assert_eq!(pool.total(), MAX_RESTING);
        pool.forget(&destination(1));
        assert!(pool.take(&destination(1)).is_none());
        assert!(pool.total() < MAX_RESTING);
    }

    #[tokio::test]
    async fn what_rests_for_too_long_is_closed_without_anybody_asking() {
        let pool = Pool::new();
        let connection = Arc::new(());
        pool.give_back(destination(1), Lent::new(connection.clone()));
        assert_eq!(Arc::strong_count(&connection), 2);
        let swept = lock(&pool.0).sweep(Instant::now() + IDLE);
        assert_eq!((swept.len(), pool.total()), (1, 0));
        pool.give_back(destination(1), swept.into_iter().next().unwrap());
        while Arc::strong_count(&connection) > 1 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(pool.total(), 0);
    }

    #[test]
    fn a_connection_grows_old() {
        let lent = Lent::new(());
        assert!(!lent.is_old(Instant::now()));
        assert!(lent.is_old(Instant::now() + MAX_AGE));
    }
}
