//! A backend without an executor, and the chain that it reads.

use std::{
    net::SocketAddr,
    pin::pin,
    sync::LazyLock,
    time::{Duration, Instant},
};

use kinitro_chain::{ChainClient, Signer, Wait};
use kinitro_chassis::{MeshAccess, MeshChannel, MeshToken, Supervisor, SupervisorError};
use kinitro_devchain::{Devchain, NeuronSeed, RpcServer};
use kinitro_proto::scheduling::v1::{
    Cycle, GetCycleRequest, StartCycleRequest, scheduling_service_client::SchedulingServiceClient,
};
use reqwest::Method;
use serde_json::json;
use tokio::{net::TcpListener, runtime::Runtime, task::JoinHandle, time::sleep};

use crate::wire::{Answer, ask};

/// The gateway's key.
pub const KEY: &str = "the-key-of-the-contract";
const NETUID: u16 = 7;
/// For anything that must happen at all; no test depends on how soon.
const PATIENCE: Duration = Duration::from_secs(120);

/// Several tests look at the same backend, so it runs apart from any of them.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().unwrap());

/// Runs a test.
pub fn run<T>(test: impl Future<Output = T>) -> T {
    RUNTIME.block_on(test)
}

/// What the house is to be.
#[derive(Default)]
pub struct Plan {
    /// How many are registered; the hotkey of uid 9 is that of `//miner9`.
    pub miners: u16,
    /// What cycles play.
    pub env_ids: &'static [&'static str],
    /// The key for sealed endpoints, hex.
    pub private_key: Option<String>,
}

/// The backend and its chain.
pub struct House {
    pub gateway: SocketAddr,
    chain: Devchain,
    node: RpcServer,
    client: ChainClient,
    scheduling_url: String,
    access: MeshAccess,
    services: Vec<Service>,
}

struct Service {
    name: &'static str,
    supervisor: Supervisor,
    ended: JoinHandle<Result<(), SupervisorError>>,
}

impl House {
    pub async fn build(plan: Plan) -> Self {
        let neurons = (0..plan.miners).map(|uid| NeuronSeed { uid: Some(uid), ..NeuronSeed::new(uri(uid)) });
        let chain = Devchain::new(&kinitro_devchain::Config {
            netuid: NETUID,
            block_ms: 0,
            control: true,
            neurons: neurons.collect(),
            ..Default::default()
        })
        .unwrap();
        // Past the blocks that are final from the beginning.
        chain.advance(5).unwrap();
        let node = chain.serve(bind().await).unwrap();
        let client = ChainClient::new(&node.url()).unwrap();

        let database_url = kinitro_stores::testing::fresh_database().await;
        kinitro_ingestion::migrate(&database_url).await.unwrap();
        kinitro_scheduling::migrate(&database_url).await.unwrap();
        kinitro_scoring::migrate(&database_url).await.unwrap();
        let (ingestion, scheduling, scoring, gateway) = (bind().await, bind().await, bind().await, bind().await);
        let (ingestion_url, scheduling_url, scoring_url) = (url(&ingestion), url(&scheduling), url(&scoring));
        let token = MeshToken::new(&uuid::Uuid::new_v4().simple().to_string(), "the test").unwrap();
        let access = MeshAccess::default().with_token(token);
        let mut house = Self {
            gateway: gateway.local_addr().unwrap(),
            chain,
            node,
            client,
            scheduling_url: scheduling_url.clone(),
            access: access.clone(),
            services: Vec::new(),
        };

        let config = kinitro_ingestion::Config {
            database_url: database_url.clone(),
            network: house.node.url(),
            netuid: NETUID,
            backend_private_key: plan.private_key,
            ..Default::default()
        };
        kinitro_ingestion::start(config, &access, ingestion, &house.begin("ingestion")).await.unwrap();
        let config = kinitro_scoring::Config { database_url: database_url.clone(), ..Default::default() };
        kinitro_scoring::start(config, &access, scoring, &house.begin("scoring")).await.unwrap();
        let config = kinitro_scheduling::Config {
            database_url,
            redis_url: kinitro_stores::testing::redis_url().await,
            queue_prefix: format!("rest-{}", uuid::Uuid::new_v4().simple()),
            env_ids: Some(plan.env_ids.iter().map(|id| (*id).to_owned()).collect()),
            on_demand: true,
            ingestion_url: ingestion_url.clone(),
            scoring_url: scoring_url.clone(),
            ..Default::default()
        };
        kinitro_scheduling::start(config, &access, scheduling, &house.begin("scheduling")).await.unwrap();
        let config = kinitro_gateway::Config {
            api_key: Some(KEY.to_owned()),
            ingestion_url,
            scheduling_url,
            scoring_url,
            ..Default::default()
        };
        kinitro_gateway::start(config, &access, gateway, &house.begin("gateway")).await.unwrap();
        house.finalize().await;
        house.get_when("/health", "the whole is well", |answer| answer.body.contains(r#""chain":"connected""#)).await;
        house
    }

    /// Signs and submits a commitment for a uid; it is in the next block, whatever the machine's speed.
    pub async fn commit(&self, uid: u16, data: &[u8]) {
        let signer = Signer::from_uri(&uri(uid)).unwrap();
        let head = self.chain.best_number();
        let mut submitted = pin!(self.client.set_commitment(&signer, NETUID, data, Wait::Inclusion));
        let receipt = loop {
            tokio::select! {
                receipt = &mut submitted => break receipt.unwrap(),
                () = sleep(Duration::from_millis(5)) => {}
            }
            if self.chain.best_number() == head && self.has_waiting_transactions().await {
                self.chain.advance(1).unwrap();
            }
        };
        assert_eq!(receipt.block.number.0, u64::from(head) + 1);
    }

    async fn has_waiting_transactions(&self) -> bool {
        let request = json!({"jsonrpc": "2.0", "id": 1, "method": "author_pendingExtrinsics", "params": []});
        let node = self.node.url().replace("ws://", "http://");
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let answer: serde_json::Value = client.post(node).json(&request).send().await.unwrap().json().await.unwrap();
        !answer["result"].as_array().unwrap().is_empty()
    }

    /// Makes blocks until what is on the chain is final, and waits until the backend has read it.
    pub async fn finalize(&self) {
        let head = self.chain.best_number();
        while self.chain.finalized_number() < head {
            self.chain.advance(1).unwrap();
        }
        let read = format!(r#""current_block":{},"#, self.chain.finalized_number());
        self.get_when("/v1/status", "the blocks are read", |answer| answer.body.contains(&read)).await;
    }

    pub async fn get(&self, path: &str) -> Answer {
        ask(self.gateway, Method::GET, path, &[], "").await
    }

    /// POST with the key and a JSON body.
    pub async fn post(&self, path: &str, body: &str) -> Answer {
        let authorization = format!("Bearer {KEY}");
        let headers = [("authorization", &*authorization), ("content-type", "application/json")];
        ask(self.gateway, Method::POST, path, &headers, body).await
    }

    /// The answer, as soon as it is what the test waits for.
    pub async fn get_when(&self, path: &str, what: &str, reached: impl Fn(&Answer) -> bool) -> Answer {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let answer = self.get(path).await;
            if reached(&answer) {
                return answer;
            }
            assert!(Instant::now() < deadline, "waited in vain until {what}: {} {}", answer.status, answer.body);
            sleep(Duration::from_millis(20)).await;
        }
    }

    pub async fn start_cycle(&self, episodes_per_env: u32) -> Cycle {
        let request = StartCycleRequest { episodes_per_env, env_ids: Vec::new() };
        self.scheduling().start_cycle(request).await.unwrap().into_inner()
    }

    pub async fn cycle(&self) -> Cycle {
        self.scheduling().get_cycle(GetCycleRequest { cycle_id: None }).await.unwrap().into_inner()
    }

    /// Ends a service as SIGTERM does.
    pub async fn stop(&mut self, name: &str) {
        let place = self.services.iter().position(|service| service.name == name).unwrap();
        let service = self.services.remove(place);
        service.supervisor.shutdown();
        service.ended.await.unwrap().unwrap();
    }

    fn scheduling(&self) -> SchedulingServiceClient<MeshChannel> {
        SchedulingServiceClient::new(self.access.channel(&self.scheduling_url).unwrap())
    }

    fn begin(&mut self, name: &'static str) -> Supervisor {
        let supervisor = Supervisor::new();
        let ended = tokio::spawn(supervisor.clone().join(PATIENCE));
        self.services.push(Service { name, supervisor: supervisor.clone(), ended });
        supervisor
    }
}

fn uri(uid: u16) -> String {
    format!("//miner{uid}")
}

async fn bind() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.unwrap()
}

fn url(listener: &TcpListener) -> String {
    format!("http://{}", listener.local_addr().unwrap())
}
