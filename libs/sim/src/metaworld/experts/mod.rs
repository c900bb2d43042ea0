//! The scripted experts: one way to solve each task, for those who may see where things are.
//!
//! They are the experts of Meta-World 3.1.1 (its `policies`; waypoints, thresholds, gains and efforts are facts from there): the
//! hand moves in proportion to the way left to a waypoint, which the first leg that still lasts decides. What looks odd in one
//! of them is in the original too, and is kept so that its success can be compared; the odd place says so.
//!
//! The files sort them by what the hand does to the object.

mod carry;
mod engine;
mod press;
mod pull;
mod reach;
mod slide;
mod tools;
mod turn;

use kinitro_domain::EnvId;

use super::stage::FAMILY;
use engine::Expert;

/// The expert of one task.
#[derive(Clone, Copy)]
pub(crate) struct TaskExpert(&'static Expert);

impl TaskExpert {
    /// The expert of an environment of this family.
    pub(crate) fn of(env_id: &EnvId) -> Option<Self> {
        if env_id.family() != FAMILY {
            return None;
        }
        let all = [
            reach::EXPERTS,
            press::EXPERTS,
            turn::EXPERTS,
            pull::EXPERTS,
            slide::EXPERTS,
            carry::EXPERTS,
            tools::EXPERTS,
        ];
        all.into_iter().flatten().find(|expert| expert.task == env_id.name()).map(Self)
    }

    /// The action x, y, z, effort for an observation of Meta-World with the goal in it; not clipped.
    pub(crate) fn act(self, observation: &[f64; 39]) -> [f64; 4] {
        self.0.act(observation)
    }
}
