//! Writes results into tasks that take one: a single statement a batch.

use sqlx::PgExecutor;
use uuid::Uuid;

use super::{TaskError, report::Report};

/// A task that got its result now.
pub(super) struct Recorded {
    pub(super) id: Uuid,
    pub(super) env_id: String,
    pub(super) uid: i32,
}

/// Records the reports of open tasks, and of the dead letters of these cycles. The reports are sorted by id and name each task once.
pub(super) async fn record(
    executor: impl PgExecutor<'_>,
    executor_id: &str,
    reports: &[&Report],
    dead_letters_of: &[i64],
) -> Result<Vec<Recorded>, TaskError> {
    fn column<T>(reports: &[&Report], field: impl Fn(&Report) -> T) -> Vec<T> {
        reports.iter().map(|report| field(report)).collect()
    }
    let recorded = sqlx::query_as!(
        Recorded,
        "UPDATE scheduling.tasks t
            SET state = 'completed', executor_id = $1, completed_at = now(),
                verdict = r.verdict, cause = r.cause, error = r.error, fault_message = r.fault_message,
                score = r.score, total_reward = r.total_reward, timesteps = r.timesteps,
                trajectory_hash = r.trajectory_hash,
                duration_seconds = r.duration_seconds, policy_seconds = r.policy_seconds,
                simulation_seconds = r.simulation_seconds, render_seconds = r.render_seconds, queue_seconds = r.queue_seconds,
                policy_p50_seconds = r.policy_p50_seconds, policy_p99_seconds = r.policy_p99_seconds,
                policy_max_seconds = r.policy_max_seconds,
                verification_passed = r.verification_passed, verification_score = r.verification_score,
                -- The drawing of its attempt: as many as were lost before it. An executor that names no attempt can only be trusted to
                -- have played the current one when it holds it.
                played_draw = CASE
                    WHEN t.draws = 0 THEN 0
                    WHEN r.attempt > 0 THEN (SELECT count(*)::integer FROM scheduling.lost_attempts l
                                              WHERE l.task_id = t.id AND l.attempt < r.attempt)
                    WHEN t.state = 'assigned' AND t.executor_id = $1 THEN t.draws END
           FROM unnest($2::uuid[], $3::text[], $4::text[], $5::text[], $6::float8[], $7::float8[], $8::integer[],
                       $9::text[], $10::float8[], $11::float8[], $12::boolean[], $13::float8[],
                       $15::float8[], $16::float8[], $17::float8[], $18::float8[], $19::float8[], $20::float8[], $21::integer[], $22::text[])
                AS r (id, verdict, cause, error, score, total_reward, timesteps,
                      trajectory_hash, duration_seconds, policy_seconds, verification_passed, verification_score,
                      simulation_seconds, render_seconds, queue_seconds,
                      policy_p50_seconds, policy_p99_seconds, policy_max_seconds, attempt,
                      fault_message)
          WHERE t.id = r.id
            AND (t.state IN ('pending', 'assigned')
                 OR (t.state = 'failed' AND t.cause IS DISTINCT FROM 'cycle_closed' AND t.cycle_id = ANY($14)))
      RETURNING t.id, t.env_id, t.uid",
        executor_id,
        &column(reports, |report| report.id),
        &column(reports, |report| report.verdict.as_str()) as _,
        &column(reports, |report| report.cause.as_str()) as _,
        &column(reports, |report| report.error.clone()) as _,
        &column(reports, |report| report.score),
        &column(reports, |report| report.total_reward),
        &column(reports, |report| report.timesteps),
        &column(reports, |report| report.trajectory_hash.clone()) as _,
        &column(reports, |report| report.duration_seconds),
        &column(reports, |report| report.policy_seconds),
        &column(reports, |report| report.verification_passed) as _,
        &column(reports, |report| report.verification_score) as _,
        dead_letters_of,
        &column(reports, |report| report.simulation_seconds) as _,
        &column(reports, |report| report.render_seconds) as _,
        &column(reports, |report| report.queue_seconds) as _,
        &column(reports, |report| report.policy_p50_seconds) as _,
        &column(reports, |report| report.policy_p99_seconds) as _,
        &column(reports, |report| report.policy_max_seconds) as _,
        &column(reports, |report| report.attempt),
        &column(reports, |report| report.fault_message.clone()) as _,
    )
    .fetch_all(executor)
    .await?;
    Ok(recorded)
}
