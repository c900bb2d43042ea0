//! Tasks that used all their attempts: to be looked at, and to be played again.

use kinitro_domain::{EpisodeSeed, TaskId};
use kinitro_proto::scheduling::v1::{
    DeadLetter, ListDeadLettersRequest, ListDeadLettersResponse, RequeueDeadLettersRequest, RequeueDeadLettersResponse,
};
use uuid::Uuid;

use super::{MAX_BATCH, NewTask, TaskError, Tasks, at_most, env_id_of, fair_order, uid_of};

impl Tasks {
    /// The dead letters of a cycle, newest first, at most 1000.
    ///
    /// # Errors
    ///
    /// [`TaskError::Database`].
    pub async fn list_dead_letters(
        &self,
        request: ListDeadLettersRequest,
    ) -> Result<ListDeadLettersResponse, TaskError> {
        // An id beyond the column's range names no cycle.
        let cycle_id = request.cycle_id.map(|id| i64::try_from(id).unwrap_or(-1));
        let rows = sqlx::query!(
            r#"SELECT id, cycle_id, uid, env_id, attempt - released AS "attempts!", cause, error
                 FROM scheduling.tasks
                WHERE cycle_id = coalesce($1, (SELECT max(id) FROM scheduling.cycles))
                  AND state = 'failed' AND cause IS DISTINCT FROM 'cycle_closed'
                ORDER BY completed_at DESC, id
                LIMIT $2"#,
            cycle_id,
            MAX_BATCH as i64,
        )
        .fetch_all(&self.pool)
        .await?;
        let dead_letters = rows
            .into_iter()
            .map(|row| DeadLetter {
                task_uuid: row.id.to_string(),
                cycle_id: row.cycle_id.unsigned_abs(),
                miner_uid: row.uid.unsigned_abs(),
                env_id: row.env_id,
                attempts: row.attempts.unsigned_abs(),
                cause: row.cause.unwrap_or_default(),
                last_error: row.error.unwrap_or_default(),
            })
            .collect();
        Ok(ListDeadLettersResponse { dead_letters })
    }

    /// Opens dead letters of a running cycle again, with fresh attempts. The attempt number goes on counting: it is the fencing token.
    ///
    /// # Errors
    ///
    /// [`TaskError::Invalid`], [`TaskError::CycleNotFound`], [`TaskError::CycleNotRunning`], [`TaskError::Database`].
    pub async fn requeue_dead_letters(
        &self,
        request: RequeueDeadLettersRequest,
    ) -> Result<RequeueDeadLettersResponse, TaskError> {
        at_most("task_uuids", request.task_uuids.len(), MAX_BATCH)?;
        let ids: Vec<Uuid> =
            request.task_uuids.iter().map(|id| Uuid::parse_str(id)).collect::<Result<_, _>>().map_err(|_| {
                TaskError::Invalid { field: "task_uuids", problem: "has an entry that is no UUID".to_owned() }
            })?;
        let cycle_id = i64::try_from(request.cycle_id).map_err(|_| TaskError::CycleNotFound)?;

        // Locked against being closed meanwhile. The row of a cycle that is being scored is not waited for.
        let mut transaction = self.pool.begin().await?;
        let running = sqlx::query_scalar!(
            "SELECT id FROM scheduling.cycles WHERE id = $1 AND state = 'running' FOR SHARE",
            cycle_id
        )
        .fetch_optional(&mut *transaction)
        .await?;
        if running.is_none() {
            let state = sqlx::query_scalar!("SELECT state FROM scheduling.cycles WHERE id = $1", cycle_id)
                .fetch_optional(&mut *transaction)
                .await?;
            return Err(state.map_or(TaskError::CycleNotFound, |state| TaskError::CycleNotRunning { state }));
        }
        let rows = sqlx::query!(
            "UPDATE scheduling.tasks
                SET state = 'pending', released = attempt, executor_id = NULL, completed_at = NULL, cause = NULL
              WHERE cycle_id = $1 AND state = 'failed' AND cause IS DISTINCT FROM 'cycle_closed'
                AND (cardinality($2::uuid[]) = 0 OR id = ANY($2))
          RETURNING id, uid, env_id, episode, seed",
            cycle_id,
            &ids,
        )
        .fetch_all(&mut *transaction)
        .await?;
        transaction.commit().await?;

        let mut tasks = Vec::with_capacity(rows.len());
        for row in rows {
            tasks.push(task(row.id, row.uid, &row.env_id, row.episode, row.seed)?);
        }
        fair_order(&mut tasks);
        if let Err(error) = self.enqueue(&tasks).await {
            tracing::warn!(%error, cycle_id, "dead letters are open again; the reconciler will queue them");
        }
        Ok(RequeueDeadLettersResponse { requeued: u32::try_from(tasks.len()).unwrap_or(u32::MAX) })
    }
}

/// A task from its row.
pub(super) fn task(id: Uuid, uid: i32, env_id: &str, episode: i32, seed: i64) -> Result<NewTask, TaskError> {
    let corrupt = |field: &str| TaskError::Corrupt(format!("task {id} has an impossible {field}"));
    Ok(NewTask {
        id: TaskId(id),
        uid: uid_of(id, uid)?,
        env_id: env_id_of(id, env_id)?,
        episode: u32::try_from(episode).map_err(|_| corrupt("episode"))?,
        seed: EpisodeSeed(u32::try_from(seed).map_err(|_| corrupt("seed"))?),
    })
}
