//! The end of a cycle for its tasks.

use kinitro_domain::{CycleId, TaskId};

use super::{TaskError, Tasks, env_id_of};

impl Tasks {
    /// Gives up what is still open in a cycle: failed, with cause `cycle_closed`, and out of the queue. Answers how many that were.
    /// Call it once the cycle's state is no longer `running`; after it returned no result of the cycle changes any more.
    ///
    /// # Errors
    ///
    /// [`TaskError::Database`].
    pub async fn close(&self, cycle: CycleId) -> Result<u64, TaskError> {
        let cycle_id = i64::try_from(cycle.0).map_err(|_| TaskError::CycleNotFound)?;
        let rows = sqlx::query!(
            "UPDATE scheduling.tasks SET state = 'failed', cause = 'cycle_closed', completed_at = now()
              WHERE cycle_id = $1 AND state IN ('pending', 'assigned')
          RETURNING id, env_id",
            cycle_id
        )
        .fetch_all(&self.pool)
        .await?;
        let mut given_up = Vec::with_capacity(rows.len());
        for row in rows {
            given_up.push((TaskId(row.id), env_id_of(row.id, &row.env_id)?));
        }
        self.forget(&given_up).await;
        Ok(given_up.len() as u64)
    }
}
