//! What is said to scoring about a cycle, and asked.

use std::{collections::BTreeSet, time::Duration};

use kinitro_chassis::MeshChannel;
use kinitro_database::{timestamp, unsigned, unsigned32};
use kinitro_domain::{CycleSecret, CycleState, MinerUid};
use kinitro_proto::scoring::v1::{
    AnnounceCycleRequest, Cycle, Evidence, GetScoresRequest, MinerIdentity, ScoreCycleRequest, Scores, Tally,
    scoring_service_client::ScoringServiceClient,
};
use sqlx::PgConnection;
use tonic::{Code, Request, Status, service::interceptor::InterceptedService};

use super::{Cycles, tally::Tallied};
use crate::{database::CycleRow, error::CycleError, server::SCORING_LIMIT};

/// The answer repeats the tallies as details: the largest cycle stays below this.
const MAX_ANSWER_BYTES: usize = 64 << 20;
/// How long an operator waits for scoring to say whether it has a cycle.
const QUESTION_LIMIT: Duration = Duration::from_secs(10);
/// How long the start of a cycle waits for scoring to hear of it: it hears of it once more before it scores the cycle.
const ANNOUNCEMENT_LIMIT: Duration = Duration::from_secs(2);

type Propagate = fn(Request<()>) -> Result<Request<()>, Status>;
type Client = ScoringServiceClient<InterceptedService<MeshChannel, Propagate>>;

impl Cycles {
    fn scoring_client(&self) -> Client {
        ScoringServiceClient::with_interceptor(self.scoring.clone(), kinitro_chassis::propagate as Propagate)
            .max_decoding_message_size(MAX_ANSWER_BYTES)
    }

    /// Tells scoring of a cycle that just started. Scoring may be away: it is told again before it scores the cycle.
    pub(super) async fn announce_start(&self, cycle: &CycleRow) {
        let told = tokio::time::timeout(ANNOUNCEMENT_LIMIT, self.announce(cycle)).await;
        let error = match told {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer within {ANNOUNCEMENT_LIMIT:?}"),
        };
        tracing::warn!(
            error,
            cycle_id = cycle.id,
            "scoring has not heard of the cycle yet; it will before it scores it"
        );
    }

    /// Tells scoring that a cycle was issued: it scores no other.
    pub(super) async fn announce(&self, cycle: &CycleRow) -> Result<(), Status> {
        let secret = secret(cycle).map_err(Status::from)?;
        let mut request = Request::new(AnnounceCycleRequest {
            cycle_id: unsigned(cycle.id),
            block_number: unsigned(cycle.block_number),
            secret_hash: secret.hash(),
        });
        request.set_timeout(QUESTION_LIMIT);
        self.scoring_client().announce_cycle(request).await.map(drop)
    }

    /// Has a cycle scored that was announced.
    pub(super) async fn call_scoring(&self, request: ScoreCycleRequest) -> Result<Scores, Status> {
        // Said to scoring too: it gives up before Postgres ends the lock of a process that stands still, and somebody else may cancel.
        let mut request = Request::new(request);
        request.set_timeout(SCORING_LIMIT);
        let answer = self.scoring_client().score_cycle(request).await?.into_inner();
        answer
            .scores
            .ok_or_else(|| Status::internal("scoring answered without scores; check that it is of this version"))
    }

    /// The scores of the cycle if scoring has them, whatever became of its answer.
    pub(super) async fn scores_of(&self, cycle: &CycleRow) -> Result<Option<Scores>, Status> {
        let mut request = Request::new(GetScoresRequest { cycle_id: Some(unsigned(cycle.id)) });
        request.set_timeout(QUESTION_LIMIT);
        match self.scoring_client().get_scores(request).await {
            Ok(scores) => Ok(Some(scores.into_inner())),
            Err(status) if status.code() == Code::NotFound => Ok(None),
            Err(status) => Err(status),
        }
    }
}

/// The secret of a stored cycle.
pub fn secret(cycle: &CycleRow) -> Result<CycleSecret, CycleError> {
    <[u8; 32]>::try_from(cycle.secret.as_slice())
        .map(CycleSecret::from_bytes)
        .map_err(|_| CycleError::Corrupt(format!("the secret of cycle {} has not 32 bytes", cycle.id)))
}

/// The same at every try, to the last bit.
pub(super) async fn score_request(
    connection: &mut PgConnection,
    cycle: &CycleRow,
    end: CycleState,
    tallies: &[Tallied],
    slow: &BTreeSet<MinerUid>,
) -> Result<ScoreCycleRequest, CycleError> {
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
        evidence: Some(Evidence {
            min_played_share: cycle.min_played_share,
            min_miner_share: cycle.min_miner_share,
            slow_uids: slow.iter().map(|uid| u32::from(uid.0)).collect(),
        }),
        secret: hex::encode(secret(cycle)?.as_bytes()),
    })
}
