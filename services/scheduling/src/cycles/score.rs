//! Has a closed cycle scored, and ends it.
//!
//! The row of the cycle stays locked from reading the tallies until the end of the cycle is committed, so one replica does it at
//! a time; when it dies, Postgres gives the lock back and another one goes on, and when it stands still, Postgres ends its
//! transaction after [`STANDSTILL`](crate::server::STANDSTILL). `ScoreCycle` is idempotent: it may have been answered without
//! anybody hearing the answer.

use std::time::Duration;

use kinitro_domain::{Cause, CycleState, Verdict};
use kinitro_proto::scoring::v1::{
    Cycle, GetScoresRequest, MinerIdentity, ScoreCycleRequest, Tally, scoring_service_client::ScoringServiceClient,
};
use sqlx::{PgConnection, Postgres, Transaction};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Request, Status};
use tracing::Instrument as _;

use super::{Cycles, rates, tally::Tallied};
use crate::{
    database::{CycleRow, unsigned, unsigned32},
    error::CycleError,
    server::SCORING_LIMIT,
    views::timestamp,
};

/// The pause after an answer that will not change by itself.
const AFTER_REFUSAL: Duration = Duration::from_secs(60);
/// The answer repeats the tallies as details: the largest cycle stays below this.
const MAX_ANSWER_BYTES: usize = 64 << 20;

/// How long an operator waits for scoring to say whether it has a cycle.
const QUESTION_LIMIT: Duration = Duration::from_secs(10);

/// What came of one try.
#[derive(Debug)]
pub enum Attempt {
    /// Scored, and the cycle ended.
    Scored,
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
        let end = if self.has_gap(&mut *lock, cycle).await? { CycleState::TimedOut } else { CycleState::Completed };
        let (tallies, held) = self.tallied(&mut lock, cycle).await?;
        let request = score_request(&mut lock, cycle, end, &tallies).await?;

        let answer = tokio::select! {
            answer = self.call_scoring(request) => answer,
            () = draining.cancelled() => return Ok(Attempt::Drained),
        };
        if let Err(status) = answer {
            return Ok(refused(&status));
        }
        sqlx::query!(
            "UPDATE scheduling.lost_attempts SET held = true WHERE cycle_id = $1 AND task_id = ANY($2)",
            cycle.id,
            &held
        )
        .execute(&mut *lock)
        .await?;
        self.finish(lock, cycle, end, &tallies).await?;
        Ok(Attempt::Scored)
    }

    async fn call_scoring(&self, request: ScoreCycleRequest) -> Result<(), Status> {
        let mut client = ScoringServiceClient::with_interceptor(self.scoring.clone(), kinitro_chassis::propagate)
            .max_decoding_message_size(MAX_ANSWER_BYTES);
        // Said to scoring too: it gives up before Postgres ends the lock of a process that stands still, and somebody else may cancel.
        let mut request = Request::new(request);
        request.set_timeout(SCORING_LIMIT);
        client.score_cycle(request).await.map(|_| ())
    }

    /// Whether scoring has the cycle, whatever became of its answer.
    pub(super) async fn is_scored(&self, cycle: &CycleRow) -> Result<bool, Status> {
        let mut client = ScoringServiceClient::with_interceptor(self.scoring.clone(), kinitro_chassis::propagate)
            .max_decoding_message_size(MAX_ANSWER_BYTES);
        let mut request = Request::new(GetScoresRequest { cycle_id: Some(unsigned(cycle.id)) });
        request.set_timeout(QUESTION_LIMIT);
        match client.get_scores(request).await {
            Ok(_) => Ok(true),
            Err(status) if status.code() == Code::NotFound => Ok(false),
            Err(status) => Err(status),
        }
    }

    /// scoring → completed or timed out, with the totals over all cycles in the same transaction.
    async fn finish(
        &self,
        mut lock: Transaction<'_, Postgres>,
        cycle: &CycleRow,
        end: CycleState,
        tallies: &[Tallied],
    ) -> Result<(), CycleError> {
        sqlx::query!(
            "UPDATE scheduling.cycles SET state = $2, timed_out = $3, completed_at = clock_timestamp() WHERE id = $1",
            cycle.id,
            end.as_str(),
            end == CycleState::TimedOut
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
                        verdict = $2 OR cause = $3 AS faulty
                   FROM scheduling.tasks WHERE cycle_id = $1 GROUP BY uid, COALESCE(cause, verdict), faulty),
             miners AS (
                 SELECT uid, sum(episodes)::bigint AS episodes,
                        COALESCE(jsonb_object_agg(cause, episodes) FILTER (WHERE faulty), '{}') AS faults
                   FROM ends GROUP BY uid)
             INSERT INTO scheduling.evaluated_miners (hotkey, last_cycle_id, last_evaluated, last_faults, last_episodes)
             SELECT m.hotkey, c.id, c.closed_at, COALESCE(faults, '{}'), COALESCE(episodes, 0)
               FROM scheduling.cycle_miners m
               JOIN scheduling.cycles c ON c.id = m.cycle_id
               LEFT JOIN miners USING (uid)
              WHERE c.id = $1
                 ON CONFLICT (hotkey) DO UPDATE
                SET last_cycle_id = excluded.last_cycle_id, last_evaluated = excluded.last_evaluated,
                    last_faults = excluded.last_faults, last_episodes = excluded.last_episodes",
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
        self.publish_scored(cycle).await;
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
            "scoring has this cycle with other tallies, and its weights stand; no cycle starts until the two agree: find out which of the \
             databases is not the one that scored it, e.g. because it was restored from a backup"
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

async fn score_request(
    connection: &mut PgConnection,
    cycle: &CycleRow,
    end: CycleState,
    tallies: &[Tallied],
) -> Result<ScoreCycleRequest, sqlx::Error> {
    let miners: Vec<MinerIdentity> = sqlx::query!(
        "SELECT uid, hotkey, first_commit_block FROM scheduling.cycle_miners WHERE cycle_id = $1 ORDER BY uid",
        cycle.id
    )
    .fetch_all(connection)
    .await?
    .into_iter()
    .map(|row| MinerIdentity {
        uid: unsigned32(i64::from(row.uid)),
        hotkey: row.hotkey,
        first_commit_block: unsigned(row.first_commit_block),
    })
    .collect();
    Ok(ScoreCycleRequest {
        cycle: Some(Cycle {
            id: unsigned(cycle.id),
            block_number: unsigned(cycle.block_number),
            status: end.as_str().to_owned(),
            started_at: Some(timestamp(cycle.started_us)),
            completed_at: cycle.closed_us.map(timestamp),
            n_miners: unsigned32(miners.len() as i64),
            n_environments: unsigned32(cycle.env_ids.len() as i64),
            duration_seconds: cycle.seconds_until(cycle.closed_us),
        }),
        miners,
        env_ids: cycle.env_ids.clone(),
        tallies: tallies
            .iter()
            .map(|tally| Tally {
                uid: tally.uid,
                env_id: tally.env_id.clone(),
                outcomes: tally.outcomes.to_string(),
                mean_reward: tally.mean_reward,
            })
            .collect(),
    })
}
