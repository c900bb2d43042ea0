//! A policy and a scheduling service to test an executor with: the first plays as it is told, the second speaks the real protocol.
#![allow(dead_code, reason = "each test binary uses a part")]

pub mod policy;
pub mod scheduling;

use std::{net::SocketAddr, time::Duration};

use kinitro_chassis::{Supervisor, SupervisorError};
use kinitro_execution::{Config, Error, WorkerCommand};
use kinitro_proto::execution::v1::execution_service_client::ExecutionServiceClient;
use tokio::net::TcpListener;
use tonic::transport::Channel;
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};

pub const ENVIRONMENTS: [&str; 3] = ["metaworld/reach-v3", "metaworld/push-v3", "metaworld/drawer-close-v3"];

/// The process of a family.
pub const WORKER: &str = env!("CARGO_BIN_EXE_kinitro-family");

/// A running executor.
pub struct Executor {
    pub client: ExecutionServiceClient<Channel>,
    pub address: SocketAddr,
    pub supervisor: Supervisor,
}

/// Quick, blind, and allowed to call loopback; patient with policies, because a test machine may be busy.
pub fn config(scheduling_url: &str) -> Config {
    Config {
        scheduling_url: Some(scheduling_url.to_owned()),
        executor_id: Some("executor-under-test".to_owned()),
        poll_interval_seconds: 0.2,
        max_timesteps: 10,
        action_timeout: 20.0,
        eval_timeout: 120.0,
        use_images: false,
        allow_private_endpoints: true,
        drain_seconds: 20.0,
        simulation_threads: 2,
        ..Config::default()
    }
}

/// A port where nobody listens.
pub async fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

impl Executor {
    pub async fn start(config: Config) -> Self {
        Self::start_with(config, WorkerCommand::new(WORKER)).await.unwrap()
    }

    /// With another program for the processes of its families.
    pub async fn start_with(config: Config, worker: WorkerCommand) -> Result<Self, Error> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let supervisor = Supervisor::new();
        kinitro_execution::start(config, worker, &kinitro_chassis::MeshAccess::default(), listener, &supervisor)
            .await?;
        let client = ExecutionServiceClient::connect(format!("http://{address}")).await.unwrap();
        Ok(Self { client, address, supervisor })
    }

    /// One without anything to lease from.
    pub async fn alone(change: impl FnOnce(&mut Config)) -> Self {
        let mut config = config(&format!("http://{}", free_address().await));
        change(&mut config);
        Self::start(config).await
    }

    /// Waits until its health says so of a part, or with no name of the whole.
    pub async fn says(&self, part: &str, expected: ServingStatus) {
        let channel = Channel::from_shared(format!("http://{}", self.address)).unwrap().connect_lazy();
        let mut health = HealthClient::new(channel);
        let asked = async {
            loop {
                let request = HealthCheckRequest { service: part.to_owned() };
                if health.check(request).await.is_ok_and(|answer| answer.get_ref().status() == expected) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let said = tokio::time::timeout(Duration::from_secs(60), asked).await;
        assert!(said.is_ok(), "waited in vain for {part:?} to be {expected:?}");
    }

    pub async fn stop(self) -> Result<(), SupervisorError> {
        drop(self.client);
        self.supervisor.shutdown();
        self.supervisor.join(Duration::from_secs(60)).await
    }
}

/// Waits for a state that must come. A test that waits in vain ends with what it waited for.
pub async fn until(what: &str, mut reached: impl FnMut() -> bool) {
    let waiting = async {
        while !reached() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(60), waiting).await.is_ok(), "waited in vain for: {what}");
}
