use kinitro_database::{unsigned, unsigned32};
use kinitro_domain::{BlockNumber, EnvId};
use kinitro_queue::{Event, EventKind};

use super::Cycles;
use crate::database::CycleRow;

impl Cycles {
    pub(super) async fn publish_started(&self, cycle: &CycleRow, env_ids: &[EnvId]) {
        self.publish(EventKind::CycleStarted {
            cycle_id: cycle.cycle_id(),
            block_number: block(cycle),
            miners: unsigned32(cycle.n_miners),
            env_ids: env_ids.to_vec(),
            tasks_total: unsigned32(i64::from(cycle.tasks_total)),
        })
        .await;
    }

    pub(super) async fn publish_closed(&self, cycle: &CycleRow, completed: u32, failed: u32) {
        let timed_out = cycle.timed_out;
        self.publish(EventKind::CycleClosed { cycle_id: cycle.cycle_id(), completed, failed, timed_out }).await;
    }

    pub(super) async fn publish_cancelled(&self, cycle: &CycleRow) {
        self.publish(EventKind::CycleCancelled { cycle_id: cycle.cycle_id() }).await;
    }

    pub(super) async fn publish_unscored(&self, cycle: &CycleRow, reason: String) {
        self.publish(EventKind::CycleUnscored { cycle_id: cycle.cycle_id(), reason }).await;
    }

    pub(super) async fn publish_scored(&self, cycle: &CycleRow) {
        self.publish(EventKind::WeightsPublished { cycle_id: cycle.cycle_id(), block_number: block(cycle) }).await;
    }

    /// Events are for showing: one that is lost changes nothing.
    async fn publish(&self, kind: EventKind) {
        if let Err(error) = self.events.publish(&Event::now(kind)).await {
            tracing::warn!(%error, "an event is lost");
        }
    }
}

fn block(cycle: &CycleRow) -> BlockNumber {
    BlockNumber(unsigned(cycle.block_number))
}
