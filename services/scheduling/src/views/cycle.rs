use kinitro_database::{timestamp, unsigned, unsigned32};
use kinitro_domain::CycleId;
use kinitro_proto::scheduling::v1::Cycle;

use super::completed_us;
use crate::{
    cycles::{Cycles, secret},
    database::{CycleRow, Which, find_cycle},
    error::CycleError,
};

impl Cycles {
    /// One cycle with its progress; without an id the running one, else the newest.
    pub async fn get(&self, id: Option<CycleId>) -> Result<Cycle, CycleError> {
        let cycle = find_cycle(&self.pool, id.map_or(Which::Newest, Which::Id)).await?.ok_or(CycleError::NotFound)?;
        self.describe(&cycle).await
    }

    /// A cycle on the wire. Its secret is left out until nobody can use it any more.
    pub async fn describe(&self, cycle: &CycleRow) -> Result<Cycle, CycleError> {
        let progress = self.tasks.progress(cycle.cycle_id()).await?;
        let secret = secret(cycle)?;
        let seconds_until = |then: Option<i64>| then.map_or(0.0, |then| cycle.seconds_until(Some(then)));
        Ok(Cycle {
            id: unsigned(cycle.id),
            block_number: unsigned(cycle.block_number),
            status: cycle.state.clone(),
            started_at: Some(timestamp(cycle.started_us)),
            completed_at: completed_us(cycle).map(timestamp),
            n_miners: unsigned32(cycle.n_miners),
            n_environments: unsigned32(cycle.env_ids.len() as i64),
            duration_seconds: cycle.seconds_until(cycle.closed_us),
            episodes_per_env: unsigned32(i64::from(cycle.episodes_per_env)),
            env_ids: cycle.env_ids.clone(),
            tasks_total: unsigned32(i64::from(cycle.tasks_total)),
            tasks_completed: progress.completed,
            tasks_pending: progress.pending,
            tasks_assigned: progress.assigned,
            tasks_failed: progress.failed,
            successes: progress.successes,
            failures: progress.failures,
            policy_faults: progress.policy_faults,
            disagreements: progress.disagreements,
            secret_hash: secret.hash(),
            secret: if cycle.is_open() { String::new() } else { hex::encode(secret.as_bytes()) },
            creating_seconds: seconds_until(cycle.created_us),
            evaluating_seconds: seconds_until(self.last_result_us(cycle).await?),
            scoring_seconds: seconds_until(cycle.completed_us),
            unpublished_reason: cycle.unpublished_reason.clone(),
        })
    }

    /// When the last result of a closed cycle came in.
    async fn last_result_us(&self, cycle: &CycleRow) -> Result<Option<i64>, sqlx::Error> {
        if cycle.closed_us.is_none() {
            return Ok(None);
        }
        sqlx::query_scalar!(
            "SELECT (extract(epoch FROM max(completed_at)) * 1000000)::bigint
               FROM scheduling.tasks
              WHERE cycle_id = $1 AND state = 'completed'",
            cycle.id
        )
        .fetch_one(&self.pool)
        .await
    }
}
