//! Every service in one process, each on its own loopback port, speaking the same gRPC as in production.
//!
//! Postgres and Redis are private children unless URLs are given. Services stop in the order of the data's way backwards, so that
//! the executor can still hand its leases back and what follows finds its neighbours alive.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use anyhow::{Context as _, Result};
use kinitro_chassis::{MeshAccess, Supervisor, SupervisorError};
use kinitro_stores::{DataDir, Postgres, Redis};
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinHandle};

use crate::{
    cli::InternalPorts,
    databases::Databases,
    own_secret,
    samples::Samples,
    settings::{Settings, with},
};

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// What a service may take to finish; execution takes `drain_seconds` of it (20 by default) for running episodes.
const DRAIN: Duration = Duration::from_secs(60);
const CHAIN_PORT: u16 = 9944;
const SCHEDULING_PORT: u16 = 50052;
const INGESTION_PORT: u16 = 50051;
const EXECUTION_PORT: u16 = 50053;
const SCORING_PORT: u16 = 50054;

/// What to run. Flags are fields of the services' configurations; file and environment apply below them.
#[derive(Default)]
pub struct Plan {
    /// Where the private stores keep their data; one mesh at a time.
    pub data_dir: PathBuf,
    /// Postgres to use instead of a private one.
    pub database_url: Option<String>,
    /// Redis to use instead of a private one.
    pub redis_url: Option<String>,
    /// What services show each other; without a token the mesh uses the one of its data directory.
    pub access: MeshAccess,
    /// The settings below the flags.
    pub settings: Settings,
    /// Where the gateway listens; absent for the configured address, or a free port of it when that one is taken.
    pub gateway: Option<SocketAddr>,
    /// Flags of the gateway.
    pub gateway_flags: Value,
    /// Flags of scheduling.
    pub scheduling_flags: Value,
    /// Flags of ingestion.
    pub ingestion_flags: Value,
    /// Flags of scoring.
    pub scoring_flags: Value,
    /// Flags of execution; absent for no executor here.
    pub execution_flags: Option<Value>,
    /// Flags of the development chain and its port; absent when ingestion's network is a real chain.
    pub devchain: Option<(Value, Option<u16>)>,
    /// Sample miners, whose policies are served and committed on the development chain before the first cycle can start.
    pub samples: Option<Samples>,
    /// Ports that were asked for.
    pub ports: InternalPorts,
    /// Prefer the well-known ports of the services to free ones.
    pub well_known_ports: bool,
}

/// Where a part listens.
#[derive(Debug, Clone)]
pub struct Part {
    /// Its name.
    pub name: &'static str,
    /// Its URL, without credentials.
    pub url: String,
}

/// A running mesh.
pub struct Mesh {
    access: MeshAccess,
    parts: Vec<Part>,
    running: Vec<Running>,
    failed: tokio::sync::mpsc::UnboundedReceiver<()>,
    postgres: Option<Postgres>,
    redis: Option<Redis>,
    _data_dir: DataDir,
}

struct Running {
    name: &'static str,
    supervisor: Supervisor,
    ended: JoinHandle<Result<(), SupervisorError>>,
}

impl Mesh {
    /// Starts everything; returns when every service listens.
    pub async fn start(plan: Plan) -> Result<Self> {
        let data_dir = DataDir::lock(&plan.data_dir)?;
        let access = match plan.access.has_token() {
            true => plan.access.clone(),
            false => plan.access.clone().with_token(own_secret::mesh_token(&plan.data_dir)?),
        };
        #[expect(clippy::disallowed_methods, reason = "one message a service")]
        let (sender, failed) = tokio::sync::mpsc::unbounded_channel();
        let mut mesh = Self {
            access,
            parts: Vec::new(),
            running: Vec::new(),
            failed,
            postgres: None,
            redis: None,
            _data_dir: data_dir,
        };
        match mesh.start_parts(plan, sender).await {
            Ok(()) => Ok(mesh),
            Err(error) => {
                // What was started already must not outlive the attempt; its own errors would hide the first one.
                if let Err(second) = mesh.stop().await {
                    tracing::warn!(error = %second, "stopping after a failed start");
                }
                Err(error)
            }
        }
    }

    /// What a caller of the services shows, and they ask for.
    pub fn access(&self) -> &MeshAccess {
        &self.access
    }

    /// All parts, in the order of the data's way.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// Where the passwords of the private stores are.
    pub fn password_files(&self) -> Vec<PathBuf> {
        let postgres = self.postgres.as_ref().map(Postgres::password_file);
        postgres.into_iter().chain(self.redis.as_ref().map(Redis::password_file)).collect()
    }

    /// The URL of a part.
    pub fn url(&self, name: &str) -> Option<&str> {
        self.parts.iter().find(|part| part.name == name).map(|part| part.url.as_str())
    }

    /// Waits until a service or a private store ends by itself. [`Self::stop`] then says which one and why.
    pub async fn failure(&mut self) -> String {
        let postgres = self.postgres.as_ref().map(Postgres::ended);
        let redis = self.redis.as_ref().map(Redis::ended);
        tokio::select! {
            _ = self.failed.recv() => "a service ended by itself".to_owned(),
            Some(error) = maybe(postgres) => error.to_string(),
            Some(error) = maybe(redis) => error.to_string(),
        }
    }

    /// Stops everything, last service of the data's way first. The first error is returned, after all are stopped.
    pub async fn stop(self) -> Result<()> {
        let mut outcome = Ok(());
        for part in self.running.into_iter().rev() {
            part.supervisor.shutdown();
            let ended = part.ended.await.context("a supervising task panicked").and_then(|result| Ok(result?));
            if let Err(error) = ended {
                outcome = outcome.and(Err(error.context(format!("stopping {}", part.name))));
            }
        }
        if let Some(redis) = self.redis {
            outcome = outcome.and(redis.stop().await.context("stopping the private Redis"));
        }
        if let Some(postgres) = self.postgres {
            outcome = outcome.and(postgres.stop().await.context("stopping the private Postgres"));
        }
        outcome
    }

    async fn start_parts(&mut self, plan: Plan, sender: tokio::sync::mpsc::UnboundedSender<()>) -> Result<()> {
        let settings = &plan.settings;
        let access = self.access.clone();
        let databases = match plan.database_url {
            Some(url) => Databases::given(url, settings).await?,
            None => {
                let postgres = Postgres::start(&plan.data_dir.join("postgres"), plan.ports.postgres_port).await?;
                self.parts.push(Part { name: "postgres", url: postgres.address() });
                let url = postgres.url();
                self.postgres = Some(postgres);
                Databases::private(&url).await?
            }
        };
        let redis_url = match plan.redis_url {
            Some(url) => url,
            None => {
                let redis = Redis::start(&plan.data_dir.join("redis"), plan.ports.redis_port).await?;
                self.parts.push(Part { name: "redis", url: redis.address() });
                let url = redis.url();
                self.redis = Some(redis);
                url
            }
        };

        let port = |well_known| if plan.well_known_ports { well_known } else { 0 };
        let mut ingestion_flags = plan.ingestion_flags;
        if let Some((flags, chain_port)) = plan.devchain {
            let config = settings.devchain(flags)?;
            let listener = choose("--chain-port", chain_port, CHAIN_PORT)?;
            let url = format!("ws://{}", listener.local_addr()?);
            // On a development chain policies are served on this machine.
            let chain = json!({ "network": url, "netuid": config.netuid, "allow_private_endpoints": true });
            ingestion_flags = with(ingestion_flags, chain);
            let supervisor = self.begin("devchain", url, &sender);
            kinitro_devchain::start(config, listener, &supervisor).await?;
        }

        let ports = &plan.ports;
        let ingestion = choose("--ingestion-port", ports.ingestion_port, port(INGESTION_PORT))?;
        let scheduling = choose("--scheduling-port", ports.scheduling_port, port(SCHEDULING_PORT))?;
        let scoring = choose("--scoring-port", ports.scoring_port, port(SCORING_PORT))?;
        let urls = json!({
            "ingestion_url": url_of(&ingestion)?,
            "scheduling_url": url_of(&scheduling)?,
            "scoring_url": url_of(&scoring)?,
        });

        let mut config = settings.ingestion(with(ingestion_flags, json!({ "database_url": databases.ingestion })))?;
        if databases.own {
            (config.database_user, config.database_password, config.database_password_file) = (None, None, None);
        }
        let supervisor = self.begin("ingestion", url_of(&ingestion)?, &sender);
        kinitro_ingestion::start(config, &access, ingestion, &supervisor).await?;

        let mut config = settings.scoring(with(plan.scoring_flags, json!({ "database_url": databases.scoring })))?;
        if databases.own {
            (config.database_user, config.database_password, config.database_password_file) = (None, None, None);
        }
        let supervisor = self.begin("scoring", url_of(&scoring)?, &sender);
        kinitro_scoring::start(config, &access, scoring, &supervisor).await?;

        if let (Some(samples), Some(chain)) = (&plan.samples, self.url("devchain")) {
            let ingestion = access.channel(urls["ingestion_url"].as_str().unwrap_or_default())?;
            samples.join(chain, ingestion).await?;
        }

        let fields = json!({
            "database_url": databases.scheduling,
            "redis_url": redis_url,
            "ingestion_url": urls["ingestion_url"],
            "scoring_url": urls["scoring_url"],
        });
        let mut config = settings.scheduling(with(plan.scheduling_flags, fields))?;
        if databases.own {
            (config.database_user, config.database_password, config.database_password_file) = (None, None, None);
        }
        if self.redis.is_some() {
            (config.redis_password, config.redis_password_file) = (None, None);
        }
        let supervisor = self.begin("scheduling", url_of(&scheduling)?, &sender);
        kinitro_scheduling::start(config, &access, scheduling, &supervisor).await?;

        let config = settings.gateway(with(plan.gateway_flags, urls.clone()))?;
        let gateway = match plan.gateway {
            Some(address) => {
                kinitro_chassis::listen(address).with_context(|| format!("the gateway cannot bind {address}"))?
            }
            None => {
                let default = kinitro_gateway::Config::default().port;
                let asked = (config.port != default || names_gateway_port(settings)).then_some(config.port);
                choose("the gateway's port", asked, config.port)?
            }
        };
        let supervisor = self.begin("gateway", url_of(&gateway)?, &sender);
        kinitro_gateway::start(config, &access, gateway, &supervisor).await?;

        if let Some(flags) = plan.execution_flags {
            let execution = choose("--execution-port", plan.ports.execution_port, port(EXECUTION_PORT))?;
            let config = settings.execution(with(flags, json!({ "scheduling_url": urls["scheduling_url"] })))?;
            let supervisor = self.begin("execution", url_of(&execution)?, &sender);
            kinitro_execution::start(config, settings.family_worker(), &access, execution, &supervisor).await?;
        }
        Ok(())
    }

    /// A supervisor for one more service.
    fn begin(
        &mut self,
        name: &'static str,
        url: String,
        failed: &tokio::sync::mpsc::UnboundedSender<()>,
    ) -> Supervisor {
        let supervisor = Supervisor::new();
        let (joined, failed) = (supervisor.clone(), failed.clone());
        let ended = tokio::spawn(async move {
            let outcome = joined.join(DRAIN).await;
            // Nobody listens any more when the mesh itself stops.
            failed.send(()).ok();
            outcome
        });
        self.parts.push(Part { name, url });
        self.running.push(Running { name, supervisor: supervisor.clone(), ended });
        supervisor
    }
}

async fn maybe<F: Future>(future: Option<F>) -> Option<F::Output> {
    match future {
        Some(future) => Some(future.await),
        None => None,
    }
}

/// Whether a variable or the file names the gateway's port: also the default one was then asked for.
fn names_gateway_port(settings: &Settings) -> bool {
    let in_file = |text: String| {
        toml::from_str::<toml::Table>(&text)
            .is_ok_and(|file| file.get("gateway").and_then(|gateway| gateway.get("port")).is_some())
    };
    // An empty variable counts as not set, as everywhere.
    std::env::var("KINITRO_API_PORT").is_ok_and(|port| !port.is_empty())
        || settings.file.as_ref().and_then(|file| std::fs::read_to_string(file).ok()).is_some_and(in_file)
}

/// Binds the port that was asked for; without one the preferred port, or a free one when that is taken.
fn choose(what: &str, asked: Option<u16>, preferred: u16) -> Result<TcpListener> {
    let address = SocketAddr::new(LOOPBACK, asked.unwrap_or(preferred));
    match kinitro_chassis::listen(address) {
        Ok(listener) => Ok(listener),
        Err(error) if asked.is_none() && error.kind() == std::io::ErrorKind::AddrInUse && preferred != 0 => {
            kinitro_chassis::listen(SocketAddr::new(LOOPBACK, 0)).with_context(|| format!("no free port at {LOOPBACK}"))
        }
        Err(error) => Err(error).with_context(|| format!("{what}: cannot listen on {address}; choose another port")),
    }
}

fn url_of(listener: &TcpListener) -> Result<String> {
    Ok(format!("http://{}", listener.local_addr()?))
}
