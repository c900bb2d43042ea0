//! Brings Redis back into line with Postgres.

use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _};
use kinitro_domain::{EnvId, TaskId};
use uuid::Uuid;

use super::{NewTask, TaskError, Tasks, dead_letters::task, fair_order};

/// How many tasks are compared at once.
const PAGE: usize = 5000;
/// Executors that were heard of within so long count as active.
pub(super) const ACTIVE: Duration = Duration::from_secs(60);

impl Tasks {
    /// Enqueues what is open in Postgres and absent from Redis (a crash between commit and enqueue, `FLUSHALL`), in fair order, and drops
    /// from Redis what is not open any more. Any number of replicas may do it at any time. Answers how many were enqueued.
    ///
    /// # Errors
    ///
    /// [`TaskError::Database`], [`TaskError::Queue`].
    pub async fn reconcile(&self) -> Result<u64, TaskError> {
        let mut missing = self.missing().await?;
        fair_order(&mut missing);
        let enqueued = self.enqueue(&missing).await?;
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

    async fn missing(&self) -> Result<Vec<NewTask>, TaskError> {
        let mut pages = sqlx::query!(
            "SELECT t.id, t.uid, t.env_id, t.episode, t.seed
               FROM scheduling.tasks t JOIN scheduling.cycles c ON c.id = t.cycle_id
              WHERE c.state = 'running' AND t.state IN ('pending', 'assigned')"
        )
        .fetch(&self.pool)
        .map_err(TaskError::from)
        .map(|row| row.and_then(|row| task(row.id, row.uid, &row.env_id, row.episode, row.seed)))
        .try_chunks(PAGE);
        let mut missing = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| error.1)?;
            let keys: Vec<(TaskId, EnvId)> = page.iter().map(|task| (task.id, task.env_id.clone())).collect();
            let absent = self.queue.missing(&keys).await?;
            missing.extend(absent.into_iter().map(|position| page[position].clone()));
        }
        Ok(missing)
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
        metrics::gauge!("kinitro_executors_active").set(self.queue.active_executors(ACTIVE).await?.len() as f64);
        Ok(())
    }
}
