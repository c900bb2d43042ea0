//! What the public may ask: the status, the miners, the environments, and figures over all cycles.

mod cycle;
mod environments;
mod lost_attempts;
mod metrics;
mod miners;
mod status;
mod timings;

use kinitro_database::{timestamp, unsigned, unsigned32};
use kinitro_proto::scheduling::v1::CycleSummary;

use crate::database::CycleRow;

/// When the cycle's evaluation ended: it is shown once nothing about the cycle changes any more. How long scoring took after
/// it is no part of a cycle's duration, and scoring publishes the same moment.
pub fn completed_us(cycle: &CycleRow) -> Option<i64> {
    cycle.closed_us.filter(|_| !cycle.is_open())
}

/// A cycle as the status shows it.
fn summary(cycle: &CycleRow) -> CycleSummary {
    CycleSummary {
        id: unsigned(cycle.id),
        block_number: unsigned(cycle.block_number),
        status: cycle.state.clone(),
        started_at: Some(timestamp(cycle.started_us)),
        completed_at: completed_us(cycle).map(timestamp),
        n_miners: unsigned32(cycle.n_miners),
        n_environments: unsigned32(cycle.env_ids.len() as i64),
        duration_seconds: Some(cycle.seconds_until(cycle.closed_us)),
        unpublished_reason: cycle.unpublished_reason.clone(),
    }
}
