//! A cycle as a whole: running → scoring → completed or timed out, or unscored when too little was played; or running or scoring →
//! cancelled.
//!
//! Each transition is one guarded statement in Postgres, so it happens once however many replicas try. Between transitions
//! everything that is still to be done can be read from the rows, so whoever looks next goes on, after a restart too.

mod close;
mod events;
mod evidence;
mod lost;
mod rates;
mod score;
mod scoring;
mod slow;
mod start;
mod tally;
mod timer;
mod unscored;

use std::{sync::atomic::AtomicI64, time::Duration};

use kinitro_chassis::MeshChannel;
use kinitro_domain::EnvId;
use kinitro_queue::EventBus;
use sqlx::PgPool;
use tokio::sync::Notify;

pub use scoring::secret;
pub use start::{Plan, Trigger};

use crate::{config::Config, error::CycleError, miners::Ingestion, tasks::Tasks};

/// Starts, closes and scores cycles.
pub struct Cycles {
    pub pool: PgPool,
    pub tasks: Tasks,
    pub ingestion: Ingestion,
    pub scoring: MeshChannel,
    pub events: EventBus,
    pub config: Config,
    /// The environments that the configuration leaves.
    pub environments: Vec<EnvId>,
    /// Of the cancelled cycles whose tasks are known to be ended: the newest.
    pub swept: AtomicI64,
    /// A cycle ended here: look whether the next is due.
    pub closed: Notify,
}

/// A pass of a loop that takes longer hangs: the machine of Postgres is gone and nobody said so. It is begun anew on another connection.
pub const PASS_LIMIT: Duration = Duration::from_secs(600);

/// One pass, or the error that it hangs.
async fn pass<T>(steps: impl Future<Output = Result<T, CycleError>>) -> Result<T, CycleError> {
    tokio::time::timeout(PASS_LIMIT, steps).await.unwrap_or(Err(CycleError::Hangs(PASS_LIMIT)))
}
