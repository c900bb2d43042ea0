//! What a holder does with its leases: keeps them alive, or gives them back.

use std::collections::HashMap;

use kinitro_domain::{EnvId, TaskId};
use kinitro_proto::scheduling::v1::{
    HeartbeatRequest, HeartbeatResponse, Lease, ReleaseTasksRequest, ReleaseTasksResponse,
};
use kinitro_queue::{Entry, Holding};
use uuid::Uuid;

use super::{MAX_BATCH, TaskError, Tasks, at_most, env_id_of, executor_id, uid_of, whole_seconds};

impl Tasks {
    /// Keeps leases alive. Lost is a lease whose attempt is not the current one, whose task is not open any more, or that another
    /// executor holds. A lease that only Redis lost stays with its holder until the task is leased anew.
    ///
    /// # Errors
    ///
    /// [`TaskError::Invalid`], [`TaskError::Database`], [`TaskError::Queue`].
    pub async fn heartbeat(&self, request: HeartbeatRequest) -> Result<HeartbeatResponse, TaskError> {
        self.heard(self.keep(request).await)
    }

    async fn keep(&self, request: HeartbeatRequest) -> Result<HeartbeatResponse, TaskError> {
        let executor = executor_id(request.executor_id)?;
        let leases = parse(&request.leases)?;
        let ids: Vec<Uuid> = leases.iter().map(|(id, _)| *id).collect();
        let rows = sqlx::query!(
            "SELECT id, env_id, attempt FROM scheduling.tasks
              WHERE id = ANY($1) AND state = 'assigned' AND executor_id = $2",
            &ids,
            executor.as_str(),
        )
        .fetch_all(&self.pool)
        .await?;
        let mut current = HashMap::with_capacity(rows.len());
        for row in rows {
            current.insert((row.id, row.attempt), env_id_of(row.id, &row.env_id)?);
        }
        let held: Vec<(TaskId, EnvId)> = leases
            .iter()
            .filter_map(|lease| current.get(lease).map(|env_id| (TaskId(lease.0), env_id.clone())))
            .collect();
        let holdings = self.queue.heartbeat(&executor, &held, self.beaten()).await?;
        let kept: HashMap<Uuid, bool> =
            held.iter().zip(holdings).map(|((id, _), holding)| (id.0, holding != Holding::Taken)).collect();
        let lost = |(id, attempt): &&(Uuid, i32)| !(current.contains_key(&(*id, *attempt)) && kept[id]);
        let lost: Vec<String> = leases.iter().filter(lost).map(|(id, _)| id.to_string()).collect();
        metrics::counter!("kinitro_leases_lost_total").increment(lost.len() as u64);
        Ok(HeartbeatResponse { lost, lease_seconds: whole_seconds(self.beaten().lives) })
    }

    /// Gives leases back without a result. The attempt is not spent; a stale lease changes nothing. Where the policy may have seen an
    /// observation, the seed is drawn anew.
    ///
    /// # Errors
    ///
    /// [`TaskError::Invalid`], [`TaskError::Database`].
    pub async fn release(&self, request: ReleaseTasksRequest) -> Result<ReleaseTasksResponse, TaskError> {
        let executor = executor_id(request.executor_id)?;
        let mut leases = parse(&request.leases)?;
        leases.sort_unstable();
        let (ids, attempts): (Vec<Uuid>, Vec<i32>) = leases.into_iter().unzip();
        at_most("shown_task_uuids", request.shown_task_uuids.len(), MAX_BATCH)?;
        let shown: Vec<Uuid> =
            request.shown_task_uuids.iter().map(|id| Uuid::parse_str(id)).collect::<Result<_, _>>().map_err(|_| {
                TaskError::Invalid { field: "shown_task_uuids", problem: "has an entry that is no UUID".to_owned() }
            })?;
        let rows = sqlx::query!(
            "WITH freed AS (
                 UPDATE scheduling.tasks t
                    SET state = 'pending', released = released + 1, executor_id = NULL,
                        draws = draws + CASE WHEN t.id = ANY($4) THEN 1 ELSE 0 END
                   FROM unnest($1::uuid[], $2::integer[]) AS given (id, attempt)
                  WHERE t.id = given.id AND t.state = 'assigned' AND t.attempt = given.attempt AND t.executor_id = $3
              RETURNING t.id, t.attempt, t.cycle_id, t.env_id, t.uid),
             lost AS (
                 INSERT INTO scheduling.lost_attempts (task_id, attempt, cycle_id, uid, executor_id, cause)
                 SELECT id, attempt, cycle_id, uid, $3, 'released' FROM freed WHERE id = ANY($4)
                     ON CONFLICT DO NOTHING)
             SELECT id, env_id, uid FROM freed",
            &ids,
            &attempts,
            executor.as_str(),
            &shown,
        )
        .fetch_all(&self.pool)
        .await?;
        let mut released = Vec::with_capacity(rows.len());
        for row in rows {
            let (env_id, uid) = (env_id_of(row.id, &row.env_id)?, uid_of(row.id, row.uid)?);
            released.push(Entry { task_id: TaskId(row.id), env_id, uid });
        }
        self.shares.ended(released.iter().map(|entry| entry.uid));
        self.give_back(&executor, &released).await;
        metrics::counter!("kinitro_tasks_released_total").increment(released.len() as u64);
        Ok(ReleaseTasksResponse { released: u32::try_from(released.len()).unwrap_or(u32::MAX) })
    }
}

fn parse(leases: &[Lease]) -> Result<Vec<(Uuid, i32)>, TaskError> {
    at_most("leases", leases.len(), MAX_BATCH)?;
    let invalid = |problem: &str| TaskError::Invalid { field: "leases", problem: problem.to_owned() };
    leases
        .iter()
        .map(|lease| {
            let id = Uuid::parse_str(&lease.task_uuid).map_err(|_| invalid("has a task_uuid that is no UUID"))?;
            let attempt = i32::try_from(lease.attempt).map_err(|_| invalid("has an attempt that is too large"))?;
            Ok((id, attempt))
        })
        .collect()
}
