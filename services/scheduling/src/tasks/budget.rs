//! The time that a miner has in a cycle: what its episodes may take on average, times their number. What is not played within it is the
//! miner's failure, so that one policy that answers just within its limits cannot make a cycle time out.

use kinitro_domain::{Cause, CycleId, TaskId, Verdict};

use super::{TaskError, Tasks, env_id_of, shares};

impl Tasks {
    /// Ends the waiting tasks of miners that have used up their time in the running cycle. Those that play are played to their end. Only
    /// what policies took in results counts: nothing of what an attempt took that was our fault. Answers how many were ended.
    ///
    /// # Errors
    ///
    /// [`TaskError::Database`].
    pub async fn enforce_budget(&self, cycle: CycleId) -> Result<u64, TaskError> {
        let Some(seconds) = self.settings.episode_budget else { return Ok(0) };
        let cycle_id = i64::try_from(cycle.0).map_err(|_| TaskError::CycleNotFound)?;
        let miners = shares::read(&self.pool).await?;
        let over = |share: &&shares::Share| {
            let episodes = share.pending + share.in_flight + share.results;
            share.pending > 0 && share.used >= seconds * episodes as f64
        };
        let uids: Vec<i32> = miners.iter().filter(|(_, share)| over(share)).map(|(uid, _)| i32::from(uid.0)).collect();
        if uids.is_empty() {
            return Ok(0);
        }
        let rows = sqlx::query!(
            "UPDATE scheduling.tasks
                SET state = 'completed', completed_at = now(), verdict = $3, cause = $4, error = $5,
                    score = 0, total_reward = 0, timesteps = 0, duration_seconds = 0, policy_seconds = 0, played_draw = draws
              WHERE cycle_id = $1 AND uid = ANY($2) AND state = 'pending'
          RETURNING id, env_id, uid",
            cycle_id,
            &uids,
            Verdict::PolicyFault.as_str(),
            Cause::TimeBudgetExceeded.as_str(),
            format!("not played: the policy used up the {seconds} s an episode that it has on average in a cycle"),
        )
        .fetch_all(&self.pool)
        .await?;
        let mut ended = Vec::with_capacity(rows.len());
        for row in &rows {
            ended.push((TaskId(row.id), env_id_of(row.id, &row.env_id)?));
        }
        self.forget(&ended).await;
        for uid in uids {
            let tasks = rows.iter().filter(|row| row.uid == uid).count();
            if tasks > 0 {
                tracing::warn!(
                    cycle_id,
                    uid,
                    tasks,
                    "a miner used up its time in this cycle; what is left counts as failures"
                );
            }
        }
        metrics::counter!("kinitro_tasks_over_budget_total").increment(rows.len() as u64);
        Ok(rows.len() as u64)
    }
}
