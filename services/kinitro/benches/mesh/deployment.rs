//! The services that the queue's figures run through, and their stores, as `kinitro up` starts them: Postgres and Redis are private
//! and durable, scheduling, scoring and the gateway are the real ones, each on a loopback port of its own, the gateway with its key.
//!
//! One part is a stand-in: ingestion, which has no part in what is measured, answers canned miners ([`Subnet`]).

use std::{fs, io, path::Path, time::Duration};

use anyhow::{Context as _, Result};
use kinitro_chassis::{GrpcServer, MeshAccess, MeshChannel, MeshToken, Supervisor};
use kinitro_proto::{
    ingestion::v1::ingestion_service_server::IngestionServiceServer,
    scheduling::v1::scheduling_service_client::SchedulingServiceClient,
};
use kinitro_stores::{DataDir, Postgres, Redis};
use sqlx::PgPool;
use tokio::net::TcpListener;

use crate::neighbour::Subnet;

const DRAIN: Duration = Duration::from_secs(10);
const POSTGRES: &str = "postgres";
const REDIS: &str = "redis";

/// Everything that runs. [`Self::stop`] it; a dropped one takes its stores with it all the same.
pub struct Deployment {
    /// Where scheduling answers gRPC.
    pub scheduling_url: String,
    /// Where the gateway answers REST.
    pub gateway_url: String,
    /// The gateway's key.
    pub api_key: String,
    /// The database of scheduling and scoring.
    pub pool: PgPool,
    /// Where Redis answers.
    pub redis_url: String,
    access: MeshAccess,
    supervisor: Supervisor,
    postgres: Postgres,
    redis: Redis,
    directory: DataDir,
}

impl Deployment {
    /// Starts everything for a subnet of so many miners.
    pub async fn start(miners: u16) -> Result<Self> {
        // On cargo's disk: a directory for temporary files may be in memory, where a durable commit costs nothing.
        let directory = DataDir::lock(&Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench"))?;
        remove_stores(&directory).context("cannot remove what a killed run left")?;
        let postgres = Postgres::start(&directory.path().join(POSTGRES), None).await?;
        let redis = Redis::start(&directory.path().join(REDIS), None).await?;
        let (database_url, redis_url) = (postgres.url(), redis.url());
        kinitro_scheduling::migrate(&database_url).await?;
        kinitro_scoring::migrate(&database_url).await?;

        let token = MeshToken::new(&uuid::Uuid::new_v4().simple().to_string(), "the benchmark")?;
        let access = MeshAccess::default().with_token(token);
        let supervisor = Supervisor::new();
        let (listener, ingestion_url) = bind().await?;
        GrpcServer::new("ingestion", &access)
            .add_service(IngestionServiceServer::new(Subnet::new(miners)))
            .serve(listener, &supervisor)?;

        let (listener, scoring_url) = bind().await?;
        let config = kinitro_scoring::Config { database_url: database_url.clone(), ..Default::default() };
        kinitro_scoring::start(config, &access, listener, &supervisor).await?;

        let (listener, scheduling_url) = bind().await?;
        let config = kinitro_scheduling::Config {
            database_url: database_url.clone(),
            redis_url: redis_url.clone(),
            ingestion_url: ingestion_url.clone(),
            scoring_url: scoring_url.clone(),
            on_demand: true,
            ..Default::default()
        };
        kinitro_scheduling::start(config, &access, listener, &supervisor).await?;

        let (listener, gateway_url) = bind().await?;
        let api_key = uuid::Uuid::new_v4().simple().to_string();
        let config = kinitro_gateway::Config {
            api_key: Some(api_key.clone()),
            ingestion_url,
            scoring_url,
            scheduling_url: scheduling_url.clone(),
            ..Default::default()
        };
        kinitro_gateway::start(config, &access, listener, &supervisor).await?;

        let pool = PgPool::connect(&database_url).await?;
        Ok(Self {
            scheduling_url,
            gateway_url,
            api_key,
            pool,
            redis_url,
            access,
            supervisor,
            postgres,
            redis,
            directory,
        })
    }

    /// An operator's client of scheduling.
    pub fn scheduling(&self) -> Result<SchedulingServiceClient<MeshChannel>> {
        Ok(SchedulingServiceClient::new(self.access.channel(&self.scheduling_url)?))
    }

    /// Stops everything. An error names the first service that ended before, or did not end now.
    pub async fn stop(self) -> Result<()> {
        self.pool.close().await;
        self.supervisor.shutdown();
        self.supervisor.join(DRAIN).await?;
        self.redis.stop().await?;
        self.postgres.stop().await?;
        remove_stores(&self.directory).context("cannot remove the stores' data")
    }
}

fn remove_stores(directory: &DataDir) -> io::Result<()> {
    for store in [POSTGRES, REDIS] {
        match fs::remove_dir_all(directory.path().join(store)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

async fn bind() -> Result<(TcpListener, String)> {
    let listener = TcpListener::bind("127.0.0.1:0").await.context("cannot bind a loopback port")?;
    let url = format!("http://{}", listener.local_addr()?);
    Ok((listener, url))
}
