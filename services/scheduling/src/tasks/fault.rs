//! Infrastructure faults: the task is played again, within its attempts.

use std::{
    collections::{BTreeMap, HashSet},
    time::Duration,
};

use kinitro_domain::{EnvId, ExecutorId, TaskId};
use kinitro_queue::Entry;
use uuid::Uuid;

use super::{DeadTask, TaskError, Tasks, complete::Answers, env_id_of, report::Report, uid_of};

/// How long a task waits whose policy was not reached, after its first attempt and after every later one: three attempts within a moment
/// would make a short break of the network the miner's failure. At most the time of a lease.
const NOT_BEFORE: [Duration; 2] = [Duration::from_secs(15), Duration::from_secs(60)];

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
            RETURNING t.id, t.cycle_id, t.uid, t.env_id, t.cause, t.state = 'failed' AS "dead!",
                      r.cause = 'policy_unreachable' AS "unreachable!", t.attempt - t.released AS "spent!""#,
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
        let (mut again, mut finished, mut dead): (Vec<Entry>, Vec<(TaskId, EnvId)>, Vec<_>) = Default::default();
        let mut later: BTreeMap<Duration, Vec<(TaskId, EnvId)>> = BTreeMap::new();
        for row in rows {
            answers.accept();
            let (task_id, env_id) = (TaskId(row.id), env_id_of(row.id, &row.env_id)?);
            if row.dead {
                finished.push((task_id, env_id));
                dead.push(DeadTask::new(row.id, row.cycle_id, row.uid, &row.env_id, row.cause)?);
            } else if row.unreachable {
                later.entry(NOT_BEFORE[usize::from(row.spent > 1)]).or_default().push((task_id, env_id));
            } else {
                again.push(Entry { task_id, env_id, uid: uid_of(row.id, row.uid)? });
            }
        }
        self.give_back(executor, &again).await;
        for (delay, tasks) in later {
            if let Err(error) = self.queue.postpone(executor, &tasks, delay, self.settings.lease).await {
                tracing::warn!(%error, tasks = tasks.len(), "tasks given back become available when their lease expires");
            }
        }
        self.forget(&finished).await;
        self.dead_letter(dead).await;
        Ok(())
    }
}
