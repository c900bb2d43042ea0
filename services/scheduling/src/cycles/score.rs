//! Has a closed cycle scored, and ends it.
//!
//! The row of the cycle stays locked from reading the tallies until the end of the cycle is committed, so one replica does it at
//! a time; when it dies, Postgres gives the lock back and another one goes on, and when it stands still, Postgres ends its
//! transaction after [`STANDSTILL`](crate::server::STANDSTILL). `ScoreCycle` is idempotent: it may have been answered without
//! anybody hearing the answer.

use std::{collections::BTreeSet, time::Duration};

use kinitro_domain::{Cause, CycleState, Verdict};
use sqlx::{Postgres, Transaction};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status};
use tracing::Instrument as _;

use super::{Cycles, rates, scoring::score_request, slow, tally::Tallied, unscored};
use crate::{database::CycleRow, error::CycleError};

/// The pause after an answer that will not change by itself.
const AFTER_REFUSAL: Duration = Duration::from_secs(60);
/// What came of one try.
#[derive(Debug)]
pub enum Attempt {
    /// The cycle ended: scored, or unscored because too little was played.
    Ended,
    /// Another replica scores it, or has.
    Elsewhere,
    /// The drain began; whoever runs next goes on.
    Drained,
    /// To be tried again, after this pause when back-off is not enough.
    Failed { pause: Option<Duration> },
}

impl Cycles {
    /// One try to score a cycle in state `scoring`, as a part of the trace that started it.
    pub async fn score(&self, cycle: &CycleRow, draining: &CancellationToken) -> Result<Attempt, CycleError> {
        let span = tracing::info_span!("score_cycle", cycle_id = cycle.id);
        kinitro_chassis::continue_trace(&cycle.traceparent, &span);
        self.try_to_score(cycle, draining).instrument(span).await
    }

    async fn try_to_score(&self, cycle: &CycleRow, draining: &CancellationToken) -> Result<Attempt, CycleError> {
        let mut lock = self.pool.begin().await?;
        let ours = sqlx::query!(
            "SELECT id FROM scheduling.cycles WHERE id = $1 AND state = 'scoring' FOR UPDATE SKIP LOCKED",
            cycle.id
        )
        .fetch_optional(&mut *lock)
        .await?;
        if ours.is_none() {
            return Ok(Attempt::Elsewhere);
        }
        // Whoever closed the cycle may not have come so far.
        self.give_up_open_tasks(cycle).await?;
        let gap = self.has_gap(&mut *lock, cycle).await?;
        let (tallies, held) = self.tallied(&mut lock, cycle).await?;
        let end = if gap { CycleState::TimedOut } else { CycleState::Completed };
        let slow = slow::read(&mut lock, cycle).await?;
        let (too_little, slow) = match unscored::judge(cycle, &tallies, &slow) {
            Ok(evidence) => (None, evidence.slow),
            Err(too_little) => (Some(too_little), BTreeSet::new()),
        };
        slow::report(cycle, &slow);
        let request = score_request(&mut lock, cycle, end, &tallies, &slow).await?;
        let asked = async {
            if too_little.is_some() {
                // An earlier version had it scored all the same, and its answer may have been lost: then its weights stand.
                return self.scores_of(cycle).await;
            }
            self.announce(cycle).await?;
            self.call_scoring(request).await.map(Some)
        };
        let answer = tokio::select! {
            answer = asked => answer,
            () = draining.cancelled() => return Ok(Attempt::Drained),
        };
        match (answer, too_little) {
            (Err(status), _) => return Ok(refused(&status)),
            (Ok(None), Some(too_little)) => self.end_unscored(lock, cycle, gap, &too_little).await?,
            (Ok(scores), _) => {
                let kept = scores.and_then(|scores| scores.weights_kept);
                sqlx::query!(
                    "UPDATE scheduling.lost_attempts SET held = true WHERE cycle_id = $1 AND task_id = ANY($2)",
                    cycle.id,
                    &held
                )
                .execute(&mut *lock)
                .await?;
                self.finish(lock, cycle, end, &tallies, kept).await?;
            }
        }
        Ok(Attempt::Ended)
    }

    /// scoring → completed or timed out, with the totals over all cycles in the same transaction; and why scoring kept the weights of
    /// before, if it did.
    async fn finish(
        &self,
        mut lock: Transaction<'_, Postgres>,
        cycle: &CycleRow,
        end: CycleState,
        tallies: &[Tallied],
        kept: Option<String>,
    ) -> Result<(), CycleError> {
        sqlx::query!(
            "UPDATE scheduling.cycles
                SET state = $2, timed_out = $3, completed_at = clock_timestamp(), unpublished_reason = $4
              WHERE id = $1",
            cycle.id,
            end.as_str(),
            end == CycleState::TimedOut,
            kept.as_deref()
        )
        .execute(&mut *lock)
        .await?;
        for env_id in &cycle.env_ids {
            let of_environment = tallies.iter().filter(|tally| tally.env_id == *env_id);
            let (counted, successes) = of_environment.fold((0_i64, 0_i64), |(counted, successes), tally| {
                (counted + i64::from(tally.outcomes.counted()), successes + i64::from(tally.outcomes.successes()))
            });
            sqlx::query!(
                "INSERT INTO scheduling.cycle_environments (cycle_id, env_id, counted, successes) VALUES ($1, $2, $3, $4)",
                cycle.id,
                env_id,
                counted,
                successes
            )
            .execute(&mut *lock)
            .await?;
        }
        sqlx::query!(
            "WITH ends AS (
                 SELECT uid, count(*) AS episodes, COALESCE(cause, verdict) AS cause,
                        verdict = $2 OR cause = $3 AS faulty,
                        (array_agg(fault_message ORDER BY completed_at DESC, id)
                            FILTER (WHERE fault_message IS NOT NULL))[1] AS message
                   FROM scheduling.tasks WHERE cycle_id = $1 GROUP BY uid, COALESCE(cause, verdict), faulty),
             miners AS (
                 SELECT uid, sum(episodes)::bigint AS episodes,
                        COALESCE(jsonb_object_agg(cause, episodes) FILTER (WHERE faulty), '{}') AS faults,
                        COALESCE(jsonb_object_agg(cause, message) FILTER (WHERE faulty AND message IS NOT NULL), '{}') AS messages
                   FROM ends GROUP BY uid)
             INSERT INTO scheduling.evaluated_miners
                    (hotkey, last_cycle_id, last_evaluated, last_faults, last_fault_messages, last_episodes)
             SELECT m.hotkey, c.id, c.closed_at, COALESCE(faults, '{}'), COALESCE(messages, '{}'), COALESCE(episodes, 0)
               FROM scheduling.cycle_miners m
               JOIN scheduling.cycles c ON c.id = m.cycle_id
               LEFT JOIN miners USING (uid)
              WHERE c.id = $1
                 ON CONFLICT (hotkey) DO UPDATE
                SET last_cycle_id = excluded.last_cycle_id, last_evaluated = excluded.last_evaluated,
                    last_faults = excluded.last_faults, last_fault_messages = excluded.last_fault_messages,
                    last_episodes = excluded.last_episodes",
            cycle.id,
            Verdict::PolicyFault.as_str(),
            Cause::PolicyUnreachable.as_str()
        )
        .execute(&mut *lock)
        .await?;
        rates::record(&mut lock, cycle, tallies).await?;
        lock.commit().await?;
        tracing::info!(status = end.as_str(), seconds = cycle.seconds_until(cycle.closed_us), "cycle scored");
        metrics::counter!("kinitro_cycles_scored_total", "status" => end.as_str()).increment(1);
        match kept {
            None => self.publish_scored(cycle).await,
            Some(reason) => {
                tracing::warn!(reason, "the cycle publishes no weights: those of before stand");
                metrics::counter!("kinitro_cycles_without_weights_total").increment(1);
            }
        }
        Ok(())
    }
}

/// Whether to try again soon or seldom. A cycle is never dropped; an operator may cancel it unless scoring has it.
fn refused(status: &Status) -> Attempt {
    metrics::counter!("kinitro_scorings_failed_total", "code" => format!("{:?}", status.code())).increment(1);
    let permanent = matches!(
        status.code(),
        Code::InvalidArgument | Code::FailedPrecondition | Code::Unimplemented | Code::OutOfRange
    );
    let (code, message) = (status.code(), status.message());
    let retry_seconds = AFTER_REFUSAL.as_secs();
    if status.code() == Code::AlreadyExists {
        tracing::error!(
            message,
            retry_seconds,
            "scoring knows another cycle of this id, or has scored it with other tallies; no cycle starts until the two agree: find out \
             which of the databases is not the one that it was, e.g. because it was restored from a backup"
        );
        Attempt::Failed { pause: Some(AFTER_REFUSAL) }
    } else if permanent {
        tracing::error!(
            ?code,
            message,
            retry_seconds,
            "scoring refuses the cycle; no cycle starts until it is scored or cancelled"
        );
        Attempt::Failed { pause: Some(AFTER_REFUSAL) }
    } else {
        tracing::warn!(?code, message, "scoring was not reached; the cycle waits for it");
        Attempt::Failed { pause: None }
    }
}
