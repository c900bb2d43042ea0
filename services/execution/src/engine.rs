//! The slots of an executor, and what plays in them.

use std::sync::Arc;

use kinitro_domain::EnvId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    episode::{Plan, Report, Stage},
    telemetry,
};

/// Plays episodes in a fixed number of slots.
pub(crate) struct Engine {
    pub(crate) stage: Stage,
    /// What this executor plays, and the steps after which an episode ends.
    pub(crate) environments: Vec<(EnvId, u32)>,
    slots: Arc<Semaphore>,
    size: usize,
    /// Cancelled when no new episode may start.
    pub(crate) stop: CancellationToken,
    /// Cancelled when the grace time for running episodes is over.
    pub(crate) abort: CancellationToken,
    /// Every running episode, leased or not.
    pub(crate) running: TaskTracker,
}

/// A place for one episode. Dropping it frees the place.
pub(crate) struct Slot {
    /// `None` only while it is dropped, so that the place is free before the count is shown.
    permit: Option<OwnedSemaphorePermit>,
    slots: Arc<Semaphore>,
    size: usize,
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.permit = None;
        show(&self.slots, self.size);
    }
}

fn show(slots: &Semaphore, size: usize) {
    let free = slots.available_permits();
    telemetry::slots(size.saturating_sub(free), free);
}

impl Engine {
    pub(crate) fn new(stage: Stage, environments: Vec<(EnvId, u32)>, size: usize, stop: CancellationToken) -> Self {
        let slots = Arc::new(Semaphore::new(size));
        show(&slots, size);
        Self { stage, environments, slots, size, stop, abort: CancellationToken::new(), running: TaskTracker::new() }
    }

    pub(crate) fn free_slots(&self) -> usize {
        self.slots.available_permits()
    }

    /// A slot, if one is free.
    pub(crate) fn try_slot(&self) -> Option<Slot> {
        self.slots.clone().try_acquire_owned().ok().map(|permit| self.slot(permit))
    }

    /// A slot, when one becomes free.
    pub(crate) async fn next_slot(&self) -> Slot {
        let permit = self.slots.clone().acquire_owned().await.expect("the semaphore is never closed");
        self.slot(permit)
    }

    fn slot(&self, permit: OwnedSemaphorePermit) -> Slot {
        show(&self.slots, self.size);
        Slot { permit: Some(permit), slots: self.slots.clone(), size: self.size }
    }

    /// The steps after which an episode of this environment ends; `None` when it is not played here.
    pub(crate) fn limit(&self, env_id: &EnvId) -> Option<u32> {
        self.environments.iter().find(|(known, _)| known == env_id).map(|(_, limit)| *limit)
    }

    /// Plays an episode in a slot; `None` when it was stopped on the way.
    pub(crate) async fn play(&self, plan: &Plan, slot: Slot, stop: &CancellationToken) -> Option<Report> {
        let report = tokio::select! {
            biased;
            () = stop.cancelled() => None,
            () = self.abort.cancelled() => None,
            report = self.stage.play(plan) => Some(report),
        };
        drop(slot);
        report
    }
}
