//! The end of leasing: nothing that was leased is left behind.

use std::{sync::atomic::Ordering, time::Duration};

use kinitro_proto::scheduling::v1::{Lease, ReleaseTasksRequest};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::{HEARTBEAT_BATCH, Leasing};
use crate::scheduling::{CALL_TIMEOUT, back_off, within};

/// How long leases are tried to be handed back, and results to be delivered, when a drain ends.
pub(crate) const FAREWELL: Duration = Duration::from_secs(10);

/// How long stopped episodes may take to end. All end at once, but for those whose result nobody takes in: they go on waiting for that.
const STOPPED: Duration = Duration::from_secs(3);

/// What a drain came to.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Drained {
    pub(crate) episodes_finished: u32,
    pub(crate) leases_returned: u32,
}

impl Leasing {
    /// Waits for what plays, hands back what does not finish, delivers what did.
    pub(super) async fn drain(&self) {
        let before = self.finished.load(Ordering::Relaxed);
        tracing::info!(leases = self.leases.all().len(), grace = ?self.drain, "draining: no new leases");
        self.engine.running.close();
        if timeout(self.drain, self.engine.running.wait()).await.is_err() {
            tracing::info!("the grace time is over: stopping what still plays");
        }
        self.leases.stop_all();
        self.engine.abort.cancel();
        if timeout(STOPPED, self.engine.running.wait()).await.is_err() {
            let episodes = self.engine.running.len();
            tracing::warn!(episodes, "scheduling takes no results, so these episodes wait to hand theirs in");
        }
        // What finished in the moment in which it was stopped is delivered, not handed back.
        let unplayed = self.leases.unfinished();
        let delivered = timeout(FAREWELL, self.leases.none_left());
        let (leases_returned, delivered) = tokio::join!(self.hand_back(unplayed), delivered);
        if delivered.is_err() {
            let results = self.leases.all().len();
            tracing::error!(
                results,
                "scheduling is away: without results_dir, results are lost with this process and will be played again"
            );
        }
        let episodes_finished = self.finished.load(Ordering::Relaxed) - before;
        tracing::info!(episodes_finished, leases_returned, "drained");
        self.drained.send_replace(Some(Drained { episodes_finished, leases_returned }));
    }

    /// Gives leases back with their attempts unspent; returns how many scheduling took.
    pub(super) async fn hand_back(&self, leases: Vec<Lease>) -> u32 {
        let mut returned = 0;
        let until = Instant::now() + FAREWELL;
        for part in leases.chunks(HEARTBEAT_BATCH) {
            let attempt = async {
                let mut back_off = back_off();
                loop {
                    let request = ReleaseTasksRequest {
                        executor_id: self.executor_id.to_string(),
                        leases: part.to_vec(),
                        shown_task_uuids: self.leases.shown(part),
                    };
                    match self.scheduling.clone().release_tasks(within(CALL_TIMEOUT, request)).await {
                        Ok(answer) => return answer.into_inner().released,
                        Err(status) => {
                            tracing::warn!(%status, leases = part.len(), "scheduling has not taken the leases back yet");
                            sleep(back_off.pause()).await;
                        }
                    }
                }
            };
            match timeout_at(until, attempt).await {
                Ok(released) => returned += released,
                Err(_) => tracing::error!(leases = part.len(), "leases not handed back: they return when they expire"),
            }
            part.iter().for_each(|lease| self.leases.drop_lease(lease));
        }
        returned
    }
}
