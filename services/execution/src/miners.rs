//! How many episodes are in flight against one policy server: one that is asked by everybody at once answers nobody in time.
//!
//! A miner has so many seats, and so has a server, by the host and port of its endpoint. Endpoints are what miners say they are: without
//! the second limit, whoever has many uids could commit a rival's endpoint under all of them and have us crowd the rival's server.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use kinitro_policy::Endpoint;
use tokio::sync::watch;

/// The miners and servers with episodes in flight here, over all families.
pub(crate) struct Miners {
    /// 0 for none.
    limit: u32,
    playing: Mutex<Playing>,
    /// Changes whenever a miner or server that was full has room again.
    room: watch::Sender<()>,
}

#[derive(Default)]
struct Playing {
    miners: BTreeMap<u32, u32>,
    servers: BTreeMap<String, Server>,
}

/// A server with episodes in flight.
#[derive(Default)]
struct Server {
    episodes: u32,
    /// The miners of which a task named it meanwhile.
    named_by: BTreeSet<u32>,
}

/// The place of one episode. Dropping it frees the place.
pub(crate) struct Seat {
    miners: Arc<Miners>,
    uid: u32,
    server: Option<String>,
}

/// Host and port of an endpoint; `None` for one that is not called anyway.
pub(crate) fn server(endpoint: &str) -> Option<String> {
    let url = Endpoint::parse(endpoint).ok()?.join("/");
    let host = url.host_str()?.trim_end_matches('.').to_ascii_lowercase();
    Some(format!("{host}:{}", url.port_or_known_default()?))
}

impl Miners {
    pub(crate) fn new(limit: u32) -> Self {
        Self { limit, playing: Mutex::default(), room: watch::Sender::new(()) }
    }

    fn playing(&self) -> MutexGuard<'_, Playing> {
        self.playing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_full(&self, episodes: u32) -> bool {
        self.limit > 0 && episodes >= self.limit
    }

    /// A place, unless the miner, or the server of its endpoint, has as many episodes in flight as it may.
    pub(crate) fn try_enter(self: &Arc<Self>, uid: u32, endpoint: &str) -> Option<Seat> {
        let server = server(endpoint);
        let mut playing = self.playing();
        let of_server = server.as_ref().and_then(|server| playing.servers.get_mut(server));
        let server_is_full = of_server.is_some_and(|server| {
            server.named_by.insert(uid);
            self.is_full(server.episodes)
        });
        let of_miner = playing.miners.get(&uid).copied().unwrap_or_default();
        if server_is_full || self.is_full(of_miner) {
            return None;
        }
        *playing.miners.entry(uid).or_default() += 1;
        if let Some(server) = &server {
            let server = playing.servers.entry(server.clone()).or_default();
            server.episodes += 1;
            server.named_by.insert(uid);
        }
        Some(Seat { miners: self.clone(), uid, server })
    }

    /// Those with no room left, on their own account or because their server has none.
    pub(crate) fn full(&self) -> Vec<u32> {
        let playing = self.playing();
        let miners = playing.miners.iter().filter(|(_, episodes)| self.is_full(**episodes)).map(|(uid, _)| *uid);
        let servers = playing.servers.values().filter(|server| self.is_full(server.episodes));
        let full: BTreeSet<u32> = miners.chain(servers.flat_map(|server| server.named_by.iter().copied())).collect();
        full.into_iter().collect()
    }

    /// How many more episodes every miner and server has room for, the full ones left out; 0 for any number. Leasing more of one miner
    /// at once might be more than can start.
    pub(crate) fn least_room(&self) -> u32 {
        let playing = self.playing();
        let episodes = playing.miners.values().copied().chain(playing.servers.values().map(|server| server.episodes));
        let room = episodes.map(|episodes| self.limit.saturating_sub(episodes));
        room.filter(|room| *room > 0).min().unwrap_or(self.limit)
    }

    /// Changes whenever a full miner or server has room again.
    pub(crate) fn room(&self) -> watch::Receiver<()> {
        self.room.subscribe()
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut playing = self.miners.playing();
        let mut was_full = false;
        if let Some(episodes) = playing.miners.get_mut(&self.uid) {
            was_full |= *episodes == self.miners.limit;
            *episodes -= 1;
            if *episodes == 0 {
                playing.miners.remove(&self.uid);
            }
        }
        if let Some(name) = &self.server
            && let Some(server) = playing.servers.get_mut(name)
        {
            was_full |= server.episodes == self.miners.limit;
            server.episodes -= 1;
            if server.episodes == 0 {
                playing.servers.remove(name);
            }
        }
        drop(playing);
        if was_full {
            self.miners.room.send_replace(());
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const OWN: &str = "https://seven.example";
    const OTHER: &str = "https://eight.example";

    #[test]
    fn a_miner_has_no_more_episodes_in_flight_than_its_limit() {
        let miners = Arc::new(Miners::new(2));
        let room = miners.room();
        assert_eq!((miners.full(), miners.least_room()), (vec![], 2));
        let first = miners.try_enter(7, OWN).unwrap();
        assert_eq!((miners.full(), miners.least_room()), (vec![], 1));
        // Also when it changes its endpoint meanwhile, or has none that can be called.
        let second = miners.try_enter(7, "gopher://seven.example").unwrap();
        assert!(miners.try_enter(7, OWN).is_none() && miners.try_enter(7, "https://moved.example").is_none());
        assert_eq!((miners.full(), miners.least_room()), (vec![7], 1), "the server has room for one more");
        let _other = miners.try_enter(8, OTHER).unwrap();
        assert!(!room.has_changed().unwrap());
        drop(first);
        assert!(room.has_changed().unwrap() && miners.full().is_empty());
        drop(second);
        assert!(miners.try_enter(7, OWN).is_some());
    }

    #[test]
    fn a_server_has_no_more_episodes_in_flight_than_the_limit_whoever_names_it() {
        let miners = Arc::new(Miners::new(2));
        let room = miners.room();
        let first = miners.try_enter(7, OWN).unwrap();
        let second = miners.try_enter(8, "grpcs://SEVEN.example.:443/").unwrap();
        assert_eq!(miners.full(), [7, 8]);
        assert!(miners.try_enter(9, OWN).is_none(), "handed back");
        assert_eq!(miners.full(), [7, 8, 9], "and not leased again");
        assert!(miners.try_enter(9, "https://seven.example:8443").is_some(), "another port is another server");
        drop(first);
        assert!(room.has_changed().unwrap() && miners.full().is_empty());
        assert!(miners.try_enter(9, OWN).is_some());
        drop(second);
        assert!(miners.playing().servers.is_empty() && miners.playing().miners.is_empty(), "nothing is kept");
    }

    #[test]
    fn without_a_limit_nobody_is_ever_full() {
        let miners = Arc::new(Miners::new(0));
        let seats: Vec<_> = (0..1000).map(|_| miners.try_enter(7, OWN)).collect();
        assert!(seats.iter().all(Option::is_some) && miners.full().is_empty());
        assert_eq!(miners.least_room(), 0);
    }
}
