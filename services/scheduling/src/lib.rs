//! Owns evaluation cycles and their tasks.
//!
//! Postgres is the truth: which cycle runs, which task is open, which result counts. Redis only carries the work to executors.
//! Nothing is kept in memory that a restart would miss, so any number of replicas may run; what must happen once, starting a
//! cycle and closing it, is guarded in Postgres.
//!
//! - `tasks`: the leases, completions and dead letters of single episodes.
//! - `cycles`: starting, watching, closing and scoring a cycle as a whole.
//! - `miners`: the list of ingestion, and which miners a cycle can evaluate.
//! - `views`: what the public may ask.
//! - `service`: the gRPC face; it only validates and delegates.

mod config;
mod cycles;
mod database;
mod error;
mod miners;
mod server;
mod service;
pub mod tasks;
mod views;

pub use config::{Config, MAX_ENVIRONMENTS, MAX_EPISODES_PER_ENV};
pub use error::Error;
pub use server::{SCHEMA, migrate, start};
