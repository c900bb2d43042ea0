//! The services, one a process.

use clap::{ArgAction, Args};
use serde::Serialize;

use super::{Listen, MeshArgs, is_false};

/// `kinitro gateway`.
#[derive(Debug, Args)]
pub struct GatewayArgs {
    #[command(flatten)]
    pub listen: Listen,
    #[command(flatten)]
    pub flags: GatewayFlags,
    #[command(flatten)]
    pub mesh: MeshArgs,
}

/// Flags that are fields of the gateway's configuration.
#[derive(Debug, Default, Args, Serialize)]
pub struct GatewayFlags {
    /// Accepted for existing deployments; the gateway asks the services and needs no database.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database_url: Option<String>,
    /// Disable API key authentication; loopback only.
    #[arg(long, action = ArgAction::SetTrue)]
    #[serde(skip_serializing_if = "is_false")]
    pub no_auth: bool,
    /// With --no-auth: bind to any address all the same.
    #[arg(long, requires = "no_auth", action = ArgAction::SetTrue)]
    #[serde(skip_serializing_if = "is_false")]
    pub no_auth_on_any_address: bool,
    /// Where ingestion listens.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ingestion_url: Option<String>,
    /// Where scheduling listens.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheduling_url: Option<String>,
    /// Where scoring listens.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scoring_url: Option<String>,
}

/// `kinitro scheduling`.
#[derive(Debug, Args)]
pub struct SchedulingArgs {
    #[command(flatten)]
    pub listen: Listen,
    /// Bittensor network; ingestion reads the chain, so this is accepted for existing deployments only.
    #[arg(long)]
    pub network: Option<String>,
    /// Subnet; accepted for existing deployments, as --network.
    #[arg(long)]
    pub netuid: Option<u16>,
    #[command(flatten)]
    pub flags: SchedulingFlags,
    #[command(flatten)]
    pub mesh: MeshArgs,
}

/// Flags that are fields of scheduling's configuration.
#[derive(Debug, Default, Args, Serialize)]
pub struct SchedulingFlags {
    /// PostgreSQL connection URL.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database_url: Option<String>,
    /// Redis connection URL.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redis_url: Option<String>,
    /// Seconds between evaluation cycles.
    #[arg(long = "eval-interval")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eval_interval_seconds: Option<u64>,
    /// Episodes per environment.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub episodes_per_env: Option<u32>,
    /// Only these families, comma-separated.
    #[arg(long, value_delimiter = ',')]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub env_families: Option<Vec<String>>,
    /// Start cycles only when asked.
    #[arg(long, action = ArgAction::SetTrue)]
    #[serde(skip_serializing_if = "is_false")]
    pub on_demand: bool,
    /// Where ingestion listens.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ingestion_url: Option<String>,
    /// Where scoring listens.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scoring_url: Option<String>,
}

/// `kinitro execution`.
#[derive(Debug, Args)]
pub struct ExecutionArgs {
    #[command(flatten)]
    pub listen: Listen,
    #[command(flatten)]
    pub flags: ExecutionFlags,
    #[command(flatten)]
    pub mesh: MeshArgs,
}

/// Flags that are fields of execution's configuration.
#[derive(Debug, Default, Args, Serialize)]
pub struct ExecutionFlags {
    /// Accepted for existing deployments; this executor speaks gRPC to --scheduling-url.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_url: Option<String>,
    /// Where scheduling listens.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheduling_url: Option<String>,
    /// Tasks to lease at a time.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch_size: Option<u32>,
    /// Seconds between polls for tasks when there are none.
    #[arg(long = "poll-interval")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub poll_interval_seconds: Option<u64>,
    /// Accepted for existing deployments; environments are built in. The families it names are played, unless --env-families says others.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eval_images: Option<String>,
    /// The name under which tasks are leased [default: executor-RANDOM].
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub executor_id: Option<String>,
    /// Accepted for existing deployments; environments are built in.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eval_image: Option<String>,
    /// Accepted for existing deployments; pictures are drawn by the executor itself.
    #[arg(long, action = ArgAction::SetTrue)]
    #[serde(skip_serializing_if = "is_false")]
    pub eval_gpu: bool,
    /// Accepted for existing deployments; no container is run.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eval_mode: Option<String>,
    /// Accepted for existing deployments; every family always runs in a process of its own.
    #[arg(long = "concurrent", action = ArgAction::SetTrue)]
    #[serde(skip_serializing_if = "is_false")]
    pub use_concurrent_executor: bool,
    /// Episodes in flight per environment family.
    #[arg(long = "max-concurrent")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_max_concurrent: Option<u32>,
    /// Only these families, comma-separated.
    #[arg(long, value_delimiter = ',')]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub env_families: Option<Vec<String>>,
    /// Let policies be at private and loopback addresses.
    #[arg(long, action = ArgAction::SetTrue)]
    #[serde(skip_serializing_if = "is_false")]
    pub allow_private_endpoints: bool,
}

/// `kinitro ingestion`.
#[derive(Debug, Args)]
pub struct IngestionArgs {
    #[command(flatten)]
    pub listen: Listen,
    #[command(flatten)]
    pub flags: IngestionFlags,
    #[command(flatten)]
    pub mesh: MeshArgs,
}

/// Flags that are fields of ingestion's configuration.
#[derive(Debug, Default, Args, Serialize)]
pub struct IngestionFlags {
    /// PostgreSQL connection URL.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database_url: Option<String>,
    /// Bittensor network: finney, test, local, or a ws(s) URL.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network: Option<String>,
    /// Subnet UID.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub netuid: Option<u16>,
    /// Take endpoints at private and loopback addresses.
    #[arg(long, action = ArgAction::SetTrue)]
    #[serde(skip_serializing_if = "is_false")]
    pub allow_private_endpoints: bool,
}

/// `kinitro scoring`.
#[derive(Debug, Args)]
pub struct ScoringArgs {
    #[command(flatten)]
    pub listen: Listen,
    #[command(flatten)]
    pub flags: ScoringFlags,
    #[command(flatten)]
    pub mesh: MeshArgs,
}

/// Flags that are fields of scoring's configuration.
#[derive(Debug, Default, Args, Serialize)]
pub struct ScoringFlags {
    /// PostgreSQL connection URL.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database_url: Option<String>,
    /// Softmax temperature for weight conversion.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pareto_temperature: Option<f64>,
}
