//! `kinitro.execution.v1.ExecutionService`: an executor as people debug it.

use std::sync::Arc;

use kinitro_chassis::{ErrorCode, status};
use kinitro_commitment::{Endpoint, EndpointError};
use kinitro_domain::{Cause, EnvId, Verdict};
use kinitro_proto::execution::v1::{
    DrainRequest, DrainResponse, Environment, EpisodeResult, EpisodeTiming, ListEnvironmentsRequest,
    ListEnvironmentsResponse, RunEpisodeRequest, execution_service_server::ExecutionService,
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use crate::{
    engine::Engine,
    episode::{Plan, Report},
    family::Ended,
    leasing::Drained,
};

/// The implementation of the service.
pub(crate) struct Execution {
    pub(crate) engine: Arc<Engine>,
    pub(crate) max_timesteps: u32,
    pub(crate) images: bool,
    pub(crate) drained: watch::Receiver<Option<Drained>>,
}

#[tonic::async_trait]
impl ExecutionService for Execution {
    async fn run_episode(&self, request: Request<RunEpisodeRequest>) -> Result<Response<EpisodeResult>, Status> {
        let RunEpisodeRequest { env_id, seed, endpoint, max_timesteps, use_images } = request.into_inner();
        let invalid = |message: String| status(ErrorCode::InvalidArgument, "INVALID_FIELD", message);
        let env_id: EnvId = env_id.parse().map_err(|error| invalid(format!("env_id: {error}")))?;
        let family = self.engine.family(&env_id);
        let Some((family, limit)) = family.and_then(|family| Some((family, family.limit(&env_id)?))) else {
            return Err(invalid(format!("env_id: this executor does not play `{env_id}`")));
        };
        let endpoint: Endpoint =
            endpoint.parse().map_err(|error: EndpointError| invalid(format!("endpoint: {error}")))?;
        let max_timesteps = if max_timesteps == 0 { self.max_timesteps } else { max_timesteps }.min(limit);
        let images = use_images.unwrap_or(self.images);
        let plan = Plan {
            env_id,
            seed,
            endpoint,
            address: None,
            entrant: None,
            max_timesteps,
            images,
            task_uuid: String::new(),
        };

        if self.engine.stop.is_cancelled() {
            return Err(draining());
        }
        if !family.slots.is_open() {
            return Err(restarting(&family.name));
        }
        let _slot = family.slots.try_take().ok_or_else(|| {
            status(ErrorCode::ResourceExhausted, "NO_FREE_SLOT", "every slot plays an episode; try again later")
        })?;
        // Tracked, so that a drain waits for it too; dropped with this call when the caller goes away.
        let never = CancellationToken::new();
        let playing = family.begin(&plan).ok_or_else(|| restarting(&family.name))?;
        let playing = playing.ended(|| (), &never, &self.engine.abort);
        let report = match self.engine.running.track_future(playing).await {
            Ended::Played(report) => report,
            Ended::Stopped => return Err(draining()),
        };
        if report.cause == Cause::EndpointRefused {
            return Err(invalid(format!("endpoint: {}", report.evidence)));
        }
        Ok(Response::new(result(report)))
    }

    async fn list_environments(
        &self,
        _: Request<ListEnvironmentsRequest>,
    ) -> Result<Response<ListEnvironmentsResponse>, Status> {
        let environments =
            self.engine.families.iter().flat_map(|family| &family.environments).map(|(env_id, limit)| Environment {
                env_id: env_id.to_string(),
                family: env_id.family().to_owned(),
                max_timesteps: (*limit).min(self.max_timesteps),
            });
        Ok(Response::new(ListEnvironmentsResponse { environments: environments.collect() }))
    }

    async fn drain(&self, _: Request<DrainRequest>) -> Result<Response<DrainResponse>, Status> {
        self.engine.stop.cancel();
        let mut drained = self.drained.clone();
        let outcome = drained.wait_for(Option::is_some).await.ok().and_then(|outcome| *outcome);
        let Drained { episodes_finished, leases_returned } = outcome.ok_or_else(draining)?;
        Ok(Response::new(DrainResponse { episodes_finished, leases_returned }))
    }
}

fn draining() -> Status {
    status(ErrorCode::Unavailable, "DRAINING", "this executor drains and starts no episodes; ask another one")
}

fn restarting(family: &str) -> Status {
    let message = format!("the simulation process of family {family} is being started again; try again in a moment");
    status(ErrorCode::Unavailable, "FAMILY_RESTARTING", message)
}

fn result(report: Report) -> EpisodeResult {
    let verdict = report.cause.verdict();
    EpisodeResult {
        verdict: verdict.to_string(),
        cause: report.cause.to_string(),
        evidence: report.evidence,
        success: verdict == Verdict::Success,
        total_reward: report.total_reward,
        timesteps: report.timesteps,
        trajectory_hash: report.trajectory_hash,
        timing: Some(EpisodeTiming {
            total_seconds: report.timing.total,
            policy_seconds: report.timing.policy,
            simulation_seconds: report.timing.simulation,
            render_seconds: report.timing.render,
            queue_seconds: report.timing.queue,
            policy_p50_seconds: report.timing.policy_p50,
            policy_p99_seconds: report.timing.policy_p99,
            policy_max_seconds: report.timing.policy_max,
        }),
    }
}
