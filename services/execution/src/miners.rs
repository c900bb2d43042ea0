//! How many episodes are in flight against one policy server: one that is asked from all sides at once answers none in time.
//!
//! A miner has so many seats, and so has a [server](Server), by whatever name. Endpoints are what miners say they are: without the second
//! limit, a miner with many uids could commit a rival's server under all of them, in as many spellings, and have us crowd it.
//!
//! A seat is taken in two steps. The miner's place is taken when its task is leased; the server's when it is known where the endpoint leads,
//! which may take a moment.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::watch;

use crate::servers::Server;

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
    servers: BTreeMap<Server, Crowd>,
}

/// What goes on at a server with episodes in flight.
#[derive(Default)]
struct Crowd {
    episodes: u32,
    /// The miners of which a task named it meanwhile.
    named_by: BTreeSet<u32>,
}

/// The place of one episode. Dropping it frees the place.
pub(crate) struct Seat {
    miners: Arc<Miners>,
    uid: u32,
    server: Option<Server>,
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

    /// A place, unless the miner has as many episodes in flight as it may.
    pub(crate) fn try_enter(self: &Arc<Self>, uid: u32) -> Option<Seat> {
        let mut playing = self.playing();
        let of_miner = playing.miners.entry(uid).or_default();
        if self.is_full(*of_miner) {
            return None;
        }
        *of_miner += 1;
        Some(Seat { miners: self.clone(), uid, server: None })
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

impl Seat {
    /// A place at a server too; `false` when it has as many episodes in flight as it may. Once for a seat.
    pub(crate) fn at(&mut self, server: Server) -> bool {
        debug_assert!(self.server.is_none(), "a seat is at one server");
        let mut playing = self.miners.playing();
        let crowd = playing.servers.entry(server.clone()).or_default();
        crowd.named_by.insert(self.uid);
        if self.miners.is_full(crowd.episodes) {
            return false;
        }
        crowd.episodes += 1;
        drop(playing);
        self.server = Some(server);
        true
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

    fn at(miners: &Arc<Miners>, uid: u32, port: u16) -> Option<Seat> {
        let mut seat = miners.try_enter(uid)?;
        seat.at(Server::At(([192, 0, 2, 7], port).into())).then_some(seat)
    }

    #[test]
    fn a_miner_has_no_more_episodes_in_flight_than_its_limit() {
        let miners = Arc::new(Miners::new(2));
        let room = miners.room();
        assert_eq!((miners.full(), miners.least_room()), (vec![], 2));
        let first = at(&miners, 7, 1).unwrap();
        assert_eq!((miners.full(), miners.least_room()), (vec![], 1));
        // Also before it is known where it leads.
        let second = miners.try_enter(7).unwrap();
        assert!(miners.try_enter(7).is_none());
        assert_eq!((miners.full(), miners.least_room()), (vec![7], 1), "the server has room for one more");
        let _other = at(&miners, 8, 2).unwrap();
        assert!(!room.has_changed().unwrap());
        drop(first);
        assert!(room.has_changed().unwrap() && miners.full().is_empty());
        drop(second);
        assert!(at(&miners, 7, 1).is_some());
    }

    #[test]
    fn a_server_has_no_more_episodes_in_flight_than_the_limit_whichever_miners_name_it() {
        let miners = Arc::new(Miners::new(2));
        let room = miners.room();
        let first = at(&miners, 7, 1).unwrap();
        let second = at(&miners, 8, 1).unwrap();
        assert_eq!(miners.full(), [7, 8]);
        assert!(at(&miners, 9, 1).is_none(), "handed back");
        assert_eq!(miners.full(), [7, 8, 9], "and not leased again");
        assert!(at(&miners, 9, 2).is_some(), "another port is another server");
        drop(first);
        assert!(room.has_changed().unwrap() && miners.full().is_empty());
        assert!(at(&miners, 9, 1).is_some());
        drop(second);
        assert!(miners.playing().servers.is_empty() && miners.playing().miners.is_empty(), "nothing is kept");
    }

    #[test]
    fn without_a_limit_no_miner_is_ever_full() {
        let miners = Arc::new(Miners::new(0));
        let seats: Vec<_> = (0..1000).map(|_| at(&miners, 7, 1)).collect();
        assert!(seats.iter().all(Option::is_some) && miners.full().is_empty());
        assert_eq!(miners.least_room(), 0);
    }
}
