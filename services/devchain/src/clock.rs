//! The chain's time.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// How long a block takes on the real chain, and by the clock of a chain that makes them on demand.
const SLOT_MS: u64 = 12_000;

/// What the chain says that the time is.
#[derive(Debug, Clone)]
pub(crate) struct Clock {
    genesis_ms: u64,
    /// 0 when blocks are made on demand.
    block_ms: u64,
    /// What passed in addition, by order.
    passed_ms: Arc<AtomicU64>,
}

impl Clock {
    pub(crate) fn start(block_ms: u64) -> Self {
        Self { genesis_ms: now_ms(), block_ms, passed_ms: Arc::default() }
    }

    /// The time of a block that is made now: the real one, or one that goes on by a slot with each block. So whoever reckons from
    /// blocks to times (when sealed weights can be opened) comes out right on a chain whose blocks come as fast as a test asks.
    pub(crate) fn at(&self, block: u32) -> u64 {
        let demanded = self.genesis_ms.saturating_add(u64::from(block) * SLOT_MS);
        let now = if self.block_ms > 0 { now_ms() } else { demanded };
        now.saturating_add(self.passed_ms.load(Ordering::Relaxed))
    }

    /// Lets time pass without a block: every later block is that much later.
    pub(crate) fn pass(&self, time: Duration) {
        let more = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let passed = |passed: u64| Some(passed.saturating_add(more));
        // It always answers a new value, so it never fails.
        let _ = self.passed_ms.fetch_update(Ordering::Relaxed, Ordering::Relaxed, passed);
    }

    /// How long a block takes.
    pub(crate) fn slot_ms(&self) -> u64 {
        if self.block_ms > 0 { self.block_ms } else { SLOT_MS }
    }
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
