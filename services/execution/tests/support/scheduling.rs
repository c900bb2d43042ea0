//! Scheduling in memory, with the rules of the real one: leases carry attempts, an infrastructure fault gives a task back, the first
//! completion counts.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use kinitro_proto::scheduling::v1::{
    scheduling_service_server::{SchedulingService, SchedulingServiceServer},
    *,
};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status};

#[derive(Default)]
pub struct Table {
    pub pending: VecDeque<Task>,
    /// By task: the attempt that holds it.
    pub leased: BTreeMap<String, (u32, Task)>,
    /// Each result that was accepted, and those of faults that gave a task back.
    pub completed: Vec<TaskResult>,
    pub given_back: Vec<TaskResult>,
    pub released: Vec<Lease>,
    /// Of these, the tasks whose policy may have seen an observation.
    pub shown: Vec<String>,
    /// Results for tasks that were completed before.
    pub again: usize,
    /// Tasks that the next heartbeats call lost.
    pub lost: BTreeSet<String>,
    pub heartbeats: BTreeMap<String, usize>,
    /// How many `CompleteTasks` calls are still refused.
    pub refuse_completions: usize,
    pub lease_calls: usize,
    /// Lease calls that did not say that heartbeats follow, and completions that did not say that hashes are there.
    pub unannounced: usize,
    pub largest_request: u32,
    pub env_ids: BTreeSet<String>,
    /// Whether it leases tasks of miners that the executor said are full.
    pub ignores_full_miners: bool,
}

impl Table {
    /// Takes what may be leased out of the queue, in order.
    fn take(&mut self, request: &LeaseTasksRequest) -> Vec<Task> {
        let batch = request.batch_size.unwrap_or(10) as usize;
        let (mut taken, mut left) = (Vec::new(), VecDeque::new());
        let mut of_miner: BTreeMap<u32, u32> = BTreeMap::new();
        for task in self.pending.drain(..) {
            let count = of_miner.entry(task.miner_uid).or_default();
            let full = request.full_miner_uids.contains(&task.miner_uid)
                || (request.max_per_miner > 0 && *count >= request.max_per_miner);
            if taken.len() < batch && (self.ignores_full_miners || !full) {
                *count += 1;
                taken.push(task);
            } else {
                left.push_back(task);
            }
        }
        self.pending = left;
        taken
    }
}

/// A handle on it; clones share everything.
#[derive(Clone)]
pub struct Scheduling {
    pub address: SocketAddr,
    table: Arc<Mutex<Table>>,
}

impl Scheduling {
    pub async fn start() -> Self {
        Self::at(TcpListener::bind("127.0.0.1:0").await.unwrap())
    }

    pub fn at(listener: TcpListener) -> Self {
        let double = Self { address: listener.local_addr().unwrap(), table: Arc::default() };
        let service = SchedulingServiceServer::new(double.clone());
        tokio::spawn(async move {
            let incoming = TcpListenerStream::new(listener);
            tonic::transport::Server::builder().add_service(service).serve_with_incoming(incoming).await.unwrap();
        });
        double
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap()
    }

    /// Puts a task up, of the miner with the uid 7.
    pub fn put(&self, env_id: &str, endpoint: &str, seed: u32) -> String {
        self.put_of(7, env_id, endpoint, seed)
    }

    /// Puts a task of a miner up.
    pub fn put_of(&self, miner_uid: u32, env_id: &str, endpoint: &str, seed: u32) -> String {
        let task_uuid = uuid::Uuid::now_v7().to_string();
        let task = Task {
            task_uuid: task_uuid.clone(),
            cycle_id: 1,
            miner_uid,
            miner_hotkey: "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY".to_owned(),
            miner_endpoint: endpoint.to_owned(),
            env_id: env_id.to_owned(),
            seed,
            status: "assigned".to_owned(),
            ..Task::default()
        };
        self.table().pending.push_back(task);
        task_uuid
    }

    pub fn completed(&self) -> usize {
        self.table().completed.len()
    }
}

const LEASE_SECONDS: u32 = 1;

#[tonic::async_trait]
impl SchedulingService for Scheduling {
    async fn lease_tasks(&self, request: Request<LeaseTasksRequest>) -> Result<Response<LeaseTasksResponse>, Status> {
        let request = request.into_inner();
        let batch = request.batch_size.unwrap_or(10);
        let wait_until = tokio::time::Instant::now() + Duration::from_millis(request.wait_ms.into());
        self.table().lease_calls += 1;
        self.table().unannounced += usize::from(!request.heartbeats);
        loop {
            {
                let mut table = self.table();
                table.largest_request = table.largest_request.max(batch);
                table.env_ids.extend(request.env_ids.iter().cloned());
                let mut tasks = table.take(&request);
                if !tasks.is_empty() || tokio::time::Instant::now() >= wait_until {
                    for task in &mut tasks {
                        task.attempt += 1;
                        table.leased.insert(task.task_uuid.clone(), (task.attempt, task.clone()));
                    }
                    let total_pending = table.pending.len() as u32;
                    return Ok(Response::new(LeaseTasksResponse {
                        tasks,
                        total_pending,
                        lease_seconds: LEASE_SECONDS,
                    }));
                }
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    async fn heartbeat(&self, request: Request<HeartbeatRequest>) -> Result<Response<HeartbeatResponse>, Status> {
        let mut table = self.table();
        let mut lost = Vec::new();
        for lease in request.into_inner().leases {
            *table.heartbeats.entry(lease.task_uuid.clone()).or_default() += 1;
            if table.lost.contains(&lease.task_uuid) {
                table.leased.remove(&lease.task_uuid);
                lost.push(lease.task_uuid);
            }
        }
        Ok(Response::new(HeartbeatResponse { lost, lease_seconds: LEASE_SECONDS }))
    }

    async fn complete_tasks(
        &self,
        request: Request<CompleteTasksRequest>,
    ) -> Result<Response<CompleteTasksResponse>, Status> {
        let mut table = self.table();
        if table.refuse_completions > 0 {
            table.refuse_completions -= 1;
            return Err(Status::unavailable("the database is away"));
        }
        let mut answer = CompleteTasksResponse::default();
        let request = request.into_inner();
        table.unannounced += usize::from(!request.trajectory_hashes);
        for result in request.results {
            if table.completed.iter().any(|known| known.task_uuid == result.task_uuid) {
                table.again += 1;
                answer.duplicates += 1;
                continue;
            }
            answer.accepted += 1;
            let holder = table.leased.get(&result.task_uuid).map(|(attempt, _)| *attempt);
            if result.verdict != "infrastructure_fault" {
                table.leased.remove(&result.task_uuid);
                table.completed.push(result);
            } else if holder == Some(result.attempt) {
                let (_, task) = table.leased.remove(&result.task_uuid).unwrap();
                table.pending.push_back(task);
                table.given_back.push(result);
            }
        }
        Ok(Response::new(answer))
    }

    async fn release_tasks(
        &self,
        request: Request<ReleaseTasksRequest>,
    ) -> Result<Response<ReleaseTasksResponse>, Status> {
        let mut table = self.table();
        let ReleaseTasksRequest { leases, shown_task_uuids, .. } = request.into_inner();
        table.shown.extend(shown_task_uuids);
        let mut released = 0;
        for lease in leases {
            if table.leased.get(&lease.task_uuid).is_some_and(|(attempt, _)| *attempt == lease.attempt) {
                let (_, mut task) = table.leased.remove(&lease.task_uuid).unwrap();
                // The attempt is not spent.
                task.attempt -= 1;
                table.pending.push_back(task);
                table.released.push(lease);
                released += 1;
            }
        }
        Ok(Response::new(ReleaseTasksResponse { released }))
    }

    async fn start_cycle(&self, _: Request<StartCycleRequest>) -> Result<Response<Cycle>, Status> {
        Err(not_an_executors_call())
    }
    async fn get_cycle(&self, _: Request<GetCycleRequest>) -> Result<Response<Cycle>, Status> {
        Err(not_an_executors_call())
    }
    async fn cancel_cycle(&self, _: Request<CancelCycleRequest>) -> Result<Response<Cycle>, Status> {
        Err(not_an_executors_call())
    }
    async fn list_dead_letters(
        &self,
        _: Request<ListDeadLettersRequest>,
    ) -> Result<Response<ListDeadLettersResponse>, Status> {
        Err(not_an_executors_call())
    }
    async fn requeue_dead_letters(
        &self,
        _: Request<RequeueDeadLettersRequest>,
    ) -> Result<Response<RequeueDeadLettersResponse>, Status> {
        Err(not_an_executors_call())
    }
    async fn get_task_stats(&self, _: Request<GetTaskStatsRequest>) -> Result<Response<TaskStats>, Status> {
        Err(not_an_executors_call())
    }
    async fn list_warnings(&self, _: Request<ListWarningsRequest>) -> Result<Response<ListWarningsResponse>, Status> {
        Err(not_an_executors_call())
    }
    async fn get_status(
        &self,
        _: Request<GetStatusRequest>,
    ) -> Result<Response<kinitro_proto::scheduling::v1::Status>, Status> {
        Err(not_an_executors_call())
    }
    async fn list_miners(&self, _: Request<ListMinersRequest>) -> Result<Response<ListMinersResponse>, Status> {
        Err(not_an_executors_call())
    }
    async fn list_environments(
        &self,
        _: Request<ListEnvironmentsRequest>,
    ) -> Result<Response<ListEnvironmentsResponse>, Status> {
        Err(not_an_executors_call())
    }
    async fn list_lost_attempts(
        &self,
        _: Request<ListLostAttemptsRequest>,
    ) -> Result<Response<ListLostAttemptsResponse>, Status> {
        Err(not_an_executors_call())
    }
    async fn list_timings(&self, _: Request<ListTimingsRequest>) -> Result<Response<ListTimingsResponse>, Status> {
        Err(not_an_executors_call())
    }
    async fn get_evaluation_metrics(
        &self,
        _: Request<GetEvaluationMetricsRequest>,
    ) -> Result<Response<EvaluationMetrics>, Status> {
        Err(not_an_executors_call())
    }
}

fn not_an_executors_call() -> Status {
    Status::unimplemented("no executor asks for this")
}
