use kinitro_database::{unsigned, unsigned32};
use kinitro_proto::scheduling::v1::Status;

use super::summary;
use crate::{
    cycles::Cycles,
    database::{CycleRow, Which, find_cycle},
    error::CycleError,
    miners::MinerCounts,
};

impl Cycles {
    /// What the backend is doing. Answers without ingestion too: then the block is absent and the miners are as last known.
    pub async fn status(&self) -> Result<Status, CycleError> {
        let newest = find_cycle(&self.pool, Which::Newest).await?;
        let last = find_cycle(&self.pool, Which::NewestScored).await?;
        let ended = find_cycle(&self.pool, Which::NewestEnded).await?;
        let totals = sqlx::query!(
            r#"SELECT (SELECT count(*) FROM scheduling.cycles) AS "cycles!",
                      (SELECT count(*) FROM scheduling.evaluated_miners) AS "miners!""#
        )
        .fetch_one(&self.pool)
        .await?;
        let list = self.ingestion.list().await.ok();
        let miners = self.miner_counts(newest.as_ref()).await;
        let next_eval_in_seconds = self.next_cycle_in_seconds(newest.as_ref());
        let unknown = newest.as_ref().and_then(unknown_state);
        let current = newest.filter(CycleRow::is_open);
        let environments: Vec<String> = self.environments.iter().map(ToString::to_string).collect();
        Ok(Status {
            status: "running".to_owned(),
            current_block: list.map(|list| list.block_number),
            last_eval_block: last.as_ref().map(|cycle| unsigned(cycle.block_number)),
            next_eval_in_seconds,
            miners_registered: miners.registered,
            environments_enabled: environments.clone(),
            is_evaluating: current.is_some(),
            current_cycle: current.as_ref().map(summary),
            last_completed_cycle: last.as_ref().map(summary),
            total_cycles: unsigned32(totals.cycles),
            total_miners_evaluated: unsigned32(totals.miners),
            environments,
            last_ended_cycle: ended.as_ref().map(summary),
            warnings: ended.as_ref().and_then(warning).into_iter().chain(unknown).collect(),
        })
    }

    /// What does not go on as it should although everything serves.
    pub async fn warnings(&self) -> Result<Vec<String>, CycleError> {
        let ended = find_cycle(&self.pool, Which::NewestEnded).await?;
        let newest = find_cycle(&self.pool, Which::Newest).await?;
        let unserved = self.tasks.unserved().await.map(|unserved| unserved.warning()).unwrap_or_else(|error| {
            tracing::debug!(%error, "whether executors come for the work cannot be told");
            None
        });
        let unknown = newest.as_ref().and_then(unknown_state);
        Ok(ended.as_ref().and_then(warning).into_iter().chain(unknown).chain(unserved).collect())
    }

    /// Absent when cycles start on demand only.
    fn next_cycle_in_seconds(&self, newest: Option<&CycleRow>) -> Option<u32> {
        if self.config.on_demand {
            return None;
        }
        let remaining = match newest {
            Some(cycle) if !cycle.is_open() => self.config.interval().as_secs_f64() - cycle.seconds_until(None),
            _ => 0.0,
        };
        Some(remaining.ceil().clamp(0.0, f64::from(u32::MAX)) as u32)
    }

    /// From the newest list that was read; after a restart without ingestion, the miners of the newest cycle.
    pub(super) async fn miner_counts(&self, newest: Option<&CycleRow>) -> MinerCounts {
        let of_cycle = newest.map_or(0, |cycle| unsigned32(cycle.n_miners));
        self.ingestion.counts().await.unwrap_or(MinerCounts { registered: of_cycle, active: of_cycle })
    }
}

/// Why nothing happens to a cycle, when a newer version of scheduling has it.
fn unknown_state(newest: &CycleRow) -> Option<String> {
    newest.cycle_state().err().map(|error| format!("scheduling: {error}"))
}

/// What an operator has to know of the cycle that ended last.
fn warning(ended: &CycleRow) -> Option<String> {
    let reason = ended.unpublished_reason.as_ref()?;
    let (id, state) = (ended.id, &ended.state);
    Some(format!("scheduling: cycle {id} ended {state} without weights, so those of before stand: {reason}"))
}
