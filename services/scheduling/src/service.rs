//! The gRPC face: checks what was asked for and hands it on.

use std::sync::Arc;

use kinitro_domain::CycleId;
use kinitro_proto::scheduling::v1::{
    CancelCycleRequest, CompleteTasksRequest, CompleteTasksResponse, Cycle, EvaluationMetrics, GetCycleRequest,
    GetEvaluationMetricsRequest, GetStatusRequest, GetTaskStatsRequest, HeartbeatRequest, HeartbeatResponse,
    LeaseTasksRequest, LeaseTasksResponse, ListDeadLettersRequest, ListDeadLettersResponse, ListEnvironmentsRequest,
    ListEnvironmentsResponse, ListLostAttemptsRequest, ListLostAttemptsResponse, ListMinersRequest, ListMinersResponse,
    ListTimingsRequest, ListTimingsResponse, ListWarningsRequest, ListWarningsResponse, ReleaseTasksRequest,
    ReleaseTasksResponse, RequeueDeadLettersRequest, RequeueDeadLettersResponse, StartCycleRequest, Status, TaskStats,
    scheduling_service_server::SchedulingService,
};
use tonic::{Request, Response};

use crate::{
    config::known_environments,
    cycles::{Cycles, Plan, Trigger},
    error::CycleError,
};

type Answer<T> = Result<Response<T>, tonic::Status>;

/// The service as tonic calls it.
pub struct Scheduling {
    cycles: Arc<Cycles>,
}

impl Scheduling {
    pub fn new(cycles: Arc<Cycles>) -> Self {
        Self { cycles }
    }

    /// What is asked for, and the configuration where nothing is.
    fn plan(&self, request: &StartCycleRequest) -> Result<Plan, CycleError> {
        let environments = if request.env_ids.is_empty() {
            self.cycles.environments.clone()
        } else {
            known_environments(&request.env_ids).map_err(|problem| CycleError::Invalid {
                field: "env_ids",
                problem: format!("cannot be played: {problem}"),
            })?
        };
        let episodes_per_env = match request.episodes_per_env {
            0 => self.cycles.config.episodes_per_env,
            episodes => episodes,
        };
        Plan::new(environments, episodes_per_env)
    }
}

#[tonic::async_trait]
impl SchedulingService for Scheduling {
    async fn start_cycle(&self, request: Request<StartCycleRequest>) -> Answer<Cycle> {
        let plan = self.plan(request.get_ref())?;
        let cycle = self.cycles.start(plan, Trigger::Request).await?;
        Ok(Response::new(self.cycles.describe(&cycle).await?))
    }

    async fn get_cycle(&self, request: Request<GetCycleRequest>) -> Answer<Cycle> {
        Ok(Response::new(self.cycles.get(request.get_ref().cycle_id.map(CycleId)).await?))
    }

    async fn cancel_cycle(&self, request: Request<CancelCycleRequest>) -> Answer<Cycle> {
        let cycle = self.cycles.cancel(CycleId(request.get_ref().cycle_id)).await?;
        Ok(Response::new(self.cycles.describe(&cycle).await?))
    }

    async fn lease_tasks(&self, request: Request<LeaseTasksRequest>) -> Answer<LeaseTasksResponse> {
        Ok(Response::new(self.cycles.tasks.lease(request.into_inner()).await?))
    }

    async fn heartbeat(&self, request: Request<HeartbeatRequest>) -> Answer<HeartbeatResponse> {
        Ok(Response::new(self.cycles.tasks.heartbeat(request.into_inner()).await?))
    }

    async fn complete_tasks(&self, request: Request<CompleteTasksRequest>) -> Answer<CompleteTasksResponse> {
        Ok(Response::new(self.cycles.tasks.complete(request.into_inner()).await?))
    }

    async fn release_tasks(&self, request: Request<ReleaseTasksRequest>) -> Answer<ReleaseTasksResponse> {
        Ok(Response::new(self.cycles.tasks.release(request.into_inner()).await?))
    }

    async fn list_timings(&self, request: Request<ListTimingsRequest>) -> Answer<ListTimingsResponse> {
        Ok(Response::new(self.cycles.list_timings(request.get_ref().cycle_id.map(CycleId)).await?))
    }

    async fn list_lost_attempts(&self, request: Request<ListLostAttemptsRequest>) -> Answer<ListLostAttemptsResponse> {
        Ok(Response::new(self.cycles.list_lost_attempts(request.get_ref().cycle_id.map(CycleId)).await?))
    }

    async fn list_dead_letters(&self, request: Request<ListDeadLettersRequest>) -> Answer<ListDeadLettersResponse> {
        Ok(Response::new(self.cycles.tasks.list_dead_letters(request.into_inner()).await?))
    }

    async fn requeue_dead_letters(
        &self,
        request: Request<RequeueDeadLettersRequest>,
    ) -> Answer<RequeueDeadLettersResponse> {
        Ok(Response::new(self.cycles.tasks.requeue_dead_letters(request.into_inner()).await?))
    }

    async fn get_task_stats(&self, request: Request<GetTaskStatsRequest>) -> Answer<TaskStats> {
        Ok(Response::new(self.cycles.tasks.stats(request.into_inner()).await?))
    }

    async fn list_warnings(&self, _: Request<ListWarningsRequest>) -> Answer<ListWarningsResponse> {
        let warnings = self.cycles.warnings().await?;
        Ok(Response::new(ListWarningsResponse { warnings }))
    }

    async fn get_status(&self, _: Request<GetStatusRequest>) -> Answer<Status> {
        Ok(Response::new(self.cycles.status().await?))
    }

    async fn list_miners(&self, _: Request<ListMinersRequest>) -> Answer<ListMinersResponse> {
        Ok(Response::new(self.cycles.list_miners().await?))
    }

    async fn list_environments(&self, _: Request<ListEnvironmentsRequest>) -> Answer<ListEnvironmentsResponse> {
        Ok(Response::new(self.cycles.list_environments().await?))
    }

    async fn get_evaluation_metrics(&self, _: Request<GetEvaluationMetricsRequest>) -> Answer<EvaluationMetrics> {
        Ok(Response::new(self.cycles.evaluation_metrics().await?))
    }
}
