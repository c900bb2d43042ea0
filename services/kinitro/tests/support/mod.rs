//! A whole backend of separate processes: the binary as operators run it, on real Postgres and Redis.
#![allow(dead_code, clippy::unwrap_used, reason = "every test binary uses another part")]

pub mod counted;
pub mod node;
pub mod up;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::TcpListener,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::Mutex,
    time::{Duration, Instant},
};

use kinitro_chain::{ChainClient, Signer, Wait};
use kinitro_chassis::{MeshAccess, MeshChannel, MeshToken};
use kinitro_commitment::write_commitment;
use kinitro_proto::scheduling::v1::{
    Cycle, GetCycleRequest, StartCycleRequest, scheduling_service_client::SchedulingServiceClient,
};
use kinitro_stores::{Postgres, Redis};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;

/// For anything that must happen at all; no test depends on how soon.
pub const PATIENCE: Duration = Duration::from_secs(180);

/// One mesh at a time on a small machine; the lock is the test's first line.
pub static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// What is different from a standard backend.
#[derive(Clone, Default)]
pub struct Options {
    /// Variables for every service.
    pub variables: Vec<(&'static str, String)>,
    /// Sample policies to register and commit, in order of uid: kind and latency in milliseconds.
    pub policies: Vec<(&'static str, u32)>,
    /// Register `//validator` with a permit, behind the miners.
    pub validator: bool,
}

/// The backend, and everything it stands on.
pub struct Backend {
    pub postgres: Postgres,
    pub redis: Redis,
    pub ports: BTreeMap<&'static str, u16>,
    options: Options,
    processes: BTreeMap<String, Child>,
    folder: tempfile::TempDir,
}

impl Backend {
    /// Starts the stores, the chain and all services; commits the policies; returns when ingestion shows all of them.
    pub async fn start(options: Options) -> Self {
        Self::start_with(options, &[]).await
    }

    /// The same with more miners, whose uids follow those of the sample policies and whose policies somebody else serves.
    pub async fn start_with(options: Options, endpoints: &[String]) -> Self {
        let registered = options.policies.len() + endpoints.len();
        let mut backend = Self::start_registered(options, registered).await;
        backend.commit_policies(endpoints).await;
        backend
    }

    /// The same with so many hotkeys registered, `//miner0` and so on, none of which has committed anything.
    pub async fn start_registered(options: Options, hotkeys: usize) -> Self {
        let postgres = kinitro_stores::testing::private_postgres().await;
        let redis = kinitro_stores::testing::private_redis().await;
        let names = ["devchain", "ingestion", "scheduling", "scoring", "gateway", "execution"];
        let ports = names.into_iter().map(|name| (name, free_port())).collect();
        let folder = tempfile::tempdir().unwrap();
        let mut backend = Self { postgres, redis, ports, options, processes: BTreeMap::new(), folder };
        backend.write_seed_file(hotkeys);
        assert!(backend.command(&["db", "init"]).status().unwrap().success());
        for name in names {
            backend.spawn(name);
        }
        backend
    }

    /// Starts a service as a process of its own (again, after a kill).
    pub fn spawn(&mut self, name: &'static str) {
        let port = self.ports[name].to_string();
        let mut arguments = vec![name, "--port", &port];
        let seed_file = self.seed_file();
        if name == "devchain" {
            arguments.extend(["--seed-file", seed_file.to_str().unwrap(), "--block-ms", "250"]);
        }
        let child = self.command(&arguments).spawn().unwrap();
        self.processes.insert(name.to_owned(), child);
    }

    /// Starts one more process of a service, under a name and on a port of its own (again, after a kill).
    pub fn spawn_as(&mut self, name: &'static str, service: &str, variables: &[(&str, String)]) {
        let port = self.ports.entry(name).or_insert_with(free_port).to_string();
        let variables = variables.iter().map(|(name, value)| (*name, value));
        let child = self.command(&[service, "--port", &port]).envs(variables).spawn().unwrap();
        self.processes.insert(name.to_owned(), child);
    }

    /// Where a service listens.
    pub fn url(&self, name: &str) -> String {
        format!("http://127.0.0.1:{}", self.ports[name])
    }

    /// Sends a signal to a service and, when it is SIGKILL, waits for its end.
    pub fn signal(&mut self, name: &str, signal: Signal) {
        let child = self.processes.get_mut(name).unwrap();
        kill(Pid::from_raw(child.id().try_into().unwrap()), signal).unwrap();
        if signal == Signal::SIGKILL {
            child.wait().unwrap();
        }
    }

    /// The process of a service.
    pub fn pid(&self, name: &str) -> i32 {
        self.processes[name].id().try_into().unwrap()
    }

    /// Waits for a service's end and returns its exit code.
    pub async fn ended(&mut self, name: &str) -> Option<i32> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.processes.get_mut(name).unwrap().try_wait().unwrap() {
                return status.code();
            }
            assert!(Instant::now() < deadline, "{name} does not end");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// A command of the binary in this backend's surroundings.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let url = |name| self.url(name);
        let mut command = Command::new(env!("CARGO_BIN_EXE_kinitro"));
        command
            .args(arguments)
            .stdout(Stdio::null())
            .envs([
                ("KINITRO_SCHEDULER_DATABASE_URL", self.postgres.url()),
                ("KINITRO_SCHEDULER_REDIS_URL", self.redis.url()),
                ("KINITRO_SCHEDULER_NETWORK", format!("ws://127.0.0.1:{}", self.ports["devchain"])),
                ("KINITRO_SCHEDULER_NETUID", "1".to_owned()),
                ("KINITRO_SCHEDULER_ALLOW_PRIVATE_ENDPOINTS", "true".to_owned()),
                ("KINITRO_SCHEDULER_ON_DEMAND", "true".to_owned()),
                ("KINITRO_SCHEDULER_INGESTION_URL", url("ingestion")),
                ("KINITRO_SCHEDULER_SCORING_URL", url("scoring")),
                ("KINITRO_SCHEDULER_TASK_STALE_THRESHOLD_SECONDS", "3".to_owned()),
                ("KINITRO_MESH_TOKEN", MESH_TOKEN.to_owned()),
                ("KINITRO_API_API_KEY", API_KEY.to_owned()),
                ("KINITRO_API_INGESTION_URL", url("ingestion")),
                ("KINITRO_API_SCHEDULING_URL", url("scheduling")),
                ("KINITRO_API_SCORING_URL", url("scoring")),
                ("KINITRO_EXECUTOR_SCHEDULING_URL", url("scheduling")),
                ("KINITRO_EXECUTOR_USE_IMAGES", "false".to_owned()),
                ("KINITRO_EXECUTOR_ALLOW_PRIVATE_ENDPOINTS", "true".to_owned()),
                ("KINITRO_EXECUTOR_MAX_TIMESTEPS", "60".to_owned()),
                // A busy test machine must not look like a slow policy.
                ("KINITRO_EXECUTOR_ACTION_TIMEOUT", "60".to_owned()),
            ])
            .args(["--log-level", "WARNING"]);
        for (name, value) in &self.options.variables {
            command.env(name, value);
        }
        command
    }

    /// A client of scheduling.
    pub fn scheduling(&self) -> SchedulingServiceClient<MeshChannel> {
        self.replica("scheduling")
    }

    /// A client of one process of scheduling.
    pub fn replica(&self, name: &str) -> SchedulingServiceClient<MeshChannel> {
        let access = MeshAccess::default().with_token(MeshToken::new(MESH_TOKEN, "the test").unwrap());
        SchedulingServiceClient::new(access.channel(&self.url(name)).unwrap())
    }

    /// Starts a cycle, waiting for the services to find each other.
    pub async fn start_cycle(&self, episodes_per_env: u32) -> Cycle {
        self.start_cycle_on("scheduling", episodes_per_env).await
    }

    /// The same on one process of scheduling.
    pub async fn start_cycle_on(&self, replica: &str, episodes_per_env: u32) -> Cycle {
        let request = StartCycleRequest { episodes_per_env, env_ids: vec!["metaworld/drawer-close-v3".to_owned()] };
        eventually("a cycle can be started", || async {
            let started = self.replica(replica).start_cycle(request.clone()).await;
            started.map(tonic::Response::into_inner).map_err(|status| status.message().to_owned())
        })
        .await
    }

    /// The cycle, as soon as `reached` says so; while scheduling is away it is asked again.
    pub async fn cycle_when(&self, id: u64, what: &str, reached: impl Fn(&Cycle) -> bool) -> Cycle {
        eventually(what, || async {
            let request = GetCycleRequest { cycle_id: Some(id) };
            match self.scheduling().get_cycle(request).await {
                Ok(cycle) if reached(cycle.get_ref()) => Ok(cycle.into_inner()),
                Ok(cycle) => Err(format!("{:?}", cycle.into_inner())),
                Err(status) => Err(status.message().to_owned()),
            }
        })
        .await
    }

    /// GET on the gateway: status and body.
    pub async fn get(&self, path: &str) -> (u16, Value) {
        let url = self.url("gateway") + path;
        eventually("the gateway answers", || async {
            let response = client().get(&url).send().await.map_err(|error| error.to_string())?;
            let status = response.status().as_u16();
            Ok((status, response.json().await.map_err(|error| error.to_string())?))
        })
        .await
    }

    /// A client of the chain.
    pub async fn chain(&self) -> ChainClient {
        let node = format!("ws://127.0.0.1:{}", self.ports["devchain"]);
        eventually("the chain answers", || async {
            ChainClient::connect(&node).await.map_err(|error| error.to_string())
        })
        .await
    }

    fn seed_file(&self) -> PathBuf {
        self.folder.path().join("chain.toml")
    }

    fn write_seed_file(&self, miners: usize) {
        let mut text = "netuid = 1\n".to_owned();
        for uid in 0..miners {
            text += &format!("[[neurons]]\nuid = {uid}\nhotkey = \"//miner{uid}\"\nstake = 1000\n");
        }
        if self.options.validator {
            text += "[[neurons]]\nhotkey = \"//validator\"\nstake = 1000000000\nvalidator_permit = true\n";
        }
        std::fs::write(self.seed_file(), text).unwrap();
    }

    async fn commit_policies(&mut self, more: &[String]) {
        let mut endpoints = Vec::new();
        for (uid, (kind, latency)) in self.options.policies.clone().into_iter().enumerate() {
            let port = free_port();
            let arguments =
                ["policy", "serve", "--kind", kind, "--port", &port.to_string(), "--latency-ms", &latency.to_string()];
            let child = self.command(&arguments).stderr(Stdio::null()).spawn().unwrap();
            self.processes.insert(format!("policy{uid}"), child);
            endpoints.push(format!("http://127.0.0.1:{port}"));
        }
        endpoints.extend_from_slice(more);
        let chain = self.chain().await;
        for (uid, endpoint) in endpoints.iter().enumerate() {
            let commitment = write_commitment("samples/policy", "v1", &endpoint.parse().unwrap()).unwrap();
            let signer = Signer::from_uri(&format!("//miner{uid}")).unwrap();
            chain.set_commitment(&signer, 1, &commitment, Wait::Inclusion).await.unwrap();
        }
        let wanted = endpoints.len();
        eventually("all miners are active", || async {
            let (_, body) = self.get("/v1/miners").await;
            let active = |miner: &&Value| miner["status"] == "active";
            let active = body["miners"].as_array().map_or(0, |miners| miners.iter().filter(active).count());
            if active == wanted { Ok(()) } else { Err(body.to_string()) }
        })
        .await;
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        for child in self.processes.values_mut() {
            // Already gone is as good.
            child.kill().ok();
            child.wait().ok();
        }
    }
}

/// What the services show each other.
pub const MESH_TOKEN: &str = "the-token-of-this-backend";

/// The gateway's key.
pub const API_KEY: &str = "test-key";

/// An HTTP client that uses no proxy.
pub fn client() -> reqwest::Client {
    // The first caller installs it.
    rustls::crypto::ring::default_provider().install_default().ok();
    reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(10)).build().unwrap()
}

/// Asks again until it succeeds; the last refusal is the failure's message.
pub async fn eventually<T, F: Future<Output = Result<T, String>>>(what: &str, ask: impl Fn() -> F) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let refusal = match ask().await {
            Ok(answer) => return answer,
            Err(refusal) => refusal,
        };
        assert!(Instant::now() < deadline, "waited in vain until {what}: {refusal}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Below the range from which the system gives ports to outgoing connections: while a service is away, none of the calls to it may
/// be given its port. No port is given twice, because what it was given for may not listen yet.
fn free_port() -> u16 {
    static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    let mut given = GIVEN.lock().unwrap();
    let candidates =
        std::iter::repeat_with(|| 10_000 + u16::try_from(uuid::Uuid::new_v4().as_u128() % 20_000).unwrap());
    let free = |port: &u16| TcpListener::bind(("0.0.0.0", *port)).is_ok();
    let port = candidates.take(1000).filter(|port| !given.contains(port)).find(free).unwrap();
    given.insert(port);
    port
}
