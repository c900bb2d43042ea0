//! Handing in results. The common case is one statement and one script; what it leaves over is looked at one by one.

use std::collections::{HashMap, HashSet};

use kinitro_domain::{EnvId, ExecutorId, MinerUid, TaskId};
use kinitro_proto::scheduling::v1::{CompleteTasksRequest, CompleteTasksResponse};
use uuid::Uuid;

use super::{
    CYCLE_CLOSED, MAX_BATCH, TaskError, Tasks, at_most,
    disagree::{Disagreement, Stored},
    env_id_of, executor_id,
    record::{Recorded, record},
    report::Report,
};

/// How much of a malformed task_uuid an error line repeats.
const SHOWN: usize = 64;

/// What is known so far about the results of one call.
#[derive(Default)]
pub(super) struct Answers {
    response: CompleteTasksResponse,
    /// Tasks that need no player any more.
    finished: Vec<(TaskId, EnvId)>,
    /// The miners whose leases ended with a result.
    ended: Vec<MinerUid>,
}

impl Answers {
    pub(super) fn accept(&mut self) {
        self.response.accepted += 1;
    }

    pub(super) fn reject(&mut self, task: &str, reason: &str) {
        let task: String = task.chars().take(SHOWN).flat_map(char::escape_debug).collect();
        self.response.rejected += 1;
        self.response.errors.push(format!("{task}: {reason}"));
        metrics::counter!("kinitro_results_rejected_total").increment(1);
    }

    fn finish(&mut self, id: Uuid, env_id: &str) -> Result<(), TaskError> {
        self.finished.push((TaskId(id), env_id_of(id, env_id)?));
        Ok(())
    }

    fn recorded(&mut self, rows: &[Recorded], reports: &[&Report]) -> Result<HashSet<Uuid>, TaskError> {
        for row in rows {
            self.accept();
            self.finish(row.id, &row.env_id)?;
            self.ended.extend(u16::try_from(row.uid).map(MinerUid));
        }
        let ids: HashSet<Uuid> = rows.iter().map(|row| row.id).collect();
        for report in reports.iter().filter(|report| ids.contains(&report.id)) {
            let labels = [("verdict", report.verdict.as_str()), ("cause", report.cause.as_str())];
            metrics::counter!("kinitro_tasks_completed_total", &labels).increment(1);
        }
        Ok(ids)
    }
}

impl Tasks {
    /// Hands in results. What is recorded when this returns is durable, whatever happens to Redis.
    ///
    /// # Errors
    ///
    /// [`TaskError::Invalid`] for the request as a whole, [`TaskError::Database`]; what is wrong with a single result is in the answer.
    pub async fn complete(&self, request: CompleteTasksRequest) -> Result<CompleteTasksResponse, TaskError> {
        let executor = executor_id(request.executor_id)?;
        at_most("results", request.results.len(), MAX_BATCH)?;
        let mut answers = Answers::default();
        let (mut results, mut faults) = (Vec::new(), Vec::new());
        for result in request.results {
            let task = result.task_uuid.clone();
            match Report::check(result, request.trajectory_hashes) {
                Ok(report) if report.verdict.counts() => results.push(report),
                Ok(report) => faults.push(report),
                Err(reason) => answers.reject(&task, &reason),
            }
        }
        let (results, repeated) = sorted_once(&results);
        if !results.is_empty() {
            let rows = record(&self.pool, executor.as_str(), &results, &[]).await?;
            let done = answers.recorded(&rows, &results)?;
            let rest: Vec<&Report> =
                results.into_iter().filter(|report| !done.contains(&report.id)).chain(repeated).collect();
            if !rest.is_empty() {
                self.complete_rest(&executor, &rest, &mut answers).await?;
            }
        }
        self.complete_faults(&executor, &sorted_once(&faults), &mut answers).await?;
        self.shares.ended(answers.ended.iter().copied());
        self.forget(&answers.finished).await;
        Ok(answers.response)
    }

    /// Results whose task was not open: unknown, recorded before, a dead letter, or of a closed cycle.
    async fn complete_rest(
        &self,
        executor: &ExecutorId,
        rest: &[&Report],
        answers: &mut Answers,
    ) -> Result<(), TaskError> {
        let stored = self.stored(rest).await?;
        let (mut late, mut disagreements) = (Vec::new(), Vec::new());
        for report in rest {
            let task = report.id.to_string();
            let Some(row) = stored.get(&report.id) else {
                answers.reject(&task, "there is no such task");
                continue;
            };
            match row.state.as_str() {
                "completed" if row.agrees_with(report) => {
                    answers.accept();
                    answers.response.duplicates += 1;
                    answers.finish(report.id, &row.env_id)?;
                }
                "completed" if !row.same_seed(report) => {
                    answers.reject(&task, "an attempt on another seed was recorded before; its outcome stays");
                    answers.finish(report.id, &row.env_id)?;
                }
                "completed" => {
                    answers.reject(&task, "a different outcome was recorded before; the first one stays");
                    answers.response.disagreements += 1;
                    answers.finish(report.id, &row.env_id)?;
                    disagreements.push(Disagreement { stored: row, report });
                }
                _ if row.cycle_state != "running" || row.cause.as_deref() == Some(CYCLE_CLOSED) => {
                    answers.reject(&task, "its cycle takes no results any more");
                }
                _ => late.push((*report, row.cycle_id)),
            }
        }
        self.complete_late(executor, &late, answers).await?;
        self.record_disagreements(executor, &disagreements).await
    }

    /// Finished work for dead letters of a cycle that still runs. The cycle's row is locked against being closed meanwhile.
    async fn complete_late(
        &self,
        executor: &ExecutorId,
        late: &[(&Report, i64)],
        answers: &mut Answers,
    ) -> Result<(), TaskError> {
        if late.is_empty() {
            return Ok(());
        }
        let cycles: Vec<i64> = late.iter().map(|(_, cycle_id)| *cycle_id).collect();
        let mut transaction = self.pool.begin().await?;
        let running = sqlx::query_scalar!(
            "SELECT id FROM scheduling.cycles WHERE id = ANY($1) AND state = 'running' ORDER BY id FOR SHARE",
            &cycles
        )
        .fetch_all(&mut *transaction)
        .await?;
        let reports: Vec<&Report> = late.iter().map(|(report, _)| *report).collect();
        let rows = record(&mut *transaction, executor.as_str(), &reports, &running).await?;
        transaction.commit().await?;
        let done = answers.recorded(&rows, &reports)?;
        for report in reports.iter().filter(|report| !done.contains(&report.id)) {
            answers.reject(&report.id.to_string(), "the task changed at this moment; hand the result in again");
        }
        Ok(())
    }

    async fn stored(&self, reports: &[&Report]) -> Result<HashMap<Uuid, Stored>, TaskError> {
        let ids: Vec<Uuid> = reports.iter().map(|report| report.id).collect();
        let rows = sqlx::query_as!(
            Stored,
            r#"SELECT t.id, t.cycle_id, t.env_id, t.state::text AS "state!", t.attempt, t.executor_id, t.verdict, t.cause,
                      t.score, t.total_reward, t.timesteps, t.trajectory_hash, c.state AS cycle_state, t.draws, t.played_draw,
                      ARRAY(SELECT l.attempt FROM scheduling.lost_attempts l WHERE l.task_id = t.id) AS "lost_attempts!"
                 FROM scheduling.tasks t JOIN scheduling.cycles c ON c.id = t.cycle_id
                WHERE t.id = ANY($1)"#,
            &ids
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.into_iter().map(|row| (row.id, row)).collect())
    }
}

/// Sorted by task, each task once; and what is left over because its task came before in the same call.
pub(super) fn sorted_once(reports: &[Report]) -> (Vec<&Report>, Vec<&Report>) {
    let mut seen = HashSet::with_capacity(reports.len());
    let (mut once, repeated): (Vec<&Report>, Vec<&Report>) = reports.iter().partition(|report| seen.insert(report.id));
    once.sort_unstable_by_key(|report| report.id);
    (once, repeated)
}
