//! A running service, and a cycle for it to score.
#![allow(dead_code, reason = "every test binary uses its own part")]

use std::time::Duration;

use kinitro_chassis::{ErrorInfo, MAX_MESSAGE_BYTES, Supervisor, connect_lazy, propagate};
use kinitro_domain::CycleSecret;
use kinitro_proto::scoring::v1::{
    AnnounceCycleRequest, Cycle, Evidence, GetScoresRequest, GetWeightsRequest, MinerIdentity, ScoreCycleRequest,
    ScoreCycleResponse, Scores, Tally, Weights, scoring_service_client::ScoringServiceClient,
};
use kinitro_scoring::Config;
use kinitro_stores::testing;
use prost_types::Timestamp;
use tokio::net::TcpListener;
use tonic::{Code, Request, Status, service::interceptor::InterceptedService, transport::Channel};

type Propagate = fn(Request<()>) -> Result<Request<()>, Status>;

pub const HOTKEYS: [&str; 4] = [
    "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY",
    "5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty",
    "5FLSigC9HGRKVhB9FiEo4Y3koPsNmBmLJbpXg2mp1hXcS59Y",
    "5DAAnrj7VHTznn2AWBemMuyBwZWs6FNFjdyVXUeYum3PTXFy",
];
/// Of every cycle here.
pub const SECRET: [u8; 32] = [7; 32];

/// One running service.
pub struct Service {
    pub supervisor: Supervisor,
    pub client: ScoringServiceClient<InterceptedService<Channel, Propagate>>,
}

impl Service {
    pub async fn start(config: Config) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let channel = connect_lazy(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        let supervisor = Supervisor::new();
        kinitro_scoring::start(config, &kinitro_chassis::MeshAccess::default(), listener, &supervisor).await.unwrap();
        let client = ScoringServiceClient::with_interceptor(channel, propagate as Propagate)
            .max_decoding_message_size(MAX_MESSAGE_BYTES);
        Self { supervisor, client }
    }

    /// As scheduling does it: the cycle is announced first.
    pub async fn score(&self, request: &ScoreCycleRequest) -> Result<ScoreCycleResponse, Status> {
        self.announce(&announcement(request)).await?;
        Ok(self.client.clone().score_cycle(request.clone()).await?.into_inner())
    }

    pub async fn announce(&self, announcement: &AnnounceCycleRequest) -> Result<(), Status> {
        self.client.clone().announce_cycle(announcement.clone()).await.map(drop)
    }

    pub async fn weights(&self, block: Option<u64>) -> Result<Weights, Status> {
        Ok(self.client.clone().get_weights(GetWeightsRequest { block }).await?.into_inner())
    }

    pub async fn scores(&self, cycle_id: Option<u64>) -> Result<Scores, Status> {
        Ok(self.client.clone().get_scores(GetScoresRequest { cycle_id }).await?.into_inner())
    }

    pub async fn stop(self) {
        self.supervisor.shutdown();
        self.supervisor.join(Duration::from_secs(10)).await.unwrap();
    }
}

pub fn announcement(request: &ScoreCycleRequest) -> AnnounceCycleRequest {
    let cycle = request.cycle.as_ref().unwrap();
    let secret_hash = CycleSecret::from_bytes(SECRET).hash();
    AnnounceCycleRequest { cycle_id: cycle.id, block_number: cycle.block_number, secret_hash }
}

/// What is required by default.
pub fn evidence() -> Option<Evidence> {
    Some(Evidence { min_played_share: 0.9, min_miner_share: 0.5, ..Evidence::default() })
}

pub fn secret() -> String {
    SECRET.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub async fn fresh() -> Config {
    let database_url = testing::fresh_database().await;
    kinitro_scoring::migrate(&database_url).await.unwrap();
    Config { database_url, ..Config::default() }
}

/// The squatter of the design document, at a block and with a mean reward that has no short decimal form.
pub fn request(cycle_id: u64, block_number: u64) -> ScoreCycleRequest {
    let env_ids: Vec<String> = ["push-v3", "reach-v3", "drawer-close-v3", "assembly-v3"]
        .iter()
        .map(|name| format!("metaworld/{name}"))
        .collect();
    let tally = |uid, successes: [usize; 4]| {
        env_ids.iter().zip(successes).map(move |(env_id, successes)| Tally {
            uid,
            env_id: env_id.clone(),
            outcomes: format!("{:0<49}-", "1".repeat(successes)),
            mean_reward: 0.1 + 0.2 + f64::from(uid) / 3.0,
        })
    };
    ScoreCycleRequest {
        cycle: Some(Cycle {
            id: cycle_id,
            block_number,
            status: "completed".to_owned(),
            started_at: Some(Timestamp { seconds: 1_700_000_000, nanos: 123_456_000 }),
            completed_at: Some(Timestamp { seconds: 1_700_000_120, nanos: 999_999_000 }),
            n_miners: 2,
            n_environments: 4,
            duration_seconds: 120.1 + 0.2,
        }),
        miners: vec![
            MinerIdentity { uid: 42, hotkey: HOTKEYS[1].to_owned(), first_commit_block: 20 },
            MinerIdentity { uid: 7, hotkey: HOTKEYS[0].to_owned(), first_commit_block: 10 },
        ],
        tallies: tally(42, [44, 44, 44, 0]).chain(tally(7, [0, 0, 0, 0])).collect(),
        env_ids,
        evidence: evidence(),
        secret: secret(),
    }
}

/// Code and reason of a refusal.
pub fn refusal<T>(result: Result<T, Status>) -> (Code, String) {
    let Err(status) = result else { panic!("expected an error") };
    (status.code(), ErrorInfo::from_status(&status).unwrap().reason)
}
