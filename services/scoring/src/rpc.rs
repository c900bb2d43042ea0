//! The calls of `scoring.proto`.

use std::{sync::Arc, time::Instant};

use kinitro_chassis::{ErrorCode, status, status_with};
use kinitro_pareto::Scheme;
use kinitro_proto::scoring::v1::{
    AnnounceCycleRequest, AnnounceCycleResponse, GetScoresRequest, GetWeightsRequest, ScoreCycleRequest,
    ScoreCycleResponse, Scores, Weights, scoring_service_server::ScoringService,
};
use metrics::{counter, describe_counter, describe_histogram, histogram};
use tonic::{Request, Response, Status};

use crate::{
    announced::Announcement,
    input::{Input, Invalid},
    no_success::WithoutSuccess,
    publish::{MAX_IN_A_ROW, Publication, publish},
    store::{Store, StoreError},
};

/// The service: a store, and the rules for new cycles.
pub(crate) struct Scoring {
    store: Store,
    scheme: Arc<Scheme>,
    without_success: WithoutSuccess,
}

impl Scoring {
    pub fn new(store: Store, scheme: Scheme, without_success: WithoutSuccess) -> Self {
        describe_counter!("kinitro_weights_published_total", "weight vectors computed and stored");
        describe_counter!("kinitro_weights_kept_total", "scored cycles after which the weights of before stand");
        describe_counter!(
            "kinitro_miners_not_evaluated_total",
            "miners of scored cycles of whose episodes too few could be played"
        );
        describe_histogram!("kinitro_scoring_seconds", "time to compute the scores of one cycle");
        Self { store, scheme: Arc::new(scheme), without_success }
    }

    /// Scores the cycle and stores the result, unless another call did so first.
    async fn score(&self, input: Input) -> Result<Input, Status> {
        self.store.issued(&input).await.map_err(unavailable)?.map_err(|refusal| {
            tracing::error!(cycle_id = input.cycle.id, error = %refusal, "a cycle is not scored");
            status(ErrorCode::FailedPrecondition, refusal.reason(), refusal.to_string())
        })?;
        let previous = self.store.previous(input.cycle.id).await.map_err(unavailable)?;
        let (scheme, without_success, begin) = (self.scheme.clone(), self.without_success, Instant::now());
        let scored = tokio::task::spawn_blocking(move || {
            publish(&scheme, without_success, &input, previous.as_ref())
                .map(|publication| (input, publication, previous))
        });
        let (input, publication, previous) = scored
            .await
            .map_err(|error| {
                tracing::error!(%error, "the scheme did not finish");
                status(ErrorCode::Internal, "SCORING_FAILED", "the cycle could not be scored; see the log of scoring")
            })?
            .map_err(invalid)?;
        let seconds = begin.elapsed().as_secs_f64();
        histogram!("kinitro_scoring_seconds").record(seconds);
        let inserted = self.store.insert(&input, &self.scheme, &publication, previous.as_ref()).await;
        if inserted.map_err(unavailable)? {
            let scheme = self.scheme.name();
            tell(&input, scheme, &publication);
            let scores = &publication.scores;
            tracing::info!(
                cycle_id = input.cycle.id,
                block_number = input.cycle.block_number,
                miners = scores.miners.len(),
                environments = input.tallies.environments().len(),
                scheme,
                seconds,
                "cycle scored"
            );
        }
        Ok(input)
    }
}

/// What an operator must see of a cycle that was scored.
fn tell(input: &Input, scheme: &'static str, publication: &Publication) {
    let cycle_id = input.cycle.id;
    match publication.kept {
        None => counter!("kinitro_weights_published_total", "scheme" => scheme).increment(1),
        Some(reason) => {
            counter!("kinitro_weights_kept_total").increment(1);
            tracing::warn!(cycle_id, reason, "the cycle publishes no weights: those of before stand");
        }
    }
    if let (Some(burn_uid), None) = (publication.scores.burn, publication.kept) {
        tracing::warn!(cycle_id, %burn_uid, "no miner earned anything: the whole weight is burnt");
    }
    for (uid, cycles_in_a_row) in &publication.not_evaluated {
        counter!("kinitro_miners_not_evaluated_total").increment(1);
        let keeps_weight = *cycles_in_a_row <= MAX_IN_A_ROW;
        tracing::warn!(cycle_id, %uid, cycles_in_a_row, keeps_weight, "a miner is not evaluated: too few of its episodes could be played");
    }
}

#[tonic::async_trait]
impl ScoringService for Scoring {
    async fn announce_cycle(
        &self,
        request: Request<AnnounceCycleRequest>,
    ) -> Result<Response<AnnounceCycleResponse>, Status> {
        let announcement = Announcement::parse(request.get_ref()).map_err(invalid)?;
        if self.store.announce(&announcement).await.map_err(unavailable)? {
            return Ok(Response::new(AnnounceCycleResponse {}));
        }
        let cycle_id = announcement.cycle_id;
        let message = format!("cycle {cycle_id} was announced with another block or secret; what is stored stays");
        Err(status(ErrorCode::AlreadyExists, "CYCLE_ANNOUNCED_DIFFERENTLY", message))
    }

    async fn score_cycle(&self, request: Request<ScoreCycleRequest>) -> Result<Response<ScoreCycleResponse>, Status> {
        let mut input = Input::parse(request.into_inner()).map_err(invalid)?;
        let cycle_id = input.cycle.id;
        if input.required.is_none() {
            let problem = "missing: it says what had to be played; update scheduling";
            return Err(invalid(Invalid::new("evidence", problem)));
        }
        let mut stored = self.store.fingerprint(cycle_id).await.map_err(unavailable)?;
        if stored.is_none() {
            input = self.score(input).await?;
            stored = self.store.fingerprint(cycle_id).await.map_err(unavailable)?;
        }
        if stored.as_deref() != Some(&input.fingerprint) {
            return Err(status(
                ErrorCode::AlreadyExists,
                "CYCLE_SCORED_DIFFERENTLY",
                format!("cycle {cycle_id} was scored with other tallies; what is stored stays"),
            ));
        }
        let scores = self.store.scores(Some(cycle_id)).await.map_err(unavailable)?;
        let weights = self.store.weights_of_cycle(cycle_id).await.map_err(unavailable)?;
        Ok(Response::new(ScoreCycleResponse { scores, weights }))
    }

    async fn get_weights(&self, request: Request<GetWeightsRequest>) -> Result<Response<Weights>, Status> {
        let block = request.into_inner().block;
        let weights = self.store.weights(block).await.map_err(unavailable)?;
        weights.map(Response::new).ok_or_else(|| {
            let message = match block {
                Some(block) => format!("no weights were computed at block {block}"),
                None => "no weights were computed yet".to_owned(),
            };
            status(ErrorCode::NotFound, "WEIGHTS_NOT_FOUND", message)
        })
    }

    async fn get_scores(&self, request: Request<GetScoresRequest>) -> Result<Response<Scores>, Status> {
        let cycle_id = request.into_inner().cycle_id;
        let scores = self.store.scores(cycle_id).await.map_err(unavailable)?;
        scores.map(Response::new).ok_or_else(|| {
            let message = match cycle_id {
                Some(cycle_id) => format!("cycle {cycle_id} was not scored"),
                None => "no cycle was scored yet".to_owned(),
            };
            status(ErrorCode::NotFound, "SCORES_NOT_FOUND", message)
        })
    }
}

fn invalid(invalid: Invalid) -> Status {
    status_with(ErrorCode::InvalidArgument, "INVALID_ARGUMENT", invalid.to_string(), [("field", invalid.field)])
}

/// The log has the cause; the caller learns whether trying again can help.
fn unavailable(error: StoreError) -> Status {
    tracing::error!(%error, "a query failed");
    match error {
        StoreError::Unavailable(_) => status(
            ErrorCode::Unavailable,
            "DATABASE_UNAVAILABLE",
            "scoring cannot reach its tables in postgres; try again",
        ),
        StoreError::Failed(_) | StoreError::Parameters(_) | StoreError::Statistics(_) => {
            status(ErrorCode::Internal, "DATABASE_FAILED", "a query failed; see the log of scoring")
        }
    }
}
