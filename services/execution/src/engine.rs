//! All that an executor plays with, and the tokens that stop it.

use std::sync::Arc;

use kinitro_domain::EnvId;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::family::Family;

/// The families of an executor, and what runs in them.
pub(crate) struct Engine {
    pub(crate) families: Vec<Arc<Family>>,
    /// Cancelled when no new episode may start.
    pub(crate) stop: CancellationToken,
    /// Cancelled when the grace time for running episodes is over.
    pub(crate) abort: CancellationToken,
    /// Every running episode, leased or not.
    pub(crate) running: TaskTracker,
}

impl Engine {
    pub(crate) fn new(families: Vec<Arc<Family>>, stop: CancellationToken) -> Self {
        Self { families, stop, abort: CancellationToken::new(), running: TaskTracker::new() }
    }

    /// The family that plays an environment here.
    pub(crate) fn family(&self, env_id: &EnvId) -> Option<&Arc<Family>> {
        self.families.iter().find(|family| family.limit(env_id).is_some())
    }
}
