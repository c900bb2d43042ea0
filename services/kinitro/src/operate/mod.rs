//! `kinitro cycle` and `kinitro dead-letters`: what an operator asks of scheduling.

mod answer;
mod credentials;
mod cycle;
mod dead_letters;

use std::path::PathBuf;

use clap::{Args, Subcommand};

pub use cycle::run as cycle;
pub use dead_letters::run as dead_letters;

use crate::cli::MeshArgs;

/// Where scheduling is, and how its answer is shown.
#[derive(Debug, Args)]
pub struct Asking {
    /// Where scheduling listens.
    #[arg(long, env = "KINITRO_SCHEDULING_URL", default_value = "http://127.0.0.1:50052", value_name = "URL")]
    scheduling_url: String,
    #[command(flatten)]
    mesh: MeshArgs,
    /// The data directory of the `kinitro up` that is asked, which has its mesh token. Without it and without a token, that of a
    /// `kinitro up` started in this directory, where scheduling is on this machine.
    #[arg(long, value_name = "DIR", conflicts_with = "token_file")]
    data_dir: Option<PathBuf>,
    /// As JSON on stdout.
    #[arg(long)]
    json: bool,
}

/// `kinitro cycle …`.
#[derive(Debug, Subcommand)]
pub enum CycleAction {
    /// Start a cycle now, over all miners that may be evaluated.
    Start {
        /// Episodes per environment [default: as configured].
        #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
        episodes_per_env: Option<u32>,
        /// Only these environments, comma-separated [default: as configured].
        #[arg(long, value_delimiter = ',')]
        env_ids: Vec<String>,
        #[command(flatten)]
        asking: Asking,
    },
    /// Show a cycle and how far it is.
    Show {
        /// The cycle's id [default: the running one, else the newest].
        cycle: Option<u64>,
        #[command(flatten)]
        asking: Asking,
    },
    /// End a cycle without scoring it.
    Cancel {
        /// The cycle's id.
        cycle: u64,
        #[command(flatten)]
        asking: Asking,
    },
}

/// `kinitro dead-letters …`.
#[derive(Debug, Subcommand)]
pub enum DeadLettersAction {
    /// List the tasks of a cycle that used all their attempts.
    List {
        /// The cycle's id [default: the running one, else the newest].
        #[arg(long)]
        cycle: Option<u64>,
        #[command(flatten)]
        asking: Asking,
    },
    /// Put dead letters of a running cycle back into the queue, with fresh attempts.
    Requeue {
        /// The cycle's id.
        cycle: u64,
        /// Ids of tasks [default: all dead letters of the cycle].
        tasks: Vec<String>,
        #[command(flatten)]
        asking: Asking,
    },
}
