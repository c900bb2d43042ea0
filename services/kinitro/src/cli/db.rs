//! The database.

use clap::{Args, Subcommand};

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
