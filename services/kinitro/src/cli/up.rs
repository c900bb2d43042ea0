//! The whole backend in one process.

use std::path::PathBuf;

use clap::Args;

use super::{Listen, MeshArgs};

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
    /// Port of the development chain; without it 9944, or a free one where that is taken.
    #[arg(long)]
    pub chain_port: Option<u16>,
    /// Ports of what runs inside.
    #[command(flatten)]
    pub ports: InternalPorts,
    /// Address and port of the gateway.
    #[command(flatten)]
    pub listen: Listen,
    /// The token that its services show each other; without one it makes its own.
    #[command(flatten)]
    pub mesh: MeshArgs,
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

/// Where the parts of `kinitro up` listen on loopback. One that is given is used or refused; one that is not is the well-known port,
/// or a free one where that is taken.
#[derive(Debug, Default, Clone, Args)]
pub struct InternalPorts {
    /// Port of ingestion.
    #[arg(long)]
    pub ingestion_port: Option<u16>,
    /// Port of scheduling.
    #[arg(long)]
    pub scheduling_port: Option<u16>,
    /// Port of scoring.
    #[arg(long)]
    pub scoring_port: Option<u16>,
    /// Port of the executor.
    #[arg(long)]
    pub execution_port: Option<u16>,
    /// Port of the private Postgres.
    #[arg(long, conflicts_with = "database_url")]
    pub postgres_port: Option<u16>,
    /// Port of the private Redis.
    #[arg(long, conflicts_with = "redis_url")]
    pub redis_port: Option<u16>,
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
