//! Watches the open cycle: closes it for results when no task is open or its deadline has passed, then has it scored.
//!
//! Every replica runs this. A cycle that another replica closed, or that was closed before a restart, is found in state
//! `scoring` and taken up from there.

use std::{
    convert::Infallible,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use kinitro_chassis::BackOff;
use kinitro_domain::{CycleId, CycleState};
use sqlx::PgExecutor;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Cycles, pass, score::Attempt};
use crate::{
    database::{CycleRow, Which, find_cycle},
    error::CycleError,
};

/// How long to sleep without a signal.
const POLL: Duration = Duration::from_secs(1);
const LAST_POLL: Duration = Duration::from_secs(10);
/// How long to wait after a signal, so that a thousand completions cause one look.
const SETTLE: Duration = Duration::from_millis(100);
const FIRST_RETRY: Duration = Duration::from_millis(250);
const LAST_RETRY: Duration = Duration::from_secs(30);
/// A deadline that passed while this process or Postgres was away counts only after they have been back for so long: executors hold
/// results that they could not hand in meanwhile, and try again at least every five seconds.
const GRACE: Duration = Duration::from_secs(10);

/// When the cycle in state `scoring` is to be tried next.
#[derive(Debug)]
struct Retry {
    cycle: Option<CycleId>,
    back_off: BackOff,
    not_before: Option<Instant>,
}

impl Retry {
    fn of(cycle: Option<CycleId>) -> Self {
        Self { cycle, back_off: BackOff::new(FIRST_RETRY, LAST_RETRY), not_before: None }
    }
}

impl Cycles {
    /// Closes and scores cycles until the drain.
    pub async fn run_closer(self: Arc<Self>, draining: CancellationToken) -> Result<(), Infallible> {
        let completed = self.tasks.completed_signal();
        let mut retry = Retry::of(None);
        let (mut back_off, mut failures) = (BackOff::new(FIRST_RETRY, LAST_RETRY), 0_u32);
        // Since when results could be handed in without a break.
        let mut open_since = Instant::now();
        while !draining.is_cancelled() {
            let begun = Instant::now();
            let deadline_counts = begun.duration_since(open_since) >= GRACE;
            let pause = match pass(self.look_at_open_cycle(&mut retry, deadline_counts, &draining)).await {
                Ok(()) => {
                    back_off.reset();
                    failures = 0;
                    // Looking at a very large cycle takes long: then more seldom.
                    let poll = (begun.elapsed() * 9).clamp(POLL, LAST_POLL);
                    let left = retry.not_before.map(|at| at.saturating_duration_since(Instant::now()));
                    left.filter(|left| !left.is_zero()).map_or(poll, |left| left.min(poll))
                }
                Err(error) => {
                    tracing::warn!(%error, failures, "the open cycle could not be looked at");
                    failures = failures.saturating_add(1);
                    open_since = Instant::now();
                    back_off.pause()
                }
            };
            let asleep = Instant::now();
            tokio::select! {
                () = draining.cancelled() => {}
                () = tokio::time::sleep(pause) => {}
                () = completed.notified() => tokio::time::sleep(SETTLE).await,
            }
            if asleep.elapsed() > pause + GRACE {
                tracing::warn!(seconds = asleep.elapsed().as_secs(), "this process stood still");
                open_since = Instant::now();
            }
        }
        Ok(())
    }

    async fn look_at_open_cycle(
        &self,
        retry: &mut Retry,
        deadline_counts: bool,
        draining: &CancellationToken,
    ) -> Result<(), CycleError> {
        let Some(mut cycle) = find_cycle(&self.pool, Which::Newest).await? else { return Ok(()) };
        self.sweep_cancelled(&cycle).await?;
        if cycle.cycle_state()? == CycleState::Running {
            // Its failure must not keep the cycle from being closed.
            if let Err(error) = self.tasks.enforce_budget(cycle.cycle_id()).await {
                tracing::warn!(%error, cycle_id = cycle.id, "miners' time budgets could not be enforced");
            }
        }
        if cycle.cycle_state()? == CycleState::Running && !self.close_when_done(&mut cycle, deadline_counts).await? {
            return Ok(());
        }
        if cycle.cycle_state()? != CycleState::Scoring {
            return Ok(());
        }
        if retry.cycle != Some(cycle.cycle_id()) {
            *retry = Retry::of(Some(cycle.cycle_id()));
        }
        if retry.not_before.is_some_and(|at| Instant::now() < at) {
            return Ok(());
        }
        match self.score(&cycle, draining).await? {
            Attempt::Ended => {
                *retry = Retry::of(None);
                self.closed.notify_one();
            }
            Attempt::Elsewhere | Attempt::Drained => {}
            Attempt::Failed { pause } => {
                let backed_off = retry.back_off.pause();
                let pause = pause.unwrap_or(backed_off);
                retry.not_before = Some(Instant::now() + pause);
            }
        }
        Ok(())
    }

    /// running → scoring, when it is time; whether it was, here.
    async fn close_when_done(&self, cycle: &mut CycleRow, deadline_counts: bool) -> Result<bool, CycleError> {
        if !(cycle.overdue && deadline_counts) && self.has_open_tasks(cycle.id).await? {
            return Ok(false);
        }
        // Locked first, so that the next statement sees dead letters that were just requeued, and none can be after it.
        let mut transaction = self.pool.begin().await?;
        sqlx::query!("SELECT id FROM scheduling.cycles WHERE id = $1 FOR UPDATE", cycle.id)
            .fetch_optional(&mut *transaction)
            .await?;
        let closed = sqlx::query!(
            "UPDATE scheduling.cycles c
                SET state = 'scoring', closed_at = clock_timestamp()
              WHERE id = $1
                AND state = 'running'
                AND ($2 AND clock_timestamp() >= deadline
                     OR NOT EXISTS (SELECT 1 FROM scheduling.tasks t
                                     WHERE t.cycle_id = c.id AND t.state IN ('pending', 'assigned')))",
            cycle.id,
            deadline_counts
        )
        .execute(&mut *transaction)
        .await?
        .rows_affected();
        transaction.commit().await?;
        if closed == 0 {
            return Ok(false);
        }
        self.give_up_open_tasks(cycle).await?;
        if let Some(now) = find_cycle(&self.pool, Which::Id(cycle.cycle_id())).await? {
            *cycle = now;
        }
        cycle.timed_out = self.has_gap(&self.pool, cycle).await?;
        let progress = self.tasks.progress(cycle.cycle_id()).await?;
        tracing::info!(
            cycle_id = cycle.id,
            timed_out = cycle.timed_out,
            completed = progress.completed,
            failed = progress.failed,
            "cycle closed for results"
        );
        self.publish_closed(cycle, progress.completed, progress.failed).await;
        Ok(true)
    }

    async fn has_open_tasks(&self, cycle_id: i64) -> Result<bool, CycleError> {
        let open = sqlx::query_scalar!(
            r#"SELECT EXISTS (SELECT 1 FROM scheduling.tasks
                               WHERE cycle_id = $1 AND state IN ('pending', 'assigned')) AS "open!""#,
            cycle_id
        )
        .fetch_one(&self.pool)
        .await?;
        Ok(open)
    }

    /// Ends the open tasks of a cycle that takes no more results: the gap that makes it `timed_out`. Repeating it does no harm, and
    /// nothing of it touches the row of the cycle, which another replica may hold locked while it is scored.
    pub(super) async fn give_up_open_tasks(&self, cycle: &CycleRow) -> Result<(), CycleError> {
        let gap = self.tasks.close(cycle.cycle_id()).await?;
        if gap > 0 {
            tracing::warn!(cycle_id = cycle.id, gap, tasks_total = cycle.tasks_total, "open tasks are given up");
            metrics::counter!("kinitro_tasks_unplayed_total").increment(gap);
        }
        Ok(())
    }

    /// Whether tasks were open when the cycle was closed. Read from the rows: an earlier process may have closed them and died.
    pub(super) async fn has_gap(&self, executor: impl PgExecutor<'_>, cycle: &CycleRow) -> Result<bool, CycleError> {
        let gap = sqlx::query_scalar!(
            r#"SELECT EXISTS (SELECT 1 FROM scheduling.tasks
                               WHERE cycle_id = $1 AND state = 'failed' AND cause = 'cycle_closed') AS "gap!""#,
            cycle.id
        )
        .fetch_one(executor)
        .await?;
        Ok(gap)
    }

    /// The replica that cancelled a cycle may have died before it ended the tasks: once for each cycle, every other one does it too.
    pub(super) async fn sweep_cancelled(&self, newest: &CycleRow) -> Result<(), CycleError> {
        if newest.cycle_state()? == CycleState::Cancelled && self.swept.load(Ordering::Relaxed) < newest.id {
            self.give_up_open_tasks(newest).await?;
            self.swept.fetch_max(newest.id, Ordering::Relaxed);
        }
        Ok(())
    }

    /// running or scoring → cancelled. Its results stay stored. A cycle that scoring has scored is not cancelled, whatever scheduling heard
    /// of it: its weights stand.
    pub async fn cancel(&self, id: CycleId) -> Result<CycleRow, CycleError> {
        let cycle = find_cycle(&self.pool, Which::Id(id)).await?.ok_or(CycleError::NotFound)?;
        let mut cancelled = sqlx::query!(
            "UPDATE scheduling.cycles
                SET state = 'cancelled', closed_at = clock_timestamp(), completed_at = clock_timestamp()
              WHERE id = $1 AND state = 'running'",
            cycle.id
        )
        .execute(&self.pool)
        .await?
        .rows_affected();
        if cancelled == 0 {
            cancelled = self.cancel_unscored(&cycle).await?;
        }
        let now = find_cycle(&self.pool, Which::Id(id)).await?.ok_or(CycleError::NotFound)?;
        if cancelled == 0 {
            return Err(match now.cycle_state()? {
                CycleState::Scoring => CycleError::BeingScored(id),
                _ => CycleError::NotRunning { id, state: now.state },
            });
        }
        self.sweep_cancelled(&now).await?;
        tracing::info!(cycle_id = cycle.id, "cycle cancelled");
        self.publish_cancelled(&now).await;
        self.closed.notify_one();
        Ok(now)
    }

    /// scoring → cancelled, unless scoring has scored the cycle: its answer may have been lost, or could not be written down here. The row
    /// is locked from the question until the end, so that nobody has it scored meanwhile; while somebody does, nothing is cancelled.
    async fn cancel_unscored(&self, cycle: &CycleRow) -> Result<u64, CycleError> {
        let mut lock = self.pool.begin().await?;
        let ours = sqlx::query!(
            "SELECT id FROM scheduling.cycles WHERE id = $1 AND state = 'scoring' FOR UPDATE SKIP LOCKED",
            cycle.id
        )
        .fetch_optional(&mut *lock)
        .await?;
        if ours.is_none() {
            return Ok(0);
        }
        let scores = self.scores_of(cycle).await;
        if scores.map_err(|status| CycleError::ScoringUnavailable(status.to_string()))?.is_some() {
            return Err(CycleError::Scored(cycle.cycle_id()));
        }
        let cancelled = sqlx::query!(
            "UPDATE scheduling.cycles SET state = 'cancelled', completed_at = clock_timestamp() WHERE id = $1",
            cycle.id
        )
        .execute(&mut *lock)
        .await?
        .rows_affected();
        lock.commit().await?;
        Ok(cancelled)
    }
}
