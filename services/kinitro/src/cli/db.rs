//! The database.

use anyhow::Result;
use clap::{Args, CommandFactory as _, Subcommand, error::ErrorKind};
use kinitro_database::Address;
use serde_json::{Value, json};

use super::Cli;
use crate::settings::Settings;

/// `kinitro db …`.
#[derive(Debug, Subcommand)]
pub enum DbAction {
    /// Create the database if it is not there.
    Create(DatabaseArgs),
    /// Create or upgrade the tables, and the services' roles where their passwords are set (docs/operators.md).
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
    /// PostgreSQL connection URL; without it KINITRO_DB_DATABASE_URL, KINITRO_SCHEDULER_DATABASE_URL, or the sections [db] and
    /// [scheduling] of the file. Put the password into a variable or a file (docs/operators.md).
    #[arg(long)]
    pub database_url: Option<String>,
}

impl DatabaseArgs {
    /// The database that was named, with the password from wherever it is. Ends the process with status 2 when none was named.
    pub fn address(&self, settings: &Settings) -> Result<Address> {
        let own = settings.db(json!({ "database_url": self.database_url }))?;
        let scheduling = settings.scheduling(Value::Null)?;
        let url = match own.database_url {
            Some(url) => url,
            None if scheduling.database_url != kinitro_scheduling::Config::default().database_url => scheduling.database_url,
            None => Cli::command()
                .error(
                    ErrorKind::MissingRequiredArgument,
                    "which database? Give --database-url, or KINITRO_SCHEDULER_DATABASE_URL, or [scheduling] database_url in --config",
                )
                .exit(),
        };
        // Either all of our own credentials count, or those of scheduling.
        let own_credentials =
            [own.database_user.is_some(), own.database_password.is_some(), own.database_password_file.is_some()];
        let (user, password, file) = if own_credentials.contains(&true) {
            (own.database_user, own.database_password, own.database_password_file)
        } else {
            (scheduling.database_user, scheduling.database_password, scheduling.database_password_file)
        };
        Ok(Address::new(url).with(user, password, file))
    }
}
