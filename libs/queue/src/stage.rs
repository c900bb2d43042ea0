//! Work that is written to Redis before it may be seen.
//!
//! A cycle's tasks may be leased only once they are committed in Postgres; but writing tens of thousands of them takes Redis
//! about as long as it takes Postgres. Staged, both write at the same time: into keys beside the queue, which become the queue's own
//! by `RENAME` after the commit. What is never published expires.

use std::{collections::BTreeSet, sync::LazyLock, time::Duration};

use kinitro_domain::{EnvId, TaskId};
use redis::Script;

use crate::{
    QueueError, WorkQueue,
    work::{Entry, Place},
};

static PUBLISH: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("lua/publish.lua")));

/// A transaction that takes longer enqueues in the ordinary way.
const EXPIRY: Duration = Duration::from_secs(300);

/// Tasks that were written beside the queue. Dropping it unpublished is no harm.
#[derive(Debug)]
pub struct Staged {
    tasks: Vec<Entry>,
    place: Place,
}

impl WorkQueue {
    /// Writes tasks beside the queue, in the order given.
    pub async fn stage(&self, tasks: Vec<Entry>) -> Result<Staged, QueueError> {
        let token = TaskId::new();
        let place = Place {
            work: format!("{}:staged:{token}:work:", self.keys.prefix),
            entries: format!("{}:staged:{token}:entries:", self.keys.prefix),
            environments: format!("{}:staged:{token}:environments", self.keys.prefix),
        };
        self.add(&place, &tasks, EXPIRY).await?;
        Ok(Staged { tasks, place })
    }

    /// Makes staged tasks available. Where an environment has work already, or the staged expired, they are enqueued in the
    /// ordinary way. Answers how many are new.
    pub async fn publish(&self, staged: &Staged) -> Result<u64, QueueError> {
        let names: Vec<&EnvId> = environments(&staged.tasks).into_iter().collect();
        let live = &self.keys.live;
        let mut call = PUBLISH.prepare_invoke();
        call.key(&live.environments)
            .arg(&live.work)
            .arg(&live.entries)
            .arg(&staged.place.work)
            .arg(&staged.place.entries);
        for env_id in &names {
            call.arg(env_id.as_str());
        }
        let published: Vec<i64> = self.connection.invoke(&call).await?;
        let occupied: BTreeSet<&EnvId> =
            names.into_iter().zip(&published).filter(|(_, count)| **count < 0).map(|(env_id, _)| env_id).collect();
        let rest: Vec<_> = staged.tasks.iter().filter(|entry| occupied.contains(&entry.env_id)).cloned().collect();
        let added = self.enqueue(&rest).await?;
        Ok(added + published.into_iter().filter_map(|count| u64::try_from(count).ok()).sum::<u64>())
    }
}

fn environments(tasks: &[Entry]) -> BTreeSet<&EnvId> {
    tasks.iter().map(|entry| &entry.env_id).collect()
}
