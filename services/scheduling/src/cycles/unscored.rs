//! Ends a cycle in which too little was played: it is not scored, and the weights of before stand.

use std::collections::BTreeSet;

use kinitro_domain::{CycleState, Evidence, MinerUid, Required, TooLittle};
use sqlx::{Postgres, Transaction};

use super::{Cycles, tally::Tallied};
use crate::{database::CycleRow, error::CycleError};

/// Whether enough was played to pay miners by, whatever `slow` ones lack.
pub(super) fn judge(cycle: &CycleRow, tallies: &[Tallied], slow: &BTreeSet<MinerUid>) -> Result<Evidence, TooLittle> {
    let required = Required { in_all: cycle.min_played_share, of_miner: cycle.min_miner_share };
    let pairs = tallies.iter().map(|tally| {
        // A cycle's uids were checked when it started.
        let uid = MinerUid(u16::try_from(tally.uid).unwrap_or(u16::MAX));
        (uid, tally.outcomes.counted(), u32::try_from(tally.outcomes.as_slice().len()).unwrap_or(u32::MAX))
    });
    let evidence = Evidence::of(pairs, slow, &required);
    evidence.suffices(&required)?;
    Ok(evidence)
}

impl Cycles {
    /// scoring → unscored. What counted in it is no part of the totals over all cycles.
    pub(super) async fn end_unscored(
        &self,
        mut lock: Transaction<'_, Postgres>,
        cycle: &CycleRow,
        gap: bool,
        too_little: &TooLittle,
    ) -> Result<(), CycleError> {
        let reason = too_little.to_string();
        sqlx::query!(
            "UPDATE scheduling.cycles
                SET state = 'unscored', timed_out = $2, completed_at = clock_timestamp(), unpublished_reason = $3
              WHERE id = $1",
            cycle.id,
            gap,
            reason
        )
        .execute(&mut *lock)
        .await?;
        lock.commit().await?;
        metrics::counter!("kinitro_cycles_unscored_total", "reason" => too_little.reason()).increment(1);
        tracing::error!(
            cycle_id = cycle.id,
            reason,
            status = CycleState::Unscored.as_str(),
            "too little was played: the cycle is not scored and the weights of before stand; look whether executors run and reach the policies"
        );
        self.publish_unscored(cycle, reason).await;
        Ok(())
    }
}
