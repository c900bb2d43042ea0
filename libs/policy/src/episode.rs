//! What an episode and a policy say to each other, whatever carries it.

use std::time::Duration;

use futures::future::{BoxFuture, FutureExt as _, ready};

use crate::Fault;

/// A policy within one episode. Dropping it ends the conversation.
pub trait Policy: Send {
    /// Begins the episode.
    fn reset<'a>(&'a mut self, task: &'a TaskConfig) -> BoxFuture<'a, Result<(), Fault>>;

    /// Asks for the action that answers an observation.
    fn act<'a>(&'a mut self, observation: &'a Observation) -> BoxFuture<'a, Result<Action, Fault>>;

    /// How long an answer to [`Policy::reset`] and [`Policy::act`] may take from now on; the action timeout unless it was set.
    fn set_patience(&mut self, within: Duration);

    /// Whether the next [`Policy::act`] looks at its observation. When not, the policy has said already what it does next: `act` answers at
    /// once, whatever it is given, and nothing need be observed, drawn or counted as an answer of the policy.
    fn wants_observation(&self) -> bool {
        true
    }

    /// Makes sure that the policy can be asked at once, when it was not asked for so long that its connection may be gone. How long it takes
    /// is on nobody's account: the executor let it rest. [`Policy::reset`] and [`Policy::act`] do so too, before the time for their answer
    /// begins; who measures them calls this before.
    fn ensure_connected(&mut self) -> BoxFuture<'_, Result<(), Fault>> {
        ready(Ok(())).boxed()
    }
}

impl<P: Policy + ?Sized> Policy for Box<P> {
    fn reset<'a>(&'a mut self, task: &'a TaskConfig) -> BoxFuture<'a, Result<(), Fault>> {
        (**self).reset(task)
    }

    fn act<'a>(&'a mut self, observation: &'a Observation) -> BoxFuture<'a, Result<Action, Fault>> {
        (**self).act(observation)
    }

    fn set_patience(&mut self, within: Duration) {
        (**self).set_patience(within);
    }

    fn wants_observation(&self) -> bool {
        (**self).wants_observation()
    }

    fn ensure_connected(&mut self) -> BoxFuture<'_, Result<(), Fault>> {
        (**self).ensure_connected()
    }
}

/// What a policy is told about its episode.
#[derive(Debug, Clone)]
pub struct TaskConfig {
    /// `family/name`, e.g. `metaworld/push-v3`.
    pub env_id: String,
    /// The family, e.g. `metaworld`.
    pub env_name: String,
    /// The part after the family, e.g. `push-v3`.
    pub task_name: String,
    /// A random number below 2³¹ for the policy's own use. It must not come from the episode's seed.
    pub policy_seed: u32,
    /// Another one, under which a policy may file the episode. The backend's own task is none of its business.
    pub task_id: u32,
}

/// What a policy sees at one moment.
#[derive(Debug, Clone, Default)]
pub struct Observation {
    /// Channels of proprioception: name and numbers, units as `contracts.md` gives them.
    pub proprio: Vec<(&'static str, Vec<f64>)>,
    /// Camera images by name; empty when images are off.
    pub rgb: Vec<(&'static str, Image)>,
}

/// A picture of 8-bit RGB, row by row from the top.
#[derive(Debug, Clone)]
pub struct Image {
    /// Pixels a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// `height * width * 3` bytes.
    pub rgb: Vec<u8>,
}

/// One channel of an action: how many numbers, and the range that they are clipped to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ChannelSpec {
    /// The name in `action.continuous`.
    pub name: &'static str,
    /// How many numbers. A channel of one may be sent as a bare number.
    pub len: usize,
    /// The lowest value.
    pub low: f64,
    /// The highest value.
    pub high: f64,
}

/// The action of the family `metaworld`.
pub const METAWORLD_ACTION: &[ChannelSpec] = &[
    ChannelSpec { name: "ee_twist", len: 6, low: -1.0, high: 1.0 },
    ChannelSpec { name: "gripper", len: 1, low: 0.0, high: 1.0 },
];

/// An answer that was checked: one list a channel in the order of the specification, of the length given there, finite and in range.
#[derive(Debug, Clone, PartialEq)]
pub struct Action(pub Vec<Vec<f64>>);
