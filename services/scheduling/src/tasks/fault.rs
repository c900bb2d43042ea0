//! Infrastructure faults: the task is played again, within its attempts.

use std::collections::HashSet;

use kinitro_domain::{EnvId, ExecutorId, TaskId};
use uuid::Uuid;

use super::{DeadTask, TaskError, Tasks, complete::Answers, env_id_of, report::Report};

impl Tasks {
    /// Takes faults of current leases: back to pending, or a dead letter. A stale one changes nothing.
    pub(super) async fn complete_faults(
        &self,
        executor: &ExecutorId,
        (faults, repeated): &(Vec<&Report>, Vec<&Report>),
        answers: &mut Answers,
    ) -> Result<(), TaskError> {
        if faults.is_empty() {
            return Ok(());
        }
        // The cause stays `policy_unreachable` only while every attempt ended so; the text always names the last one.
        let errors: Vec<String> = faults
            .iter()
            .map(|report| format!("{}: {}", report.cause, report.error.as_deref().unwrap_or("no details")))
            .collect();
        let rows = sqlx::query!(
            r#"UPDATE scheduling.tasks t
                  SET state = CASE WHEN t.attempt - t.released >= $6 THEN 'failed' ELSE 'pending' END::scheduling.task_state,
                      completed_at = CASE WHEN t.attempt - t.released >= $6 THEN now() END,
                      executor_id = CASE WHEN t.attempt - t.released >= $6 THEN t.executor_id END,
                      cause = CASE WHEN r.cause = 'policy_unreachable' THEN coalesce(t.cause, r.cause) ELSE r.cause END,
                      error = r.error
                 FROM unnest($2::uuid[], $3::integer[], $4::text[], $5::text[]) AS r (id, attempt, cause, error)
                WHERE t.id = r.id AND t.state = 'assigned' AND t.executor_id = $1 AND r.attempt IN (0, t.attempt)
            RETURNING t.id, t.cycle_id, t.uid, t.env_id, t.cause, t.state = 'failed' AS "dead!""#,
            executor.as_str(),
            &faults.iter().map(|report| report.id).collect::<Vec<_>>(),
            &faults.iter().map(|report| report.attempt).collect::<Vec<_>>(),
            &faults.iter().map(|report| report.cause.as_str()).collect::<Vec<_>>() as _,
            &errors,
            self.max_attempts(),
        )
        .fetch_all(&self.pool)
        .await?;

        let taken: HashSet<Uuid> = rows.iter().map(|row| row.id).collect();
        for report in faults.iter().chain(repeated) {
            if taken.contains(&report.id) {
                metrics::counter!("kinitro_infrastructure_faults_total", "cause" => report.cause.as_str()).increment(1);
            } else {
                let reason = "an infrastructure fault needs the current lease of its task, and this is not it";
                answers.reject(&report.id.to_string(), reason);
            }
        }
        let (mut again, mut finished, mut dead): (Vec<(TaskId, EnvId)>, Vec<_>, Vec<_>) = Default::default();
        for row in rows {
            answers.accept();
            let task = (TaskId(row.id), env_id_of(row.id, &row.env_id)?);
            if row.dead {
                finished.push(task);
                dead.push(DeadTask::new(row.id, row.cycle_id, row.uid, &row.env_id, row.cause)?);
            } else {
                again.push(task);
            }
        }
        self.give_back(executor, &again).await;
        self.forget(&finished).await;
        self.dead_letter(dead).await;
        Ok(())
    }
}
