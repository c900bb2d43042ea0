//! The calls of `scoring.proto`.

use std::{sync::Arc, time::Instant};

use kinitro_chassis::{ErrorCode, status, status_with};
use kinitro_pareto::Scheme;
use kinitro_proto::scoring::v1::{
    GetScoresRequest, GetWeightsRequest, ScoreCycleRequest, ScoreCycleResponse, Scores, Weights,
    scoring_service_server::ScoringService,
};
use metrics::{counter, describe_counter, describe_histogram, histogram};
use tonic::{Request, Response, Status};

use crate::{
    input::{Input, Invalid},
    statistics,
    store::{Store, StoreError},
};

/// The service: a store, and the scheme for new cycles.
pub(crate) struct Scoring {
    store: Store,
    scheme: Arc<Scheme>,
}

impl Scoring {
    pub fn new(store: Store, scheme: Scheme) -> Self {
        describe_counter!("kinitro_weights_published_total", "weight vectors computed and stored");
        describe_histogram!("kinitro_scoring_seconds", "time to compute the scores of one cycle");
        Self { store, scheme: Arc::new(scheme) }
    }

    /// Scores the cycle and stores the result, unless another call did so first.
    async fn score(&self, input: Input) -> Result<Input, Status> {
        let (scheme, begin) = (self.scheme.clone(), Instant::now());
        let scored = tokio::task::spawn_blocking(move || {
            scheme.score(&input.tallies).map(|scores| {
                let statistics = statistics::of(&input.tallies, &scores);
                (input, scores, statistics)
            })
        });
        let (input, scores, statistics) = scored
            .await
            .map_err(|error| {
                tracing::error!(%error, "the scheme did not finish");
                status(ErrorCode::Internal, "SCORING_FAILED", "the cycle could not be scored; see the log of scoring")
            })?
            .map_err(|error| invalid(Invalid::from(error)))?;
        let seconds = begin.elapsed().as_secs_f64();
        histogram!("kinitro_scoring_seconds").record(seconds);
        if self.store.insert(&input, &self.scheme, &scores, &statistics).await.map_err(unavailable)? {
            let scheme = self.scheme.name();
            counter!("kinitro_weights_published_total", "scheme" => scheme).increment(1);
            if let Some(burn_uid) = scores.burn {
                tracing::warn!(cycle_id = input.cycle.id, %burn_uid, "nobody earned anything: the whole weight is burnt");
            }
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

#[tonic::async_trait]
impl ScoringService for Scoring {
    async fn score_cycle(&self, request: Request<ScoreCycleRequest>) -> Result<Response<ScoreCycleResponse>, Status> {
        let mut input = Input::parse(request.into_inner()).map_err(invalid)?;
        let cycle_id = input.cycle.id;
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
