//! Scores finished cycles and keeps scores and weights for ever.
//!
//! Scheduling hands in the tallies of a cycle; `kinitro-pareto` turns them into scores and one weight vector; both are
//! stored with the exact input, the scheme and its parameters, in one transaction. A cycle is scored once: a second
//! call with the same tallies returns what was stored, even under another configuration, and a call with other tallies
//! is refused. Nothing is held in memory between calls, so any number of replicas can run.
//!
//! Only cycles that scheduling announced are scored, and only when enough of them was played: nothing wrong is published.
//!
//! A large cycle does not fit into the 4 MiB that gRPC libraries accept by default: requests of up to
//! `kinitro_chassis::MAX_MESSAGE_BYTES` are read here, and a client of `ScoreCycle` and `GetScores` must be set to read
//! as much.

mod announced;
mod config;
mod error;
mod input;
mod no_success;
mod previous;
mod publish;
mod replay;
mod rpc;
mod statistics;
mod store;

use std::time::Duration;

pub use config::Config;
pub use error::Error;
use kinitro_chassis::{GrpcServer, MAX_MESSAGE_BYTES, MeshAccess, Supervisor};
use kinitro_database::{Address, Database, PoolSettings, Schema};
use kinitro_proto::scoring::v1::scoring_service_server::ScoringServiceServer;
pub use no_success::NoSuccess;
pub use replay::{Difference, Replay, replay};
use tokio::net::TcpListener;

use crate::{rpc::Scoring, store::Store};

/// How long a call waits for a connection to Postgres before it answers that the database is unavailable.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);
const MAX_CONNECTIONS: u32 = 8;
/// The tables of the service.
pub static SCHEMA: Schema = Schema::new("scoring", sqlx::migrate!("../../migrations/scoring"));

/// Brings the schema `scoring` up to date. Safe to run at any time and by several processes at once.
pub async fn migrate(database: impl Into<Address>) -> Result<(), Error> {
    Ok(SCHEMA.migrate(database).await?)
}

/// Serves the scoring service on `listener` until the supervisor drains. Comes up without Postgres; until it is there,
/// health says so and calls are answered UNAVAILABLE.
pub async fn start(
    config: Config,
    access: &MeshAccess,
    listener: TcpListener,
    supervisor: &Supervisor,
) -> Result<(), Error> {
    config.validate().map_err(Error::Config)?;
    let scheme = config.scheme().map_err(Error::Config)?;
    let without_success = config.without_success().map_err(Error::Config)?;
    let name = scheme.name();
    let settings = PoolSettings {
        application: "kinitro-scoring",
        max_connections: MAX_CONNECTIONS,
        acquire_limit: ACQUIRE_TIMEOUT,
        standstill_seconds: 30,
    };
    let database = Database::open(config.database(), settings).await?;
    let store = Store::new(database.pool().clone());
    let service = ScoringServiceServer::new(Scoring::new(store, scheme, without_success))
        .max_decoding_message_size(MAX_MESSAGE_BYTES);
    GrpcServer::new("scoring", access)
        .add_service(service)
        .probe("postgres", database.address().to_owned(), move || {
            let database = database.clone();
            Box::pin(async move { SCHEMA.probe(&database).await })
        })
        .serve(listener, supervisor)?;
    tracing::info!(scheme = name, no_success = without_success.name().as_str(), "scoring started");
    Ok(())
}
