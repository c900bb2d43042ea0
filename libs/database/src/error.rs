//! What can go wrong on the way to the database.

use std::{path::PathBuf, time::Duration};

/// The database cannot be used. Every message names the address where there is one, and never a password.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// The URL cannot be used. It is not shown, it may hold a password.
    #[error("the database URL {reason}; write it as postgres://user:password@host:5432/database")]
    Url {
        /// What is wrong with it.
        reason: String,
    },
    /// Two settings that exclude each other.
    #[error("database_password and database_password_file are both set: keep one of them")]
    TwoPasswords,
    /// The file of the password cannot be used.
    #[error("database_password_file {path} cannot be used: {reason}")]
    PasswordFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Behind a pooler that gives each transaction or statement another session.
    #[error(
        "postgres at {address} is behind a pooler that shares its sessions (PgBouncer's pool_mode = transaction or statement), where \
         prepared statements, session limits and migration locks do not hold: set pool_mode = session, or give the address of Postgres \
         itself"
    )]
    SharedSessions {
        /// Host and port, or the directory of the socket.
        address: String,
    },
    /// Nothing came.
    #[error(
        "no answer from postgres at {address} within {limit:?}; check that it runs there and that the network lets us through"
    )]
    NoAnswer {
        /// Host and port, or the directory of the socket.
        address: String,
        /// How long was waited.
        limit: Duration,
    },
    /// Postgres refused, or was not reached.
    #[error("postgres at {address}: {source}; check that it runs there and takes the user and the password")]
    Postgres {
        /// Host and port, or the directory of the socket.
        address: String,
        /// What happened.
        source: sqlx::Error,
    },
    /// The tables of a schema could not be brought up to date.
    #[error(
        "the schema `{schema}` could not be brought up to date: {source}; where it is missing, the user needs the right to create \
         schemas, otherwise it must own the schema"
    )]
    Migrate {
        /// The schema.
        schema: &'static str,
        /// What happened.
        source: sqlx::migrate::MigrateError,
    },
    /// The tables are those of another release.
    #[error("{0}")]
    Schema(crate::SchemaState),
    /// The role of a service exists and may do anything.
    #[error("the role {role} is a superuser, and a service must not be one: ALTER ROLE {role} NOSUPERUSER")]
    Superuser {
        /// The role.
        role: String,
    },
}
