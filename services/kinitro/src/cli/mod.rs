//! What a person types, an area a file. Names and defaults are those of the operators' guides; `kinitro <command> --help` shows them.
//!
//! A flag that is not given leaves the field to the environment, then to the file, then to the default.

mod chain;
mod crypto;
mod db;
mod devchain;
mod mesh;
mod miner;
mod passwords;
mod policy;
mod secret;
mod services;
mod up;
mod validate;

use std::{env, net::IpAddr, path::PathBuf};

use clap::{Arg, Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand, builder::Resettable};

pub use chain::{SubnetArgs, WalletArgs, hotkey};
pub use crypto::{
    CryptoAction, FetchPublicKeyArgs, GenerateKeypairArgs, PrivateKeyArgs, PublishPublicKeyArgs, TestEncryptionArgs,
};
pub use db::{DatabaseArgs, DbAction};
pub use devchain::DevchainArgs;
pub use mesh::MeshArgs;
pub use miner::{CommitArgs, MinerAction, SealedForm, ShowCommitmentArgs};
pub use passwords::warn_of_passwords;
pub use policy::PolicyAction;
pub use services::{ExecutionArgs, GatewayArgs, IngestionArgs, SchedulingArgs, ScoringArgs};
pub use up::{DemoArgs, InternalPorts, UpArgs};
pub use validate::ValidateArgs;

use crate::{
    env::EnvAction,
    operate::{CycleAction, DeadLettersAction},
    score::ScoreAction,
};

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

impl Cli {
    /// What was typed. Ends the process with status 2 when it cannot be understood.
    pub fn read() -> Self {
        let matches = without_empty_variables(Self::command()).get_matches();
        Self::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
    }
}

/// An empty variable counts as not set, as in all our settings: that is what `${NAME:-}` leaves behind.
fn without_empty_variables(command: clap::Command) -> clap::Command {
    let is_empty = |argument: &Arg| argument.get_env().and_then(env::var_os).is_some_and(|value| value.is_empty());
    command
        .mut_args(|argument| if is_empty(&argument) { argument.env(Resettable::Reset) } else { argument })
        .mut_subcommands(without_empty_variables)
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
    /// Set the backend's weights on the chain, for ever.
    #[command(visible_alias = "validator")]
    Validate(ValidateArgs),
    /// A local chain for development: real wire formats, no consensus.
    Devchain(DevchainArgs),
    /// The database.
    Db {
        /// What to do with it.
        #[command(subcommand)]
        action: DbAction,
    },
    /// Evaluation cycles: start one, look at it, end it.
    Cycle {
        /// What to do.
        #[command(subcommand)]
        action: CycleAction,
    },
    /// Tasks that used all their attempts.
    DeadLetters {
        /// What to do.
        #[command(subcommand)]
        action: DeadLettersAction,
    },
    /// What miners do: commit a policy on the chain, and see what is committed.
    Miner {
        /// What to do.
        #[command(subcommand)]
        action: MinerAction,
    },
    /// Keys for sealed endpoints: make them, publish them, try them.
    Crypto {
        /// What to do.
        #[command(subcommand)]
        action: CryptoAction,
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

fn is_false(flag: &bool) -> bool {
    !flag
}
