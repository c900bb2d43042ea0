//! Leases live as long as somebody says that they do.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use kinitro_proto::scheduling::v1::{HeartbeatRequest, Lease};
use tokio::time::sleep;

use super::{HEARTBEAT_BATCH, Leasing};
use crate::scheduling::{CALL_TIMEOUT, within};

impl Leasing {
    /// Keeps the leases alive until the drain is over.
    pub(crate) async fn heartbeats(self: Arc<Self>) {
        let mut drained = self.drained.subscribe();
        loop {
            let third = Duration::from_secs(u64::from(self.lease_seconds.load(Ordering::Relaxed))) / 3;
            let pause = if self.heartbeat().await { third } else { third.min(Duration::from_secs(1)) };
            tokio::select! {
                () = sleep(pause) => {}
                () = self.lease_changed.notified() => {}
                _ = drained.wait_for(Option::is_some) => return,
            }
        }
    }

    pub(super) fn lease_lives(&self, seconds: u32) {
        let seconds = seconds.max(1);
        if self.lease_seconds.swap(seconds, Ordering::Relaxed) != seconds {
            self.lease_changed.notify_one();
        }
    }

    /// Says that this executor lives, and which leases do, if any.
    async fn heartbeat(&self) -> bool {
        let leases = self.leases.all();
        let none: Option<&[Lease]> = leases.is_empty().then_some(&[]);
        for part in leases.chunks(HEARTBEAT_BATCH).chain(none) {
            let request = HeartbeatRequest { executor_id: self.executor_id.to_string(), leases: part.to_vec() };
            match self.contact.noted(self.scheduling.clone().heartbeat(within(CALL_TIMEOUT, request)).await) {
                Ok(answer) => {
                    let answer = answer.into_inner();
                    self.lease_lives(answer.lease_seconds);
                    self.leases.lost(part, &answer.lost);
                }
                Err(status) if part.is_empty() => {
                    tracing::debug!(%status, "scheduling took no heartbeat");
                    return false;
                }
                Err(status) => {
                    tracing::warn!(%status, leases = part.len(), "scheduling took no heartbeat");
                    return false;
                }
            }
        }
        true
    }
}
