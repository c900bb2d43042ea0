//! A family of environments, as the executor sees it: slots, and a process that plays whole episodes in them.
//!
//! A crash in MuJoCo or in a graphics driver takes its process with it. Each family has a process of its own, so that a crash costs
//! the family's running episodes one attempt and nothing else: leases, results and the other families live here, outside of it. The
//! conversation with the policy runs in there too, beside the simulation, so that no step of an episode crosses a process boundary.
//!
//! - `protocol`: what executor and process say to each other.
//! - `process`: a child process that cannot outlive us.
//! - `child`: one life of it, from its start to its end, however it ends.
//! - `desk`: who waits for which episode.
//! - `slots`: how many may play; none while the process is away.
//! - `streak`: when a process that lives is of no use.
//! - `supervision`: starts the next one.
//! - `worker`: the other side, the process itself.

mod child;
mod desk;
mod process;
mod protocol;
mod slots;
mod streak;
mod supervision;
mod worker;

use std::sync::Arc;

use kinitro_domain::EnvId;
use tokio_util::sync::CancellationToken;

pub use process::WorkerCommand;
pub(crate) use protocol::{Play, Settings};
pub(crate) use slots::{Slot, Slots};
pub(crate) use supervision::{Supervision, first};
pub use worker::family_worker;

use crate::{
    episode::{Plan, Report},
    telemetry,
};
use desk::{Desk, Waiting};

/// A family that this executor plays.
pub(crate) struct Family {
    pub(crate) name: String,
    /// Its environments, and the steps after which an episode ends.
    pub(crate) environments: Vec<(EnvId, u32)>,
    pub(crate) slots: Slots,
    desk: Arc<Desk>,
}

/// What came of an episode that was to be played.
pub(crate) enum Ended {
    /// It has a result.
    Played(Report),
    /// It was stopped on the way.
    Stopped,
}

/// An episode that the family's process was handed. Dropping it stops the episode.
pub(crate) struct Playing {
    env_id: EnvId,
    waiting: Waiting,
}

impl Family {
    /// A family whose process is not up yet.
    pub(crate) fn new(name: String, environments: Vec<(EnvId, u32)>, slots: usize) -> Self {
        Self { slots: Slots::new(&name, slots), name, environments, desk: Arc::default() }
    }

    /// The steps after which an episode of this environment ends; `None` when it is of another family.
    pub(crate) fn limit(&self, env_id: &EnvId) -> Option<u32> {
        self.environments.iter().find(|(known, _)| known == env_id).map(|(_, limit)| *limit)
    }

    /// Hands an episode to the process; `None` when there is none. Whoever calls holds a slot.
    pub(crate) fn begin(&self, plan: &Plan) -> Option<Playing> {
        Some(Playing { env_id: plan.env_id.clone(), waiting: self.desk.begin(Play::of(plan))? })
    }
}

impl Playing {
    /// What comes of it; `reached` is called when the policy was reached.
    pub(crate) async fn ended(
        mut self,
        reached: impl FnOnce(),
        stop: &CancellationToken,
        abort: &CancellationToken,
    ) -> Ended {
        let report = tokio::select! {
            biased;
            // What has ended has a result, also in the moment in which it would be stopped.
            report = self.waiting.report(reached) => report,
            () = stop.cancelled() => return Ended::Stopped,
            () = abort.cancelled() => return Ended::Stopped,
        };
        telemetry::episode(&self.env_id, &report);
        Ended::Played(report)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use kinitro_domain::Cause;
    use tokio::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn a_report_that_is_there_outlives_the_stop_that_comes_with_it() {
        let family = Family::new("metaworld".to_owned(), Vec::new(), 1);
        #[expect(clippy::disallowed_methods, reason = "a test with one message")]
        let (sender, _orders) = mpsc::unbounded_channel();
        family.desk.open(sender);
        let plan = Plan {
            env_id: "metaworld/push-v3".parse().unwrap(),
            seed: 1,
            endpoint: "http://policy.example".parse().unwrap(),
            address: None,
            entrant: None,
            max_timesteps: 1,
            images: false,
            task_uuid: String::new(),
        };
        let stop = CancellationToken::new();
        let (done, hanging) = (family.begin(&plan).unwrap(), family.begin(&plan).unwrap());
        family.desk.ended(1, Report::fault(Cause::StepLimit, String::new()));
        stop.cancel();
        assert!(
            matches!(done.ended(|| (), &stop, &stop).await, Ended::Played(report) if report.cause == Cause::StepLimit)
        );
        assert!(matches!(hanging.ended(|| (), &stop, &stop).await, Ended::Stopped));
    }
}
