//! Leasing: from the queue, then one statement that raises the attempts and tells what to play.

use std::{collections::HashMap, num::NonZeroU32, time::Duration};

use kinitro_domain::{EnvId, ExecutorId, MinerUid, TaskId};
use kinitro_proto::scheduling::v1::{LeaseTasksRequest, LeaseTasksResponse, Task};
use kinitro_queue::{Entry, LeaseRequest, LeaseTime, Resume};
use tokio::time::Instant;
use uuid::Uuid;

use super::{DeadTask, TaskError, Tasks, at_most, env_id_of, executor_id, whole_seconds};

const DEFAULT_BATCH: u32 = 10;
const MAX_LEASE: u32 = 100;
const MAX_ENVIRONMENTS: usize = 1000;
const MAX_FULL_MINERS: usize = 1024;
const MAX_LEASE_SECONDS: u32 = 24 * 3600;
/// An executor that sends no heartbeats counts as active for so long after it asked for work.
const ACTIVE: Duration = Duration::from_secs(60);
const MAX_WAIT: Duration = Duration::from_secs(20);
/// While somebody waits for work, Redis is asked this often for what came in through other replicas or expired.
const POLL: Duration = Duration::from_millis(200);
/// How often, and for how long, a lease is tried again at once when all that came were entries of tasks that are not open any more, or of
/// full miners with more behind them.
const ROUNDS: usize = 20;
const SEARCH: Duration = Duration::from_secs(1);

impl Tasks {
    /// Leases up to `batch_size` tasks; waits up to `wait_ms` for the first.
    ///
    /// # Errors
    ///
    /// [`TaskError::Invalid`], [`TaskError::Database`], [`TaskError::Queue`].
    pub async fn lease(&self, request: LeaseTasksRequest) -> Result<LeaseTasksResponse, TaskError> {
        let executor = executor_id(request.executor_id)?;
        let count = request.batch_size.unwrap_or(DEFAULT_BATCH);
        if !(1..=MAX_LEASE).contains(&count) {
            return Err(TaskError::Invalid { field: "batch_size", problem: format!("must be 1 to {MAX_LEASE}") });
        }
        at_most("env_ids", request.env_ids.len(), MAX_ENVIRONMENTS)?;
        let env_ids: Vec<EnvId> =
            request.env_ids.into_iter().map(EnvId::try_from).collect::<Result<_, _>>().map_err(|error| {
                TaskError::Invalid {
                    field: "env_ids",
                    problem: format!("has an entry that is no environment: {error}"),
                }
            })?;
        at_most("full_miner_uids", request.full_miner_uids.len(), MAX_FULL_MINERS)?;
        let full = request.full_miner_uids.iter().map(|uid| u16::try_from(*uid).map(MinerUid));
        let full: Vec<MinerUid> = full.collect::<Result<_, _>>().map_err(|_| TaskError::Invalid {
            field: "full_miner_uids",
            problem: format!("has an entry that is no uid: the largest is {}", u16::MAX),
        })?;
        let wait = Duration::from_millis(u64::from(request.wait_ms));
        if wait > MAX_WAIT {
            let problem = format!("must be at most {}", MAX_WAIT.as_millis());
            return Err(TaskError::Invalid { field: "wait_ms", problem });
        }

        let lease = self.lease_time(request.heartbeats, request.lease_seconds)?;
        let silent = !request.heartbeats;
        let mut wanted = LeaseRequest {
            env_ids: &env_ids,
            count: count as usize,
            lease,
            keep_expired: false,
            active: if silent { ACTIVE } else { lease.lives },
            // What is silent while it plays is taken to play until its lease ends.
            busy: if silent { lease.lives.saturating_sub(ACTIVE) } else { Duration::ZERO },
            full: &full,
            max_per_miner: NonZeroU32::new(request.max_per_miner),
            resume: None,
        };
        let until = Instant::now() + wait;
        loop {
            let arrival = self.arrivals.notified();
            tokio::pin!(arrival);
            arrival.as_mut().enable();
            // Where a search ran out of time, the next one goes on.
            wanted.keep_expired = self.unheard.was_lately();
            let (tasks, waiting, resume) = self.heard(self.lease_by_shares(&executor, wanted).await)?;
            wanted.resume = resume;
            let left = until.saturating_duration_since(Instant::now());
            if !tasks.is_empty() || left.is_zero() || self.draining.is_cancelled() {
                return Ok(LeaseTasksResponse {
                    tasks,
                    total_pending: u32::try_from(waiting).unwrap_or(u32::MAX),
                    lease_seconds: whole_seconds(lease.lives),
                });
            }
            tokio::select! {
                () = arrival => {}
                () = self.draining.cancelled() => {}
                () = tokio::time::sleep(left.min(POLL)) => {}
            }
        }
    }

    /// How long the leases of a request live.
    fn lease_time(&self, heartbeats: bool, asked: Option<u32>) -> Result<LeaseTime, TaskError> {
        if asked.is_some_and(|seconds| !(1..=MAX_LEASE_SECONDS).contains(&seconds)) {
            let problem = format!("must be 1 to {MAX_LEASE_SECONDS}");
            return Err(TaskError::Invalid { field: "lease_seconds", problem });
        }
        if heartbeats {
            return Ok(self.beaten());
        }
        let longest = self.settings.lease;
        let lives = asked.map_or(longest, |seconds| Duration::from_secs(u64::from(seconds)).min(longest));
        Ok(LeaseTime { longest, lives })
    }

    /// Leases in passes, so that those come first who have taken the least time: see `shares`.
    async fn lease_by_shares(
        &self,
        executor: &ExecutorId,
        wanted: LeaseRequest<'_>,
    ) -> Result<(Vec<Task>, u64, Option<Resume>), TaskError> {
        self.shares.refresh(&self.pool, false).await?;
        let slow = self.settings.episode_budget.map(|budget| budget / 2.0);
        let mut passes = self.shares.passes(wanted.count, slow).into_iter();
        let (mut tasks, mut of_miner) = (Vec::new(), HashMap::<u32, u32>::new());
        let (mut waiting, mut resume, mut looked_again) = (0, None, false);
        // With one pass there is nothing that those below their share could lose.
        let in_passes = passes.len() > 1;
        while let Some(pass) = passes.next() {
            let left = wanted.count - tasks.len();
            if pass.is_last && in_passes && !looked_again {
                looked_again = true;
                match self.shares.refresh(&self.pool, true).await {
                    Ok(true) => {
                        passes = self.shares.passes(left, slow).into_iter();
                        continue;
                    }
                    Ok(false) => {}
                    Err(error) => tracing::warn!(%error, "tasks are leased by what was known of the miners before"),
                }
            }
            let most = wanted.max_per_miner.map(NonZeroU32::get);
            let mut full = wanted.full.to_vec();
            let got_all = of_miner.iter().filter(|(_, got)| most.is_some_and(|most| **got >= most));
            full.extend(got_all.filter_map(|(uid, _)| u16::try_from(*uid).ok()).map(MinerUid));
            full.extend(&pass.left_out);
            full.truncate(MAX_FULL_MINERS);
            // What a miner got in the passes before is part of what it may get.
            let got = of_miner.values().copied().filter(|got| most.is_some_and(|most| *got < most)).max().unwrap_or(0);
            let most = [most.map(|most| most - got), NonZeroU32::new(pass.most).map(NonZeroU32::get)];
            let request = LeaseRequest {
                count: left,
                full: &full,
                max_per_miner: most.into_iter().flatten().min().and_then(NonZeroU32::new),
                resume: wanted.resume.filter(|_| pass.is_last),
                ..wanted
            };
            let (leased, now_waiting, unfinished) = match self.lease_now(executor, request).await {
                Ok(leased) => leased,
                Err(error) if tasks.is_empty() => return Err(error),
                // The executor has to hear of those that it holds already.
                Err(error) => {
                    tracing::warn!(%error, leased = tasks.len(), "fewer tasks are leased than were wanted");
                    break;
                }
            };
            waiting = now_waiting;
            for task in leased {
                *of_miner.entry(task.miner_uid).or_default() += 1;
                tasks.push(task);
            }
            resume = unfinished;
            if tasks.len() >= wanted.count || self.draining.is_cancelled() {
                break;
            }
        }
        Ok((tasks, waiting, resume))
    }

    /// What there is, how many tasks wait, and where to go on when the search was not finished.
    async fn lease_now(
        &self,
        executor: &ExecutorId,
        mut wanted: LeaseRequest<'_>,
    ) -> Result<(Vec<Task>, u64, Option<Resume>), TaskError> {
        let (mut waiting, begun) = (0, Instant::now());
        for round in 0..ROUNDS {
            if round > 0 && (self.draining.is_cancelled() || begun.elapsed() > SEARCH) {
                break;
            }
            let batch = self.queue.lease(executor, wanted).await?;
            waiting = batch.waiting;
            wanted.resume = batch.cut_short;
            if batch.leased.is_empty() {
                if batch.cut_short.is_some() {
                    continue;
                }
                break;
            }
            let redelivered = batch.leased.iter().filter(|leased| leased.redelivered).count();
            let held: Vec<Entry> = batch.leased.into_iter().map(|leased| leased.entry).collect();
            let tasks = match self.assign(executor, &held).await {
                Ok(tasks) => tasks,
                Err(error) => {
                    // Nobody was told that they are leased.
                    self.give_back(executor, &held).await;
                    return Err(error);
                }
            };
            self.shares.leased(tasks.iter().filter_map(|task| u16::try_from(task.miner_uid).ok()).map(MinerUid));
            metrics::counter!("kinitro_tasks_leased_total").increment(tasks.len() as u64);
            metrics::counter!("kinitro_tasks_redelivered_total").increment(redelivered as u64);
            metrics::gauge!("kinitro_queue_depth").set(waiting as f64);
            if !tasks.is_empty() {
                return Ok((tasks, waiting, None));
            }
        }
        Ok((Vec::new(), waiting, wanted.resume))
    }

    /// Writes the leases into Postgres and drops from the queue what cannot be leased. Keeps the order.
    async fn assign(&self, executor: &ExecutorId, held: &[Entry]) -> Result<Vec<Task>, TaskError> {
        let mut ids: Vec<Uuid> = held.iter().map(|entry| entry.task_id.0).collect();
        ids.sort_unstable();
        let rows = sqlx::query!(
            r#"WITH before AS (
                   -- Locked, so that what is noted as lost is of the rows that are changed, as they are then.
                   SELECT id, attempt, cycle_id, uid, executor_id, state FROM scheduling.tasks
                    WHERE id = ANY($1) AND state IN ('pending', 'assigned') AND attempt - released < $3
                    ORDER BY id FOR UPDATE),
               lost AS (
                   INSERT INTO scheduling.lost_attempts (task_id, attempt, cycle_id, uid, executor_id, cause)
                   SELECT id, attempt, cycle_id, uid, coalesce(executor_id, ''), 'lease_lost' FROM before
                    WHERE state = 'assigned'
                       ON CONFLICT DO NOTHING)
               UPDATE scheduling.tasks t
                  SET state = 'assigned',
                      first_leased_at = coalesce(t.first_leased_at, now()),
                      leased_at = now(),
                      attempt = t.attempt + 1,
                      draws = t.draws + CASE WHEN before.state = 'assigned' THEN 1 ELSE 0 END,
                      executor_id = $2,
                      cause = CASE WHEN before.state = 'assigned' THEN 'lease_lost' ELSE t.cause END
                 FROM before
                WHERE t.id = before.id
            RETURNING t.id, t.cycle_id, t.uid, t.env_id, t.episode, t.seed, t.draws, t.attempt"#,
            &ids,
            executor.as_str(),
            self.max_attempts(),
        )
        .fetch_all(&self.pool)
        .await?;

        let mut snapshot = None;
        let mut tasks = HashMap::with_capacity(rows.len());
        for row in rows {
            let cycle = match &snapshot {
                Some((id, cycle)) if *id == row.cycle_id => cycle,
                _ => &snapshot.insert((row.cycle_id, self.snapshots.get(&self.pool, row.cycle_id).await?)).1,
            };
            let corrupt = |what: &str| TaskError::Corrupt(format!("task {}: {what}", row.id));
            let miner = cycle.miners.get(&row.uid).ok_or_else(|| corrupt("its miner is not one of its cycle"))?;
            let task = Task {
                task_uuid: row.id.to_string(),
                cycle_id: row.cycle_id.unsigned_abs(),
                miner_uid: row.uid.unsigned_abs(),
                miner_hotkey: miner.hotkey.clone(),
                miner_endpoint: miner.endpoint.clone(),
                miner_repo: miner.repo.clone(),
                miner_revision: miner.revision.clone(),
                seed: match row.draws {
                    0 => u32::try_from(row.seed).map_err(|_| corrupt("its seed has more than 32 bits"))?,
                    draws => {
                        let env_id = env_id_of(row.id, &row.env_id)?;
                        let (index, draw) = (u64::from(row.episode.unsigned_abs()), draws.unsigned_abs());
                        cycle.secret.drawn_seed(&env_id, index, draw).0
                    }
                },
                env_id: row.env_id,
                status: "assigned".to_owned(),
                created_at: created_at(row.id),
                attempt: row.attempt.unsigned_abs(),
                traceparent: cycle.traceparent.clone(),
            };
            tasks.insert(row.id, task);
        }
        if tasks.len() < held.len() {
            let unleased: Vec<_> = held
                .iter()
                .filter(|entry| !tasks.contains_key(&entry.task_id.0))
                .map(|entry| (entry.task_id, entry.env_id.clone()))
                .collect();
            self.drop_unleased(&unleased).await?;
        }
        Ok(held.iter().filter_map(|entry| tasks.remove(&entry.task_id.0)).collect())
    }

    /// Tasks of the queue that are not open any more, or whose last attempt's lease expired.
    async fn drop_unleased(&self, unleased: &[(TaskId, EnvId)]) -> Result<(), TaskError> {
        let mut ids: Vec<Uuid> = unleased.iter().map(|(id, _)| id.0).collect();
        ids.sort_unstable();
        let rows = sqlx::query!(
            r#"WITH before AS (
                   SELECT id, attempt, cycle_id, uid, executor_id, state FROM scheduling.tasks
                    WHERE id = ANY($1) AND state IN ('pending', 'assigned') AND attempt - released >= $2
                    ORDER BY id FOR UPDATE),
               lost AS (
                   INSERT INTO scheduling.lost_attempts (task_id, attempt, cycle_id, uid, executor_id, cause)
                   SELECT id, attempt, cycle_id, uid, coalesce(executor_id, ''), 'lease_lost' FROM before
                    WHERE state = 'assigned'
                       ON CONFLICT DO NOTHING)
               UPDATE scheduling.tasks t
                  SET state = 'failed',
                      completed_at = now(),
                      draws = t.draws + CASE WHEN before.state = 'assigned' THEN 1 ELSE 0 END,
                      cause = CASE WHEN before.state = 'assigned' OR t.cause IS NULL THEN 'lease_lost' ELSE t.cause END,
                      error = CASE WHEN before.state = 'assigned'
                                   THEN format('the lease of %s expired in attempt %s', before.executor_id, before.attempt)
                                   ELSE t.error END
                 FROM before
                WHERE t.id = before.id
            RETURNING t.id, t.cycle_id, t.uid, t.env_id, t.cause"#,
            &ids,
            self.max_attempts(),
        )
        .fetch_all(&self.pool)
        .await?;
        let dead = rows.into_iter().map(|row| DeadTask::new(row.id, row.cycle_id, row.uid, &row.env_id, row.cause));
        let dead = dead.collect::<Result<_, _>>()?;
        self.forget(unleased).await;
        self.dead_letter(dead).await;
        Ok(())
    }
}

/// Ids are of version 7: they carry the time at which the task was created.
fn created_at(id: Uuid) -> Option<prost_types::Timestamp> {
    let (seconds, nanos) = id.get_timestamp()?.to_unix();
    Some(prost_types::Timestamp { seconds: i64::try_from(seconds).ok()?, nanos: i32::try_from(nanos).ok()? })
}
