//! Scripted experts that may see where objects and goals are: privileged, and for use inside this process alone.
//!
//! They show that a task can be solved by the very actions that a policy sends: the checked, clipped [`Action`] of an ordinary
//! episode. What they look at never enters an [`Observation`](crate::Observation), so nothing that is sent to a policy can come
//! from here; whoever plays episodes for a policy must not use this module.

use kinitro_domain::EnvId;

use crate::{Action, Episode, metaworld::TaskExpert};

/// The expert of one environment. It remembers nothing, so it may be asked at any step of any episode of that environment.
#[derive(Clone, Copy)]
pub struct Oracle(TaskExpert);

impl Oracle {
    /// The expert of an environment, when there is one.
    pub fn for_env(env_id: &EnvId) -> Option<Self> {
        TaskExpert::of(env_id).map(Self)
    }

    /// What to do now. The original gives its actions in single precision, so this is rounded to that.
    pub fn act(&self, episode: &Episode) -> Action {
        let seen = episode.native_observation(true);
        let native = self.native_action(seen.as_slice().try_into().expect("39 numbers"));
        let [x, y, z, effort] = native.map(|value| f64::from(value as f32));
        Action::new([x, y, z, 0.0, 0.0, 0.0], (effort.clamp(-1.0, 1.0) + 1.0) / 2.0)
            .expect("MuJoCo resets a state that is not finite, so positions always are")
    }

    /// The action in the units of the environment's original, neither clipped nor rounded: for tests.
    #[doc(hidden)]
    pub fn native_action(&self, observation: &[f64; 39]) -> [f64; 4] {
        self.0.act(observation)
    }
}
