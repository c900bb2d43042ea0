//! Brings Redis back into line with Postgres.

use std::{
    collections::{BTreeSet, HashSet},
    sync::{PoisonError, atomic::Ordering},
};

use futures::{StreamExt as _, TryStreamExt as _};
use kinitro_domain::{EnvId, TaskId};
use kinitro_queue::{Condition, Eviction};
use uuid::Uuid;

use super::{NewTask, TaskError, Tasks, dead_letters::task, fair_order};

/// How many tasks are compared at once.
const PAGE: usize = 5000;

impl Tasks {
    /// Enqueues what is open in Postgres and absent from Redis (a crash between commit and enqueue, `FLUSHALL`), in fair order, and drops
    /// from Redis what is not open any more. An environment of which Redis lost a part is forgotten there when two comparisons in a row
    /// found that, and enqueued anew. Any number of replicas may do it at any time. Answers how many were enqueued.
    ///
    /// # Errors
    ///
    /// [`TaskError::Database`], [`TaskError::Queue`].
    pub async fn reconcile(&self) -> Result<u64, TaskError> {
        let (mut missing, open) = self.missing().await?;
        let (torn, cleared) = self.audit(open).await?;
        if cleared {
            missing = self.missing().await?.0;
        }
        // Beside entries that are still there, others of the same tasks would be leased twice.
        missing.retain(|task| !torn.contains(&task.env_id));
        // What was completed between the two reads is absent for a good reason.
        let open = self.still_open(&missing).await?;
        missing.retain(|task| open.contains(&task.id.0));
        fair_order(&mut missing);
        let added = self.enqueue(&missing).await?;
        // And what is completed at this very moment may have been taken out of the queue before it came in.
        let open = self.still_open(&missing).await?;
        let over: Vec<_> = missing.iter().filter(|task| !open.contains(&task.id.0)).collect();
        let over: Vec<(TaskId, EnvId)> = over.into_iter().map(|task| (task.id, task.env_id.clone())).collect();
        self.forget(&over).await;
        let enqueued = added.saturating_sub(over.len() as u64);
        if enqueued > 0 {
            tracing::warn!(enqueued, "open tasks were absent from redis and are queued again");
        }
        let dropped = self.drop_stale().await?;
        if dropped > 0 {
            tracing::info!(dropped, "tasks that are not open any more were still in redis");
        }
        self.measure().await?;
        Ok(enqueued)
    }

    /// Says so when Redis may drop keys of the queue, or may not tell whether.
    ///
    /// # Errors
    ///
    /// [`TaskError::Queue`].
    pub async fn warn_of_eviction(&self) -> Result<(), TaskError> {
        let remedy = "start redis with `--maxmemory-policy noeviction`";
        match self.queue.eviction().await? {
            Eviction::Harmless => {}
            Eviction::AnyKey(policy) => {
                tracing::error!(
                    policy,
                    remedy,
                    "redis drops keys of the work queue when its memory is full; tasks will be played twice"
                );
            }
            Eviction::Unknown => {
                tracing::warn!(remedy, "redis does not say whether it drops keys when its memory is full")
            }
        }
        Ok(())
    }

    /// The environments of which Redis lost a part, found for the first time; and whether others were cleared, found for the second.
    async fn audit(&self, mut env_ids: BTreeSet<EnvId>) -> Result<(BTreeSet<EnvId>, bool), TaskError> {
        env_ids.extend(self.queue.environments().await?);
        let before = self.torn.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (mut torn, mut cleared) = (BTreeSet::new(), false);
        for env_id in env_ids {
            match self.queue.audit(&env_id, before.contains(&env_id)).await? {
                Condition::Whole => {}
                Condition::Torn => {
                    tracing::warn!(%env_id, "redis lost a part of this environment's work");
                    torn.insert(env_id);
                }
                Condition::Cleared => {
                    metrics::counter!("kinitro_queue_cleared_total").increment(1);
                    tracing::error!(%env_id, "redis lost a part of this environment's work; all of it is queued again");
                    cleared = true;
                }
            }
        }
        *self.torn.lock().unwrap_or_else(PoisonError::into_inner) = torn.clone();
        Ok((torn, cleared))
    }

    /// What the queue does not have, and the environments that have open tasks.
    async fn missing(&self) -> Result<(Vec<NewTask>, BTreeSet<EnvId>), TaskError> {
        let mut pages = sqlx::query!(
            "SELECT t.id, t.uid, t.env_id, t.episode, t.seed
               FROM scheduling.tasks t JOIN scheduling.cycles c ON c.id = t.cycle_id
              WHERE c.state = 'running' AND t.state IN ('pending', 'assigned')"
        )
        .fetch(&self.pool)
        .map_err(TaskError::from)
        .map(|row| row.and_then(|row| task(row.id, row.uid, &row.env_id, row.episode, row.seed)))
        .try_chunks(PAGE);
        let (mut missing, mut open) = (Vec::new(), BTreeSet::new());
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| error.1)?;
            let keys: Vec<(TaskId, EnvId)> = page.iter().map(|task| (task.id, task.env_id.clone())).collect();
            open.extend(keys.iter().map(|(_, env_id)| env_id.clone()));
            let absent = self.queue.missing(&keys).await?;
            missing.extend(absent.into_iter().map(|position| page[position].clone()));
        }
        Ok((missing, open))
    }

    /// Which of these tasks need a player now.
    async fn still_open(&self, tasks: &[NewTask]) -> Result<HashSet<Uuid>, TaskError> {
        let mut open = HashSet::new();
        for page in tasks.chunks(PAGE) {
            let ids: Vec<Uuid> = page.iter().map(|task| task.id.0).collect();
            let rows = sqlx::query_scalar!(
                "SELECT t.id FROM scheduling.tasks t JOIN scheduling.cycles c ON c.id = t.cycle_id
                  WHERE t.id = ANY($1) AND c.state = 'running' AND t.state IN ('pending', 'assigned')",
                &ids
            )
            .fetch_all(&self.pool)
            .await?;
            open.extend(rows);
        }
        Ok(open)
    }

    async fn drop_stale(&self) -> Result<u64, TaskError> {
        let mut dropped = 0;
        for env_id in self.queue.environments().await? {
            let mut cursor = 0;
            loop {
                let (page, next) = self.queue.tasks(&env_id, cursor).await?;
                let ids: Vec<Uuid> = page.iter().map(|id| id.0).collect();
                let stale = sqlx::query_scalar!(
                    r#"SELECT given.id AS "id!" FROM unnest($1::uuid[]) AS given (id)
                        WHERE NOT EXISTS (SELECT 1 FROM scheduling.tasks t
                                           WHERE t.id = given.id AND t.state IN ('pending', 'assigned'))"#,
                    &ids
                )
                .fetch_all(&self.pool)
                .await?;
                let stale: Vec<_> = stale.into_iter().map(|id| (TaskId(id), env_id.clone())).collect();
                if !stale.is_empty() {
                    dropped += self.queue.complete(&stale).await?.removed;
                }
                if next == 0 {
                    break;
                }
                cursor = next;
            }
        }
        if dropped > 0 {
            self.completed.notify_one();
        }
        Ok(dropped)
    }

    async fn measure(&self) -> Result<(), TaskError> {
        let depths = self.queue.depth(&[]).await?;
        let sum = |field: fn(&kinitro_queue::Depth) -> u64| depths.iter().map(field).sum::<u64>() as f64;
        metrics::gauge!("kinitro_queue_depth").set(sum(|depth| depth.waiting));
        metrics::gauge!("kinitro_queue_leased").set(sum(|depth| depth.leased));
        let lag = depths.iter().filter_map(|depth| depth.oldest_waiting).max().unwrap_or_default();
        metrics::gauge!("kinitro_queue_lag_seconds").set(lag.as_secs_f64());
        metrics::gauge!("kinitro_executors_active").set(self.queue.active_executors().await?.len() as f64);
        let unserved = self.unserved().await?;
        metrics::gauge!("kinitro_queue_unserved_seconds").set(unserved.idle.as_secs_f64());
        let warning = unserved.warning();
        let told = self.unserved_told.swap(warning.is_some(), Ordering::Relaxed);
        if let Some(warning) = warning.filter(|_| !told) {
            tracing::error!(
                remedy = "look at the executors' health and logs, and that they reach scheduling",
                "{warning}"
            );
        }
        Ok(())
    }
}
