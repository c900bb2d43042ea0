//! A deployment of scheduling over real stores, with neighbours that the test directs.

#![allow(dead_code, reason = "each test binary uses a part")]

pub mod neighbours;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use kinitro_chassis::Supervisor;
use kinitro_proto::scheduling::v1::{
    CompleteTasksRequest, Cycle, GetCycleRequest, LeaseTasksRequest, StartCycleRequest, Task, TaskResult,
    scheduling_service_client::SchedulingServiceClient,
};
use kinitro_scheduling::Config;
use neighbours::{Neighbour, Script, miner};
use sqlx::{Connection as _, PgConnection};
use tokio::net::TcpListener;
use tonic::{Status, transport::Channel};

pub type Client = SchedulingServiceClient<Channel>;

pub struct Deployment {
    pub config: Config,
    pub script: Arc<Script>,
    pub ingestion: Neighbour,
    pub scoring: Neighbour,
}

/// One running process of scheduling, so to speak.
pub struct Replica {
    pub client: Client,
    pub address: SocketAddr,
    supervisor: Supervisor,
}

impl Deployment {
    /// Stores and neighbours with so many active miners; cycles on demand, two episodes in one environment.
    pub async fn new(miners: u32) -> Self {
        let database_url = kinitro_stores::testing::fresh_database().await;
        Self::over(miners, database_url, kinitro_stores::testing::redis_url().await).await
    }

    /// The same over stores that the test may stop.
    pub async fn over(miners: u32, database_url: String, redis_url: String) -> Self {
        let script = Arc::new(Script::default());
        *script.miners.lock().unwrap() = (0..miners).map(miner).collect();
        let (ingestion, scoring) = (Neighbour::ingestion(&script).await, Neighbour::scoring(&script).await);
        kinitro_scheduling::migrate(&database_url).await.unwrap();
        let config = Config {
            database_url,
            redis_url,
            queue_prefix: format!("test-{}", uuid::Uuid::new_v4().simple()),
            episodes_per_env: 2,
            env_ids: Some(vec!["metaworld/push-v3".to_owned()]),
            on_demand: true,
            ingestion_url: ingestion.url(),
            scoring_url: scoring.url(),
            ..Config::default()
        };
        Self { config, script, ingestion, scoring }
    }

    pub async fn start(&self) -> Replica {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let supervisor = Supervisor::new();
        kinitro_scheduling::start(self.config.clone(), &kinitro_chassis::MeshAccess::default(), listener, &supervisor)
            .await
            .unwrap();
        let client = SchedulingServiceClient::connect(format!("http://{address}")).await.unwrap();
        Replica { client, address, supervisor }
    }

    /// A look into the database, and a hand where a test needs one.
    pub async fn postgres(&self) -> PgConnection {
        PgConnection::connect(&self.config.database_url).await.unwrap()
    }
}

impl Replica {
    pub async fn start_cycle(&mut self) -> Result<Cycle, Status> {
        self.client.start_cycle(StartCycleRequest::default()).await.map(tonic::Response::into_inner)
    }

    pub async fn cycle(&mut self, cycle_id: Option<u64>) -> Result<Cycle, Status> {
        self.client.get_cycle(GetCycleRequest { cycle_id }).await.map(tonic::Response::into_inner)
    }

    pub async fn lease(&mut self, batch_size: u32) -> Vec<Task> {
        let request = LeaseTasksRequest {
            executor_id: "executor-1".to_owned(),
            batch_size: Some(batch_size),
            wait_ms: 10_000,
            ..LeaseTasksRequest::default()
        };
        self.client.lease_tasks(request).await.unwrap().into_inner().tasks
    }

    /// What can be leased at once.
    pub async fn lease_now(&mut self, batch_size: u32) -> Vec<Task> {
        let request = LeaseTasksRequest {
            executor_id: "executor-1".to_owned(),
            batch_size: Some(batch_size),
            ..LeaseTasksRequest::default()
        };
        self.client.lease_tasks(request).await.unwrap().into_inner().tasks
    }

    /// Leases until there is work, whatever the answers are meanwhile.
    pub async fn lease_in_spite_of_outages(&mut self) -> Vec<Task> {
        for _ in 0..600 {
            let request = LeaseTasksRequest { executor_id: "executor-1".to_owned(), ..LeaseTasksRequest::default() };
            match self.client.lease_tasks(request).await {
                Ok(response) if !response.get_ref().tasks.is_empty() => return response.into_inner().tasks,
                Ok(_) => {}
                Err(status) => assert_eq!(status.code(), tonic::Code::Unavailable, "{status:?}"),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("no work came back");
    }

    pub async fn complete(&mut self, results: Vec<TaskResult>) {
        let count = results.len() as u32;
        let request = CompleteTasksRequest { executor_id: "executor-1".to_owned(), results, trajectory_hashes: false };
        let response = self.client.complete_tasks(request).await.unwrap().into_inner();
        assert_eq!(response.accepted, count, "{:?}", response.errors);
    }

    /// Leases everything there is, however often, and completes it.
    pub async fn play(&mut self, mut verdict: impl FnMut(&Task) -> TaskResult, tasks: usize) {
        let mut played = 0;
        while played < tasks {
            let leased = self.lease(100).await;
            assert!(!leased.is_empty(), "no work although {played} of {tasks} are played");
            played += leased.len();
            let results = leased.iter().map(&mut verdict).collect();
            self.complete(results).await;
        }
    }

    pub async fn wait_for(&mut self, cycle_id: u64, state: &str) -> Cycle {
        for _ in 0..600 {
            let cycle = self.cycle(Some(cycle_id)).await.unwrap();
            if cycle.status == state {
                return cycle;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("cycle {cycle_id} never came to {state}: {:?}", self.cycle(Some(cycle_id)).await);
    }

    /// The first cycle, started by the timer.
    pub async fn wait_for_cycle(&mut self) -> Cycle {
        self.wait_for_cycle_after(0).await
    }

    pub async fn wait_for_cycle_after(&mut self, id: u64) -> Cycle {
        for _ in 0..600 {
            match self.cycle(None).await {
                Ok(cycle) if cycle.id > id => return cycle,
                _ => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
        panic!("no cycle was started after {id}");
    }

    /// As after SIGTERM.
    pub async fn drain(self) {
        drop(self.client);
        self.supervisor.shutdown();
        self.supervisor.join(Duration::from_secs(20)).await.unwrap();
    }
}

fn result(task: &Task) -> TaskResult {
    TaskResult {
        task_uuid: task.task_uuid.clone(),
        attempt: task.attempt,
        timesteps: 100,
        duration_seconds: 1.0,
        policy_seconds: 0.5,
        simulation_seconds: Some(0.25),
        render_seconds: Some(0.125),
        queue_seconds: Some(0.0625),
        policy_p50_seconds: Some(0.004),
        policy_p99_seconds: Some(0.009),
        policy_max_seconds: Some(0.01),
        ..TaskResult::default()
    }
}

pub fn success(task: &Task) -> TaskResult {
    let verdict = "success".to_owned();
    TaskResult {
        success: true,
        score: 1.0,
        total_reward: 10.0,
        verdict,
        cause: "environment".to_owned(),
        ..result(task)
    }
}

pub fn failure(task: &Task) -> TaskResult {
    TaskResult { total_reward: 1.0, verdict: "failure".to_owned(), cause: "step_limit".to_owned(), ..result(task) }
}

pub fn unreachable(task: &Task) -> TaskResult {
    TaskResult {
        verdict: "infrastructure_fault".to_owned(),
        cause: "policy_unreachable".to_owned(),
        error: Some("connection refused".to_owned()),
        ..result(task)
    }
}

/// The reason that an error carries for programs.
pub fn reason(status: &Status) -> String {
    kinitro_chassis::ErrorInfo::from_status(status).map(|info| info.reason).unwrap_or_default()
}
