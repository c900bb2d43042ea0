//! What an executor does while no policy can be reached: it leases less, so that an outage of its network does not use up attempts.
//!
//! Whose fault it is that a policy was not reached is not decided here but in scheduling, which knows all executors: the result says that
//! the policy was unreachable, and whether the beacon was reached then. Nothing that miners do changes what is said of them.
//!
//! With a [`Beacon`], the network is down exactly while the beacon is not reached. Without one, it is taken to be down when the servers of
//! [`FEWEST`] different miners could not be reached in a row and no episode is in flight of which the policy was reached; but miners can
//! bring that about, so it slows leasing for [`PATIENCE`] and no longer, until a policy is reached again.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use kinitro_chassis::BackOff;
use kinitro_commitment::{Endpoint, Host};

use crate::beacon::Beacon;

/// So many different servers away may be a coincidence no more.
const FEWEST: usize = 3;

/// For how long miners alone can slow the leasing down.
const PATIENCE: Duration = Duration::from_secs(120);

/// The pause after the first sign of an outage. It doubles.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// What an executor knows of its own network.
pub(crate) struct Network {
    beacon: Option<Beacon>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Servers that could not be reached since any was: host and port, as endpoints name them.
    away: BTreeSet<(Host, u16)>,
    /// Episodes in flight of which the policy was reached.
    playing: usize,
    outage: Option<Outage>,
}

struct Outage {
    begun: Instant,
    back_off: BackOff,
    /// Nothing is leased until then.
    until: Instant,
}

/// One episode, from its beginning to its end.
pub(crate) struct Visit {
    network: Arc<Network>,
    reached: bool,
}

impl Network {
    pub(crate) fn new(beacon: Option<Beacon>) -> Self {
        Self { beacon, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn visit(self: &Arc<Self>) -> Visit {
        Visit { network: self.clone(), reached: false }
    }

    /// While an outage slows leasing down: until when nothing is leased.
    fn outage(&self) -> Option<Instant> {
        let state = self.state();
        let slows = |outage: &&Outage| self.beacon.is_some() || outage.begun.elapsed() < PATIENCE;
        state.outage.as_ref().filter(slows).map(|outage| outage.until)
    }

    /// Whether no more than one task may be leased.
    pub(crate) fn is_down(&self) -> bool {
        self.outage().is_some()
    }

    /// For how long nothing may be leased.
    pub(crate) fn pause(&self) -> Option<Duration> {
        let left = self.outage()?.saturating_duration_since(Instant::now());
        Some(left).filter(|left| !left.is_zero())
    }

    /// The policy at an endpoint was not reached. Whether the beacon was, where there is one.
    pub(crate) async fn unreached(&self, endpoint: &Endpoint) -> Option<bool> {
        let beacon_reached = match &self.beacon {
            Some(beacon) => Some(beacon.is_reached().await),
            None => None,
        };
        let mut state = self.state();
        state.away.insert((endpoint.host(), endpoint.port()));
        match beacon_reached {
            Some(true) => state.over(),
            Some(false) => state.down("the beacon cannot be reached: the network of this executor is down"),
            None if state.playing == 0 && state.away.len() >= FEWEST => {
                state.down("no policy can be reached: is the network of this executor down? (a beacon would tell)");
            }
            None => {}
        }
        beacon_reached
    }
}

impl State {
    fn over(&mut self) {
        self.away.clear();
        if self.outage.take().is_some() {
            tracing::info!("the network is back");
        }
    }

    fn down(&mut self, message: &str) {
        let now = Instant::now();
        // Of the same batch of tasks.
        if self.outage.as_ref().is_some_and(|outage| outage.until > now) {
            return;
        }
        let begun = || Outage { begun: now, back_off: BackOff::new(FIRST_PAUSE, LONGEST_PAUSE), until: now };
        let outage = self.outage.get_or_insert_with(begun);
        let pause = outage.back_off.pause();
        outage.until = now + pause;
        tracing::error!(away = self.away.len(), ?pause, "{message}");
    }
}

impl Visit {
    /// The policy was reached.
    pub(crate) fn reached(&mut self) {
        if self.reached {
            return;
        }
        self.reached = true;
        let mut state = self.network.state();
        state.over();
        state.playing += 1;
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        if self.reached {
            self.network.state().playing -= 1;
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    fn at(endpoint: &str) -> Endpoint {
        endpoint.parse().unwrap()
    }

    async fn three_away(network: &Network) -> [Option<bool>; 3] {
        let mut beacon = [None; 3];
        for (n, reached) in beacon.iter_mut().enumerate() {
            // One that fails twice is one.
            network.unreached(&at(&format!("http://away-{n}.example"))).await;
            *reached = network.unreached(&at(&format!("http://away-{n}.example:80/path"))).await;
        }
        beacon
    }

    fn stood(network: &Network, so_long: Duration) {
        let mut state = network.state();
        let outage = state.outage.as_mut().unwrap();
        outage.until = Instant::now();
        outage.begun = Instant::now().checked_sub(so_long).unwrap();
    }

    #[tokio::test]
    async fn three_servers_in_a_row_slow_leasing_down_until_one_is_reached_or_patience_ends() {
        let network = Arc::new(Network::new(None));
        network.unreached(&at("http://away-0.example")).await;
        assert!(!network.is_down());
        assert_eq!(three_away(&network).await, [None; 3]);
        assert!(network.is_down() && network.pause().unwrap() <= FIRST_PAUSE);
        // Others of the same batch make it no longer.
        network.unreached(&at("http://away-9.example")).await;
        assert!(network.pause().unwrap() <= FIRST_PAUSE);
        stood(&network, FIRST_PAUSE);
        assert!(network.is_down() && network.pause().is_none());
        network.unreached(&at("http://away-9.example")).await;
        assert!(network.pause().is_some(), "it goes on");
        stood(&network, PATIENCE);
        network.unreached(&at("http://away-9.example")).await;
        assert!(!network.is_down() && network.pause().is_none(), "those who vanish cannot hold a cycle up");
        network.visit().reached();
        three_away(&network).await;
        assert!(network.is_down(), "the next outage has its time again");
    }

    #[tokio::test]
    async fn nothing_is_slowed_down_while_any_policy_plays() {
        let network = Arc::new(Network::new(None));
        let mut playing = network.visit();
        playing.reached();
        three_away(&network).await;
        assert!(!network.is_down());
    }

    #[tokio::test]
    async fn with_a_beacon_only_the_beacon_counts() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let beacon = || Beacon::parse(&listener.local_addr().unwrap().to_string()).unwrap();
        let network = Arc::new(Network::new(Some(beacon())));
        assert_eq!(three_away(&network).await, [Some(true); 3]);
        assert!(!network.is_down(), "they vanished together");

        let network = Arc::new(Network::new(Some(beacon())));
        drop(listener);
        let mut playing = network.visit();
        playing.reached();
        assert_eq!(network.unreached(&at("http://away.example")).await, Some(false));
        assert!(network.is_down());
        stood(&network, 2 * PATIENCE);
        assert!(network.is_down(), "however long it takes");
    }
}
