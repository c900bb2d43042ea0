//! A chain that makes blocks on demand, and validators that can be killed.

use std::{collections::BTreeSet, net::SocketAddr, sync::Mutex, time::Duration};

use kinitro_chain::{ChainClient, Signer, hotkey_of};
use kinitro_chassis::Supervisor;
use kinitro_devchain::{Devchain, Hyperparameters, NeuronSeed, RpcServer};
use kinitro_domain::{BlockNumber, Hotkey};
use kinitro_validator::Config;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    net::TcpListener,
    runtime::Runtime,
    time::{Instant, sleep},
};

pub use crate::backend::{Backend, Script};

pub const NETUID: u16 = 7;
/// The validator is at uid 0, owns the subnet, and has a permit.
pub const VALIDATOR: &str = "//Alice";
pub const MINERS: [(u16, &str); 3] = [(1, "//Bob"), (2, "//Charlie"), (3, "//Dave")];
pub const RATE_LIMIT: u32 = 20;
/// For anything that must happen at all.
const PATIENCE: Duration = Duration::from_secs(180);
/// Blocks that are made at full pace between two looks of a validator at the backend, which come once a second on an idle machine.
const BLOCKS_A_ROUND: u32 = 10;
/// Nobody calls out from this address, so a port stays free while a node of ours is away.
const HOST: &str = "127.0.0.2:0";

pub struct World {
    pub chain: Devchain,
    pub backend: Backend,
    node: Option<RpcServer>,
    address: SocketAddr,
    state: TempDir,
    probe: ChainClient,
    /// Every block that was seen as that of the validator's last weights.
    updates: Mutex<BTreeSet<u64>>,
}

impl World {
    pub async fn new() -> Self {
        Self::with(subnet()).await
    }

    /// A chain that would take a second setting at once, so that only the validator can prevent one.
    pub async fn unlimited() -> Self {
        Self::with(Hyperparameters { weights_rate_limit: 0, ..subnet() }).await
    }

    /// A chain with other hyperparameters.
    pub async fn with(subnet: Hyperparameters) -> Self {
        Self::on(461, subnet).await
    }

    /// The same on another version of the runtime.
    pub async fn on(spec: u32, subnet: Hyperparameters) -> Self {
        let mut neurons = vec![NeuronSeed::validator(VALIDATOR, 1_000_000_000)];
        neurons.extend(MINERS.map(|(_, uri)| NeuronSeed::new(uri)));
        let config = kinitro_devchain::Config {
            spec,
            netuid: NETUID,
            block_ms: 0,
            control: true,
            neurons,
            subnet,
            ..Default::default()
        };
        let chain = Devchain::new(&config).unwrap();
        chain.advance(RATE_LIMIT + 5).unwrap();
        let listener = TcpListener::bind(HOST).await.unwrap();
        let address = listener.local_addr().unwrap();
        let node = Some(chain.serve(listener).unwrap());
        let probe = ChainClient::new(&format!("ws://{address}")).unwrap();
        let (backend, state, updates) = (Backend::start().await, tempfile::tempdir().unwrap(), Mutex::default());
        Self { chain, backend, node, address, state, probe, updates }
    }

    /// The node goes away; its chain stays as it is.
    pub async fn stop_node(&mut self) {
        self.node.take().unwrap().stop().await;
    }

    /// The node comes back with the chain it had.
    pub async fn start_node(&mut self) {
        let listener = TcpListener::bind(self.address).await.unwrap();
        self.node = Some(self.chain.serve(listener).unwrap());
    }

    pub fn config(&self) -> Config {
        Config {
            backend_url: self.backend.url.clone(),
            network: format!("ws://{}", self.address),
            netuid: NETUID,
            hotkey_seed: Some(VALIDATOR.to_owned()),
            poll_interval_seconds: 1,
            request_timeout_seconds: 2,
            state_dir: Some(self.state.path().to_owned()),
            ..Config::default()
        }
    }

    pub async fn validate(&self) -> Validator {
        Validator::start(self.config()).await
    }

    /// A validator that has the usual weights to set and a ticket on disk, while the node puts no transaction into a block.
    pub async fn validate_held(&self) -> Validator {
        self.chain.hold_transactions(true);
        self.backend.publish(&usual(3, 1));
        let validator = self.validate().await;
        self.until("the ticket is on disk", || !self.memory()["pending"].is_null()).await;
        validator
    }

    /// The one file of the validator's memory.
    pub fn state_file(&self) -> std::path::PathBuf {
        let name = format!("subnet-{NETUID}-0-{}.json", hotkey(VALIDATOR));
        self.state.path().join(name)
    }

    /// What the memory knows of this chain.
    pub fn memory(&self) -> Value {
        let Ok(text) = std::fs::read(self.state_file()) else { return Value::Null };
        let contents: Value = serde_json::from_slice(&text).unwrap();
        contents["chains"].as_object().unwrap().values().next().cloned().unwrap_or_default()
    }

    /// Changes what the memory knows of this chain, while no validator runs.
    pub fn edit_memory(&self, change: impl FnOnce(&mut Value)) {
        let mut contents: Value = serde_json::from_slice(&std::fs::read(self.state_file()).unwrap()).unwrap();
        change(contents["chains"].as_object_mut().unwrap().values_mut().next().unwrap());
        std::fs::write(self.state_file(), contents.to_string()).unwrap();
    }

    /// Makes no block, and waits until a ticket is on disk.
    pub async fn until_pending(&self) -> Value {
        let deadline = Instant::now() + PATIENCE;
        while self.memory()["pending"].is_null() {
            assert!(Instant::now() < deadline, "no ticket; memory {}", self.memory());
            sleep(Duration::from_millis(20)).await;
        }
        self.memory()["pending"].clone()
    }

    /// From now on no transaction gets to the node, and nobody learns whether it did; or they get there again.
    pub fn lose_transactions(&self, lose: bool) {
        let times = if lose { u32::MAX } else { 0 };
        self.chain.fail_next("author_submitExtrinsic", times, -32_000, "the proxy does not answer");
    }

    /// Makes a block.
    pub fn step(&self) {
        self.chain.advance(1).unwrap();
        self.updates.lock().unwrap().extend(self.chain.last_update(0).unwrap());
    }

    /// Makes blocks until everything before them is final.
    pub fn finalize(&self) {
        let head = self.chain.best_number();
        while self.chain.finalized_number() < head {
            self.step();
        }
    }

    /// Makes blocks until something is so. The chain slows down with the validator: on a busy machine it must not have aged by more
    /// blocks when the validator comes to look at it.
    pub async fn until(&self, what: &str, mut is_so: impl FnMut() -> bool) {
        let deadline = Instant::now() + PATIENCE;
        let (mut asked, mut made) = (self.backend.asked(), 0);
        while !is_so() {
            assert!(Instant::now() < deadline, "waited in vain until {what}; memory {}", self.memory());
            if self.backend.asked() != asked {
                (asked, made) = (self.backend.asked(), 0);
            }
            self.step();
            made += 1;
            sleep(Duration::from_millis(if made <= BLOCKS_A_ROUND { 100 } else { 1000 })).await;
        }
    }

    /// Makes blocks and waits until the validator has looked at the chain some times more.
    pub async fn rounds(&self, rounds: usize) {
        let asked = self.backend.asked();
        self.until("the validator has asked again", || self.backend.asked() >= asked + rounds).await;
    }

    /// Makes blocks until these weights are on the chain, and finalized.
    pub async fn until_set(&self, weights: &[(u16, u16)]) {
        self.until("the weights are on the chain", || self.chain.weights(0).unwrap() == weights).await;
        self.until("the validator knows it", || {
            self.memory()["pending"].is_null() && !self.memory()["last_set"].is_null()
        })
        .await;
    }

    /// How many transactions of the validator got into blocks, or wait for one, failed ones included.
    pub async fn transactions(&self) -> u64 {
        rustls::crypto::ring::default_provider().install_default().ok();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let request =
            json!({"jsonrpc": "2.0", "id": 1, "method": "system_accountNextIndex", "params": [hotkey(VALIDATOR)]});
        let answer = client.post(format!("http://{}", self.address)).json(&request).send().await.unwrap();
        answer.json::<Value>().await.unwrap()["result"].as_u64().unwrap()
    }

    /// Makes blocks until the validator's first transaction was taken by the node.
    pub async fn until_taken(&self) {
        let deadline = Instant::now() + PATIENCE;
        while self.transactions().await == 0 {
            assert!(Instant::now() < deadline, "no transaction was sent; memory {}", self.memory());
            self.step();
            sleep(Duration::from_millis(100)).await;
        }
    }

    /// The blocks of the best chain in which the validator set or committed weights.
    pub async fn sets(&self) -> Vec<u64> {
        let seen: Vec<u64> = self.updates.lock().unwrap().iter().copied().filter(|block| *block > 0).collect();
        let mut blocks = Vec::new();
        for number in seen {
            // A reorganisation undid those that are not there any more.
            let hash = self.probe.block_hash(BlockNumber(number)).await.unwrap().unwrap();
            let validator = self.probe.validator_at(hash, NETUID, &hotkey(VALIDATOR)).await.unwrap().unwrap();
            if validator.last_update.0 == number {
                blocks.push(number);
            }
        }
        blocks
    }
}

/// Epochs of ten blocks; weights count for 5000 blocks, in every runtime.
pub fn subnet() -> Hyperparameters {
    Hyperparameters {
        weights_rate_limit: RATE_LIMIT.into(),
        tempo: 10,
        activity_cutoff_factor: 500_000,
        ..Hyperparameters::default()
    }
}

pub fn hotkey(uri: &str) -> Hotkey {
    Signer::from_uri(uri).unwrap().hotkey()
}

/// A hotkey that nobody has the key of.
pub fn stranger() -> String {
    hotkey_of([7; 32]).to_string()
}

/// An answer of the gateway: weights of these uids at a block, scored at these hotkeys.
pub fn weights(block: u64, cycle: u64, shares: &[(u16, f64, &str)]) -> Value {
    let scaled: Vec<u16> = kinitro_pareto::scale(&shares.iter().map(|(_, weight, _)| *weight).collect::<Vec<_>>());
    let of = |value: &dyn Fn(&(u16, f64, &str)) -> Value| -> Value {
        shares.iter().map(|share| (share.0.to_string(), value(share))).collect::<serde_json::Map<_, _>>().into()
    };
    let positive: Vec<(u16, u16)> =
        shares.iter().map(|share| share.0).zip(scaled).filter(|(_, value)| *value > 0).collect();
    let (uids, values): (Vec<u16>, Vec<u16>) = positive.into_iter().unzip();
    json!({
        "block": block, "block_number": block, "cycle_id": cycle,
        "weights": of(&|share| share.1.into()), "hotkeys": of(&|share| hotkey(share.2).to_string().into()),
        "weights_u16": {"uids": uids, "values": values},
        "created_at": "2026-01-01T00:00:00Z", "timestamp": "2026-01-01T00:00:00Z", "scheme": "published-1",
    })
}

/// The three miners with a half, a quarter and a quarter.
pub fn usual(block: u64, cycle: u64) -> Value {
    weights(block, cycle, &[(1, 0.5, "//Bob"), (2, 0.25, "//Charlie"), (3, 0.25, "//Dave")])
}

/// What [`usual`] is on the chain.
pub const USUAL: [(u16, u16); 3] = [(1, 65535), (2, 32768), (3, 32768)];

/// A validator in a runtime of its own, so that it can be killed.
pub struct Validator {
    runtime: Option<Runtime>,
    supervisor: Supervisor,
    health: String,
    client: reqwest::Client,
}

impl Validator {
    pub async fn start(config: Config) -> Self {
        // The first caller installs it.
        rustls::crypto::ring::default_provider().install_default().ok();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let supervisor = Supervisor::new();
        let group = supervisor.clone();
        let started = runtime.spawn(async move {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            kinitro_validator::start(config, Some(listener), &group).await.unwrap();
            address
        });
        let health = format!("http://{}", started.await.unwrap());
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { runtime: Some(runtime), supervisor, health, client }
    }

    pub async fn health(&self) -> (u16, Value) {
        let response = self.client.get(format!("{}/health", self.health)).send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    }

    pub async fn metrics(&self) -> String {
        self.client.get(format!("{}/metrics", self.health)).send().await.unwrap().text().await.unwrap()
    }

    /// Waits until `/health` shows a trouble of this area whose reason has these words.
    pub async fn until_trouble(&self, area: &str, words: &str) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let (_, report) = self.health().await;
            let shown =
                |trouble: &Value| trouble["area"] == area && trouble["reason"].as_str().unwrap().contains(words);
            if report["troubles"].as_array().unwrap().iter().any(shown) {
                return;
            }
            assert!(Instant::now() < deadline, "waited in vain for {area} {words:?}: {report}");
            sleep(Duration::from_millis(100)).await;
        }
    }

    /// Waits until `/health` shows no trouble in this area, making blocks.
    pub async fn until_no_trouble(&self, world: &World, area: &str) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let (_, report) = self.health().await;
            if report["troubles"].as_array().unwrap().iter().all(|trouble| trouble["area"] != area) {
                return;
            }
            assert!(Instant::now() < deadline, "waited in vain for an end of {area}: {report}");
            world.step();
            sleep(Duration::from_millis(100)).await;
        }
    }

    /// As on SIGTERM.
    pub async fn stop(mut self) {
        self.supervisor.shutdown();
        self.supervisor.clone().join(Duration::from_secs(60)).await.unwrap();
        self.drop_runtime().await;
    }

    /// As by SIGKILL: every task is dropped where it is.
    pub async fn kill(mut self) {
        self.drop_runtime().await;
    }

    async fn drop_runtime(&mut self) {
        let runtime = self.runtime.take().unwrap();
        tokio::task::spawn_blocking(move || runtime.shutdown_timeout(Duration::from_secs(30))).await.unwrap();
    }
}

impl Drop for Validator {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
