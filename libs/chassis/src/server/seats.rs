//! Who is connected: caps in all and for each address.
//!
//! At a cap the connection that has been idle for longest makes room for a new one, at the cap of an address one of that address:
//! holding connections open keeps others out only as far as requests are under way on them. Only when none is idle is the new one
//! refused.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tokio_util::sync::CancellationToken;

use super::limits::ServerLimits;

/// Refusals are logged at most so often.
const LOG_EVERY: Duration = Duration::from_secs(60);

/// The address that limits go by: an IPv4 address, or the /64 network of an IPv6 one, which is what one customer gets.
pub fn address_key(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::from([a, b, c, d, 0, 0, 0, 0])
        }
        v4 => v4,
    }
}

/// The connections of a server.
pub(super) struct Seats {
    total: usize,
    per_address: usize,
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    next: u64,
    taken: HashMap<u64, Entry>,
    by_address: HashMap<IpAddr, usize>,
    /// Asked to leave and not gone yet: their files are still open.
    leaving: usize,
    refused: u64,
    logged: Option<Instant>,
}

struct Entry {
    address: IpAddr,
    activity: Arc<Activity>,
    leave: CancellationToken,
}

impl Seats {
    pub fn new(limits: &ServerLimits) -> Arc<Self> {
        let per_address = limits.connections_per_address.unwrap_or(usize::MAX);
        Arc::new(Self { total: limits.connections, per_address, table: Mutex::default() })
    }

    /// A seat for a new connection, or the name of the cap that leaves none.
    pub fn take(self: &Arc<Self>, peer: IpAddr) -> Result<Seat, &'static str> {
        let address = address_key(peer);
        let mut table = self.table();
        let of_address = table.by_address.get(&address).copied().unwrap_or_default();
        let full = match () {
            () if of_address >= self.per_address => Some(("address", Some(address))),
            () if table.taken.len() >= self.total => Some(("total", None)),
            () => None,
        };
        if let Some((cap, of)) = full {
            let room = table.leaving <= self.total / 4 && table.free_the_longest_idle(of);
            if !room {
                table.log_refusal(cap, peer);
                return Err(cap);
            }
        }
        let id = table.next;
        table.next += 1;
        let (activity, leave) = (Arc::new(Activity::new()), CancellationToken::new());
        *table.by_address.entry(address).or_default() += 1;
        table.taken.insert(id, Entry { address, activity: activity.clone(), leave: leave.clone() });
        Ok(Seat { seats: self.clone(), id, activity, leave })
    }

    /// Asks the connection that has been idle for longest to leave; whether there is one.
    pub fn make_room(&self) -> bool {
        self.table().free_the_longest_idle(None)
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn free_the_longest_idle(&mut self, of: Option<IpAddr>) -> bool {
        let candidates = self.taken.iter().filter(|(_, entry)| of.is_none_or(|address| entry.address == address));
        let longest = candidates.filter_map(|(id, entry)| Some((entry.activity.idle()?, *id))).max();
        let Some(entry) = longest.and_then(|(_, id)| self.remove(id)) else { return false };
        self.leaving += 1;
        entry.leave.cancel();
        metrics::counter!("kinitro_connections_closed_total", "reason" => "evicted").increment(1);
        true
    }

    fn remove(&mut self, id: u64) -> Option<Entry> {
        let entry = self.taken.remove(&id)?;
        if let Some(count) = self.by_address.get_mut(&entry.address) {
            *count -= 1;
            if *count == 0 {
                self.by_address.remove(&entry.address);
            }
        }
        Some(entry)
    }

    fn log_refusal(&mut self, cap: &'static str, peer: IpAddr) {
        metrics::counter!("kinitro_connections_refused_total", "cap" => cap).increment(1);
        self.refused += 1;
        if self.logged.is_none_or(|when| when.elapsed() >= LOG_EVERY) {
            let (refused, open) = (self.refused, self.taken.len());
            tracing::warn!(cap, %peer, refused, open, "connections are refused: too many are open and none is idle");
            (self.logged, self.refused) = (Some(Instant::now()), 0);
        }
    }
}

/// The place of one connection, given back when dropped.
pub(super) struct Seat {
    seats: Arc<Seats>,
    id: u64,
    pub activity: Arc<Activity>,
    /// Cancelled when the connection is to make room.
    pub leave: CancellationToken,
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut table = self.seats.table();
        if table.remove(self.id).is_none() {
            table.leaving = table.leaving.saturating_sub(1);
        }
    }
}

/// What a connection is doing.
pub(super) struct Activity {
    opened: Instant,
    under_way: AtomicUsize,
    requests: AtomicU64,
    /// Milliseconds after `opened`.
    idle_since: AtomicU64,
}

impl Activity {
    fn new() -> Self {
        let (under_way, requests, idle_since) = Default::default();
        Self { opened: Instant::now(), under_way, requests, idle_since }
    }

    /// A request begins; it ends when what is returned is dropped.
    pub fn begin(self: &Arc<Self>) -> Flight {
        self.under_way.fetch_add(1, Ordering::AcqRel);
        self.requests.fetch_add(1, Ordering::AcqRel);
        Flight(self.clone())
    }

    /// Whether a request was ever heard.
    pub fn asked(&self) -> bool {
        self.requests.load(Ordering::Acquire) > 0
    }

    pub fn age(&self) -> Duration {
        self.opened.elapsed()
    }

    /// Since when nothing is under way; `None` while something is.
    pub fn idle(&self) -> Option<Duration> {
        let idle = self.under_way.load(Ordering::Acquire) == 0;
        let since = Duration::from_millis(self.idle_since.load(Ordering::Acquire));
        idle.then(|| self.age().saturating_sub(since))
    }
}

/// A request under way, until the last byte of its answer is sent.
pub(super) struct Flight(Arc<Activity>);

impl Drop for Flight {
    fn drop(&mut self) {
        let now = u64::try_from(self.0.age().as_millis()).unwrap_or(u64::MAX);
        self.0.idle_since.store(now, Ordering::Release);
        self.0.under_way.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const A: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const B: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));

    fn seats(total: usize, per_address: usize) -> Arc<Seats> {
        let limits =
            ServerLimits { connections: total, connections_per_address: Some(per_address), ..ServerLimits::public() };
        Seats::new(&limits)
    }

    #[test]
    fn an_idle_connection_of_the_same_address_makes_room_at_its_cap() {
        let seats = seats(8, 2);
        let other = seats.take(B).unwrap();
        let busy = seats.take(A).unwrap();
        let _flight = busy.activity.begin();
        let idle = seats.take(A).unwrap();
        let newest = seats.take(A).unwrap();
        assert!(idle.leave.is_cancelled(), "the idle one of this address");
        assert!(!busy.leave.is_cancelled() && !other.leave.is_cancelled());
        let _second = newest.activity.begin();
        assert_eq!(seats.take(A).err(), Some("address"), "both have requests under way");
        assert!(seats.take(B).is_ok());
    }

    #[test]
    fn at_the_cap_of_all_the_longest_idle_connection_makes_room() {
        let seats = seats(2, 2);
        let first = seats.take(A).unwrap();
        let second = seats.take(A).unwrap();
        #[expect(clippy::disallowed_methods, reason = "this test has no runtime to hold up")]
        std::thread::sleep(Duration::from_millis(5));
        drop(first.activity.begin());
        let third = seats.take(B).unwrap();
        assert!(second.leave.is_cancelled() && !first.leave.is_cancelled());
        drop((first, second, third));
        assert!(seats.table().taken.is_empty() && seats.table().by_address.is_empty());
        assert_eq!(seats.table().leaving, 0);
    }

    #[test]
    fn those_who_were_asked_to_leave_and_stay_are_bounded() {
        let seats = seats(4, 2);
        let kept: Vec<_> = std::iter::from_fn(|| seats.take(A).ok()).take(100).collect();
        assert_eq!(kept.len(), 4, "two seats, and two that do not leave");
        assert_eq!(seats.take(A).err(), Some("address"));
    }

    #[test]
    fn a_network_of_ipv6_counts_as_one_address() {
        let key = |text: &str| address_key(text.parse().unwrap());
        assert_eq!(key("2001:db8:1:2:3::4"), key("2001:db8:1:2::9"));
        assert_ne!(key("2001:db8:1:2::"), key("2001:db8:1:3::"));
        assert_eq!(key("::ffff:192.0.2.1"), A);
    }
}
