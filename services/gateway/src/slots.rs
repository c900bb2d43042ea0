//! How many requests may be under way at once, and how many bytes of answers may wait for those who asked.
//!
//! A request is under way until its answer is sent: a client that asks and does not read holds its slot, and its answer's memory, until
//! its connection is cut off. No address may have more than its share of either, so that one of them cannot keep out the others.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use kinitro_chassis::address_key;

use crate::Config;

/// The sizes. An answer larger than a share is let through when nothing else of its address waits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    pub requests: usize,
    pub requests_per_address: usize,
    pub bytes: usize,
    pub bytes_per_address: usize,
}

impl Default for Sizes {
    fn default() -> Self {
        Self { requests: 4096, requests_per_address: 1024, bytes: 128 << 20, bytes_per_address: 32 << 20 }
    }
}

impl Sizes {
    /// What one address may have follows from how many connections it may: four requests for each, and as large a part of the bytes,
    /// but at least a quarter, so that clients with few connections get large answers, too.
    pub fn of(config: &Config) -> Self {
        let all = Self::default();
        let (connections, of_address) =
            (config.max_connections.max(1) as usize, config.max_connections_per_address as usize);
        Self {
            requests_per_address: of_address.saturating_mul(4).min(all.requests),
            bytes_per_address: (all.bytes.saturating_mul(of_address) / connections).clamp(all.bytes / 4, all.bytes),
            ..all
        }
    }
}

#[derive(Clone, Copy, Default)]
struct Use {
    requests: usize,
    bytes: usize,
}

#[derive(Default)]
struct Ledger {
    all: Use,
    by_address: HashMap<IpAddr, Use>,
}

/// All slots of a gateway.
pub(crate) struct Slots {
    sizes: Sizes,
    ledger: Mutex<Ledger>,
}

impl Slots {
    pub fn new(sizes: Sizes) -> Self {
        Self { sizes, ledger: Mutex::default() }
    }

    /// A slot for a request of this address, when there is one.
    pub fn take(self: &Arc<Self>, peer: Option<IpAddr>) -> Option<Slot> {
        let address = peer.map(address_key);
        let mut ledger = self.ledger();
        let of_address = address.map_or(0, |address| ledger.of(address).requests);
        if ledger.all.requests >= self.sizes.requests || of_address >= self.sizes.requests_per_address {
            return None;
        }
        ledger.change(address, |used| used.requests += 1);
        Some(Slot { slots: self.clone(), address, bytes: 0 })
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ledger {
    fn of(&self, address: IpAddr) -> Use {
        self.by_address.get(&address).copied().unwrap_or_default()
    }

    fn change(&mut self, address: Option<IpAddr>, change: impl Fn(&mut Use)) {
        change(&mut self.all);
        if let Some(address) = address {
            let used = self.by_address.entry(address).or_default();
            change(used);
            if used.requests == 0 {
                self.by_address.remove(&address);
            }
        }
        #[allow(clippy::cast_precision_loss, reason = "a gauge")]
        metrics::gauge!("kinitro_http_waiting_bytes").set(self.all.bytes as f64);
    }
}

/// A request under way; given back when dropped.
pub(crate) struct Slot {
    slots: Arc<Slots>,
    address: Option<IpAddr>,
    bytes: usize,
}

impl Slot {
    /// Counts the bytes of the answer; whether there is room for them.
    pub fn hold(&mut self, bytes: usize) -> bool {
        let sizes = self.slots.sizes;
        let mut ledger = self.slots.ledger();
        let of_address = self.address.map_or(0, |address| ledger.of(address).bytes);
        let fits = |used: usize, cap: usize| used == 0 || used.saturating_add(bytes) <= cap;
        if !fits(ledger.all.bytes, sizes.bytes) || !fits(of_address, sizes.bytes_per_address) {
            return false;
        }
        self.bytes += bytes;
        ledger.change(self.address, |used| used.bytes += bytes);
        true
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let bytes = self.bytes;
        self.slots.ledger().change(self.address, |used| {
            used.requests -= 1;
            used.bytes -= bytes;
        });
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const A: Option<IpAddr> = Some(IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)));
    const B: Option<IpAddr> = Some(IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2)));

    #[test]
    fn one_address_leaves_slots_and_bytes_to_the_others() {
        let sizes = Sizes { requests: 3, requests_per_address: 2, bytes: 100, bytes_per_address: 60 };
        let slots = Arc::new(Slots::new(sizes));
        let (mut first, mut second) = (slots.take(A).unwrap(), slots.take(A).unwrap());
        assert!(slots.take(A).is_none(), "its share is used up");
        let mut other = slots.take(B).unwrap();
        assert!(slots.take(None).is_none(), "all slots are used up");
        assert!(first.hold(40));
        assert!(!second.hold(40), "its share is used up");
        assert!(other.hold(60));
        drop(first);
        assert!(second.hold(30) && slots.take(A).is_some());
        drop((second, other));
        assert!(slots.ledger().by_address.is_empty() && slots.ledger().all.bytes == 0);
    }

    #[test]
    fn an_address_that_may_have_all_connections_may_have_everything() {
        let of = |max_connections, max_connections_per_address| {
            let sizes = Sizes::of(&Config { max_connections, max_connections_per_address, ..Config::default() });
            (sizes.requests_per_address, sizes.bytes_per_address)
        };
        assert_eq!(of(4096, 256), (1024, 32 << 20), "the defaults");
        assert_eq!(of(4096, 2048), (4096, 64 << 20));
        assert_eq!(of(4096, 4096), (4096, 128 << 20));
        assert_eq!(of(4096, u32::MAX), (4096, 128 << 20));
        assert_eq!(of(4096, 8), (32, 32 << 20));
    }

    #[test]
    fn an_answer_larger_than_a_share_is_sent_when_nothing_else_waits() {
        let sizes = Sizes { requests: 9, requests_per_address: 9, bytes: 100, bytes_per_address: 60 };
        let slots = Arc::new(Slots::new(sizes));
        let (mut large, mut small) = (slots.take(A).unwrap(), slots.take(A).unwrap());
        assert!(large.hold(1000));
        assert!(!small.hold(1));
    }
}
