//! What every lease of a cycle repeats: its miners and its trace context. Immutable once the cycle is committed, so it is read once.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
};

use kinitro_domain::CycleSecret;
use sqlx::PgPool;

use super::TaskError;

/// How many cycles are kept: the running one, and those whose last tasks are still being asked for.
const KEPT: usize = 4;

/// A miner as it was when the cycle started.
#[derive(Debug)]
pub(super) struct Miner {
    pub(super) hotkey: String,
    pub(super) endpoint: String,
    pub(super) repo: String,
    pub(super) revision: String,
}

#[derive(Debug)]
pub(super) struct Snapshot {
    pub(super) traceparent: String,
    /// Where seeds come from that are drawn anew.
    pub(super) secret: CycleSecret,
    pub(super) miners: HashMap<i32, Miner>,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Snapshots(Arc<Mutex<BTreeMap<i64, Arc<Snapshot>>>>);

impl Snapshots {
    pub(super) async fn get(&self, pool: &PgPool, cycle_id: i64) -> Result<Arc<Snapshot>, TaskError> {
        if let Some(snapshot) = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&cycle_id) {
            return Ok(snapshot.clone());
        }
        let snapshot = Arc::new(read(pool, cycle_id).await?);
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.insert(cycle_id, snapshot.clone());
        while kept.len() > KEPT {
            kept.pop_first();
        }
        Ok(snapshot)
    }
}

async fn read(pool: &PgPool, cycle_id: i64) -> Result<Snapshot, TaskError> {
    let cycle = sqlx::query!("SELECT traceparent, secret FROM scheduling.cycles WHERE id = $1", cycle_id)
        .fetch_optional(pool)
        .await?
        .ok_or_else(|| TaskError::Corrupt(format!("there are tasks of cycle {cycle_id}, but no such cycle")))?;
    let secret = <[u8; 32]>::try_from(cycle.secret)
        .map_err(|_| TaskError::Corrupt(format!("the secret of cycle {cycle_id} has not 32 bytes")))?;
    let miners = sqlx::query!(
        "SELECT uid, hotkey, endpoint, repo, revision FROM scheduling.cycle_miners WHERE cycle_id = $1",
        cycle_id
    )
    .fetch_all(pool)
    .await?
    .into_iter()
    .map(|row| (row.uid, Miner { hotkey: row.hotkey, endpoint: row.endpoint, repo: row.repo, revision: row.revision }))
    .collect();
    Ok(Snapshot { traceparent: cycle.traceparent, secret: CycleSecret::from_bytes(secret), miners })
}
