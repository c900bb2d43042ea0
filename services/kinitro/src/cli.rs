//! What a person types. Names and defaults are those of the operators' guides; `kinitro <command> --help` shows them.
//!
//! A flag that is not given leaves the field to the environment, then to the file, then to the default.

use std::{net::IpAddr, path::PathBuf};

use clap::{ArgAction, Args, Parser, Subcommand};
use serde::Serialize;

use crate::{env::EnvAction, policy::Kind, score::ScoreAction};

/// Evaluates robot policies for a Bittensor subnet.
#[derive(Debug, Parser)]
#[command(name = "kinitro", version, propagate_version = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Settings in TOML, one section a service.
    #[arg(long, global = true, value_name = "FILE", env = "KINITRO_CONFIG")]
    pub config: Option<PathBuf>,
    /// DEBUG, INFO, WARNING or ERROR, or a filter such as `info,kinitro_queue=debug`.
    #[arg(long, global = true, value_name = "LEVEL")]
    pub log_level: Option<String>,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run every service in this process, with private Postgres and Redis unless URLs are given.
    Up(Box<UpArgs>),
    /// Play one cycle end to end on a local chain with four sample miners, and show the result.
    Demo(DemoArgs),
    /// The REST face.
    #[command(visible_alias = "api")]
    Gateway(GatewayArgs),
    /// Cycles, tasks, leases, results.
    #[command(visible_alias = "scheduler")]
    Scheduling(SchedulingArgs),
    /// Episodes.
    #[command(visible_alias = "executor")]
    Execution(ExecutionArgs),
    /// What miners committed on the chain.
    Ingestion(IngestionArgs),
    /// Scores, frontiers, weights.
    Scoring(ScoringArgs),
    /// A local chain for development: real wire formats, no consensus.
    Devchain(DevchainArgs),
    /// The database.
    Db {
        /// What to do with it.
        #[command(subcommand)]
        action: DbAction,
    },
    /// Sample policies.
    Policy {
        /// What to do.
        #[command(subcommand)]
        action: PolicyAction,
    },
    /// Look at the environments in this process: list them, check them against Meta-World, try them.
    Env {
        /// What to do.
        #[command(subcommand)]
        action: EnvAction,
    },
    /// Scoring: try a scheme against attackers, check what was scored.
    Score {
        /// What to do.
        #[command(subcommand)]
        action: ScoreAction,
    },
    /// Print the effective configuration of every service, secrets redacted.
    Config,
    /// The simulation process of one environment family, as an executor starts it.
    #[command(hide = true)]
    FamilyWorker,
    /// Ask a service whether it is well: exit 0 when it is, 1 when not. For container health checks.
    Health {
        /// The service's URL, e.g. http://127.0.0.1:50052, or the gateway's /health.
        url: String,
    },
}

/// Where a service listens.
#[derive(Debug, Args)]
pub struct Listen {
    /// Bind address.
    #[arg(long)]
    pub host: Option<IpAddr>,
    /// Bind port.
    #[arg(long)]
    pub port: Option<u16>,
}

/// `kinitro up`.
#[derive(Debug, Args)]
pub struct UpArgs {
    /// Where the private Postgres and Redis keep their data; by default `.kinitro` here, or `/var/lib/kinitro` when we are root and
    /// the unprivileged user that Postgres runs as cannot get here.
    #[arg(long)]
    pub data_dir: Option<PathBuf>,
    /// Postgres to use instead of a private one.
    #[arg(long, env = "KINITRO_DATABASE_URL", hide_env_values = true)]
    pub database_url: Option<String>,
    /// Redis to use instead of a private one.
    #[arg(long, env = "KINITRO_REDIS_URL", hide_env_values = true)]
    pub redis_url: Option<String>,
    /// Chain: finney, test, a ws(s) URL, or `dev` for a development chain in this process.
    #[arg(long, default_value = "dev")]
    pub network: String,
    /// Subnet.
    #[arg(long)]
    pub netuid: Option<u16>,
    /// Who is on the development chain: a TOML file (see `kinitro devchain --help`).
    #[arg(long)]
    pub seed_file: Option<PathBuf>,
    /// On the development chain: register four sample miners and serve their policies.
    #[arg(long, conflicts_with = "seed_file")]
    pub samples: bool,
    /// Port of the development chain.
    #[arg(long, default_value_t = 9944)]
    pub chain_port: u16,
    /// Address and port of the gateway.
    #[command(flatten)]
    pub listen: Listen,
    /// Disable API key authentication (loopback only).
    #[arg(long)]
    pub no_auth: bool,
    /// Seconds between cycles.
    #[arg(long)]
    pub eval_interval: Option<u64>,
    /// Episodes per environment.
    #[arg(long)]
    pub episodes_per_env: Option<u32>,
    /// Episodes in flight per environment family in this process's executor.
    #[arg(long)]
    pub max_concurrent: Option<u32>,
    /// Leave camera images out of the observations.
    #[arg(long)]
    pub no_images: bool,
    /// Start cycles only when asked.
    #[arg(long)]
    pub on_demand: bool,
    /// Run no executor here (others lease over gRPC or REST).
    #[arg(long)]
    pub no_executor: bool,
    /// Let policies be at private and loopback addresses.
    #[arg(long)]
    pub allow_private_endpoints: bool,
}

/// `kinitro demo`.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Episodes per environment.
    #[arg(long, default_value_t = 8)]
    pub episodes_per_env: u32,
    /// Send camera images to the policies, as in production (slower on a CPU).
    #[arg(long)]
    pub images: bool,
    /// The result as JSON on stdout.
    #[arg(long)]
    pub json: bool,
}

/// `kinitro gateway`.
#[derive(Debug, Args)]
pub struct GatewayArgs {
    #[command(flatten)]
    pub listen: Listen,
    #[command(flatten)]
    pub flags: GatewayFlags,
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
}

/// `kinitro scoring`.
#[derive(Debug, Args)]
pub struct ScoringArgs {
    #[command(flatten)]
    pub listen: Listen,
    #[command(flatten)]
    pub flags: ScoringFlags,
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

/// `kinitro devchain`.
#[derive(Debug, Args)]
pub struct DevchainArgs {
    #[command(flatten)]
    pub listen: Listen,
    #[command(flatten)]
    pub flags: DevchainFlags,
}

/// Flags that are fields of the development chain's configuration.
#[derive(Debug, Default, Args, Serialize)]
pub struct DevchainFlags {
    /// Who is registered: TOML with `netuid` and `[[neurons]]` of `uid`, `hotkey` (SS58 or //Name) and `stake`.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed_file: Option<PathBuf>,
    /// Milliseconds between blocks.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub block_ms: Option<u64>,
    /// Blocks between the best head and the finalized one.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finality_lag: Option<u32>,
}

/// `kinitro db …`.
#[derive(Debug, Subcommand)]
pub enum DbAction {
    /// Create the database if it is not there.
    Create(DatabaseArgs),
    /// Create or upgrade the tables.
    Init(DatabaseArgs),
    /// Show cycles, miners and the latest weights.
    Status {
        #[command(flatten)]
        database: DatabaseArgs,
        /// As JSON on stdout.
        #[arg(long)]
        json: bool,
    },
    /// Delete everything and create empty tables.
    Reset {
        #[command(flatten)]
        database: DatabaseArgs,
        /// Really delete.
        #[arg(long)]
        force: bool,
    },
}

/// Which database.
#[derive(Debug, Args)]
pub struct DatabaseArgs {
    /// PostgreSQL connection URL.
    #[arg(long, env = "KINITRO_SCHEDULER_DATABASE_URL", hide_env_values = true)]
    pub database_url: String,
}

/// `kinitro policy …`.
#[derive(Debug, Subcommand)]
pub enum PolicyAction {
    /// Serve a sample policy over HTTP and gRPC, both on one port, until Ctrl-C.
    Serve {
        /// What it does.
        #[arg(long, value_enum)]
        kind: Kind,
        /// Bind address.
        #[arg(long, default_value = "127.0.0.1")]
        host: IpAddr,
        /// Bind port; 0 for a free one.
        #[arg(long)]
        port: u16,
        /// How long every answer to an observation takes.
        #[arg(long, default_value_t = 0)]
        latency_ms: u64,
        /// How many actions an answer over gRPC holds.
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
        chunk: u32,
    },
}

fn is_false(flag: &bool) -> bool {
    !flag
}
