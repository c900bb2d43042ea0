//! Counts.

use kinitro_domain::CycleId;
use kinitro_proto::scheduling::v1::{GetTaskStatsRequest, TaskStats};

use super::{TaskError, Tasks};

/// How far a cycle is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// All tasks.
    pub total: u32,
    /// Those that wait.
    pub pending: u32,
    /// Those that are leased.
    pub assigned: u32,
    /// Those with a result that counts.
    pub completed: u32,
    /// Dead letters, and what was open when the cycle was closed.
    pub failed: u32,
    /// Of the completed ones.
    pub successes: u32,
    /// Of the completed ones, policy faults not included.
    pub failures: u32,
    /// Of the completed ones.
    pub policy_faults: u32,
    /// Second completions that disagreed.
    pub disagreements: u32,
    /// When the newest result came, in microseconds since 1970.
    pub last_result_us: Option<i64>,
}

impl Tasks {
    /// Counts a cycle's tasks. It reads them all: ask for it about once a second, not for each result.
    ///
    /// # Errors
    ///
    /// [`TaskError::Database`].
    pub async fn progress(&self, cycle: CycleId) -> Result<Progress, TaskError> {
        let cycle_id = i64::try_from(cycle.0).map_err(|_| TaskError::CycleNotFound)?;
        let row = sqlx::query!(
            r#"SELECT count(*) AS "total!",
                      count(*) FILTER (WHERE state = 'pending') AS "pending!",
                      count(*) FILTER (WHERE state = 'assigned') AS "assigned!",
                      count(*) FILTER (WHERE state = 'completed') AS "completed!",
                      count(*) FILTER (WHERE state = 'failed') AS "failed!",
                      count(*) FILTER (WHERE verdict = 'success') AS "successes!",
                      count(*) FILTER (WHERE verdict = 'failure') AS "failures!",
                      count(*) FILTER (WHERE verdict = 'policy_fault') AS "policy_faults!",
                      (SELECT count(*) FROM scheduling.disagreements WHERE cycle_id = $1) AS "disagreements!",
                      (extract(epoch FROM max(completed_at) FILTER (WHERE state = 'completed')) * 1000000)::bigint
                          AS last_result_us
                 FROM scheduling.tasks WHERE cycle_id = $1"#,
            cycle_id
        )
        .fetch_one(&self.pool)
        .await?;
        Ok(Progress {
            total: count(row.total),
            pending: count(row.pending),
            assigned: count(row.assigned),
            completed: count(row.completed),
            failed: count(row.failed),
            successes: count(row.successes),
            failures: count(row.failures),
            policy_faults: count(row.policy_faults),
            disagreements: count(row.disagreements),
            last_result_us: row.last_result_us,
        })
    }

    /// Counts over the cycle that is asked for, else over the running one, or the newest when none runs; and who works.
    ///
    /// # Errors
    ///
    /// [`TaskError::CycleNotFound`], [`TaskError::Database`], [`TaskError::Queue`].
    pub async fn stats(&self, request: GetTaskStatsRequest) -> Result<TaskStats, TaskError> {
        // An id beyond the column's range names no cycle.
        let asked = request.cycle_id.map(|id| i64::try_from(id).unwrap_or(-1));
        let cycle_id = sqlx::query_scalar!(
            "SELECT id FROM scheduling.cycles WHERE $1::bigint IS NULL OR id = $1 ORDER BY id DESC LIMIT 1",
            asked
        )
        .fetch_optional(&self.pool)
        .await?;
        let current_cycle_id = sqlx::query_scalar!("SELECT id FROM scheduling.cycles WHERE state = 'running'")
            .fetch_optional(&self.pool)
            .await?
            .map(i64::unsigned_abs);
        let progress = match cycle_id {
            None if asked.is_some() => return Err(TaskError::CycleNotFound),
            None => Progress::default(),
            Some(cycle_id) => self.progress(CycleId(cycle_id.unsigned_abs())).await?,
        };
        // Not those whose name a task bears: a dead one holds it until another one leases it.
        let active = self.queue.active_executors().await?.into_iter().map(|active| active.executor_id.to_string());
        let depths = self.queue.depth(&[]).await?;
        let sum = |field: fn(&kinitro_queue::Depth) -> u64| {
            u32::try_from(depths.iter().map(field).sum::<u64>()).unwrap_or(u32::MAX)
        };
        Ok(TaskStats {
            total_tasks: progress.total,
            pending_tasks: progress.pending,
            assigned_tasks: progress.assigned,
            completed_tasks: progress.completed,
            failed_tasks: progress.failed,
            active_executors: active.collect(),
            current_cycle_id,
            queue_depth: sum(|depth| depth.waiting),
            queue_leased: sum(|depth| depth.leased),
        })
    }
}

fn count(value: i64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}
