//! The determinism alarm: the same task, hence the same seed, had another outcome the second time.

use kinitro_domain::{CycleId, ExecutorId, TaskId};
use kinitro_queue::EventKind;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{TaskError, Tasks, report::Report};

/// A task as Postgres has it.
pub(super) struct Stored {
    pub(super) id: Uuid,
    pub(super) cycle_id: i64,
    pub(super) env_id: String,
    pub(super) state: String,
    pub(super) attempt: i32,
    pub(super) executor_id: Option<String>,
    pub(super) verdict: Option<String>,
    pub(super) cause: Option<String>,
    pub(super) score: Option<f64>,
    pub(super) total_reward: Option<f64>,
    pub(super) timesteps: Option<i32>,
    pub(super) trajectory_hash: Option<String>,
    pub(super) cycle_state: String,
    pub(super) draws: i32,
    pub(super) played_draw: Option<i32>,
    /// The attempts after which the seed was drawn anew.
    pub(super) lost_attempts: Vec<i32>,
}

impl Stored {
    /// Whether the report is of the seed that the recorded result was played on, so that both must have the same outcome. Of an executor that
    /// names no attempt it cannot be told, once the seed was drawn anew.
    pub(super) fn same_seed(&self, report: &Report) -> bool {
        let before = |attempt: i32| self.lost_attempts.iter().filter(|lost| **lost < attempt).count();
        self.draws == 0
            || (report.attempt > 0
                && self.played_draw.is_some_and(|draw| usize::try_from(draw) == Ok(before(report.attempt))))
    }

    /// The same outcome: verdict, reward to the last bit, length, and the trajectory when both sides know it.
    pub(super) fn agrees_with(&self, report: &Report) -> bool {
        let same_trajectory = match (&self.trajectory_hash, &report.trajectory_hash) {
            (Some(stored), Some(reported)) => stored == reported,
            _ => true,
        };
        self.verdict.as_deref() == Some(report.verdict.as_str())
            && self.total_reward.map(f64::to_bits) == Some(report.total_reward.to_bits())
            && self.timesteps == Some(report.timesteps)
            && same_trajectory
    }
}

/// What was recorded first, and what was reported later.
pub(super) struct Disagreement<'a> {
    pub(super) stored: &'a Stored,
    pub(super) report: &'a Report,
}

impl Disagreement<'_> {
    fn recorded(&self) -> Value {
        let Stored { executor_id, verdict, cause, score, total_reward, timesteps, trajectory_hash, .. } = self.stored;
        json!({
            "executor_id": executor_id, "verdict": verdict, "cause": cause, "score": score,
            "total_reward": total_reward, "timesteps": timesteps, "trajectory_hash": trajectory_hash,
        })
    }

    fn reported(&self) -> Value {
        let Report { verdict, cause, score, total_reward, timesteps, trajectory_hash, .. } = self.report;
        json!({
            "verdict": verdict.as_str(), "cause": cause.as_str(), "score": score,
            "total_reward": total_reward, "timesteps": timesteps, "trajectory_hash": trajectory_hash,
        })
    }
}

impl Tasks {
    /// Keeps both outcomes and raises the alarm. A report that is sent again is recorded once.
    pub(super) async fn record_disagreements(
        &self,
        executor: &ExecutorId,
        disagreements: &[Disagreement<'_>],
    ) -> Result<(), TaskError> {
        for disagreement in disagreements {
            let Disagreement { stored, report } = disagreement;
            let attempt = if report.attempt == 0 { stored.attempt } else { report.attempt };
            let new = sqlx::query!(
                "INSERT INTO scheduling.disagreements (task_id, cycle_id, executor_id, attempt, recorded, reported)
                 SELECT $1, $2, $3, $4, $5, $6
                  WHERE NOT EXISTS (SELECT 1 FROM scheduling.disagreements
                                     WHERE cycle_id = $2 AND task_id = $1 AND executor_id = $3 AND reported = $6)",
                stored.id,
                stored.cycle_id,
                executor.as_str(),
                attempt,
                disagreement.recorded(),
                disagreement.reported(),
            )
            .execute(&self.pool)
            .await?
            .rows_affected();
            if new == 0 {
                continue;
            }
            tracing::error!(
                task_id = %stored.id, cycle_id = stored.cycle_id, env_id = stored.env_id, executor_id = %executor,
                recorded = %disagreement.recorded(), reported = %disagreement.reported(),
                "determinism alarm: the same seed had another outcome"
            );
            metrics::counter!("kinitro_determinism_alarms_total").increment(1);
            let cycle_id = CycleId(stored.cycle_id.unsigned_abs());
            self.tell(EventKind::Disagreement { cycle_id, task_id: TaskId(stored.id) }).await;
        }
        Ok(())
    }
}
