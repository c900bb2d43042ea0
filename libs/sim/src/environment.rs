//! What every environment of every family is to the rest of the crate, in three stages: an [`Environment`] is a name, a [`Stage`]
//! is its model loaded and shared, a [`Scene`] is the world of one episode.

use std::sync::Arc;

use kinitro_domain::EnvId;

use crate::{Action, SimError, assets::Assets, observation::Proprioception, renderer::View, streams::Streams};

/// An environment of the registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvironmentInfo {
    /// Its id, `family/name`.
    pub env_id: EnvId,
    /// Its family.
    pub family: String,
    /// Steps after which an episode ends unsolved.
    pub max_timesteps: u32,
}

/// How to play an episode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EpisodeOptions {
    /// Steps after which it ends unsolved; the environment's own limit when that is lower. At least one.
    pub max_timesteps: u32,
    /// Whether observations carry camera images.
    pub images: bool,
}

impl Default for EpisodeOptions {
    /// The environment's own limit, no images.
    fn default() -> Self {
        Self { max_timesteps: u32::MAX, images: false }
    }
}

/// What one step brought.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepOutcome {
    /// The environment's reward for this step.
    pub reward: f64,
    /// Whether the task is solved. This also ends the episode.
    pub success: bool,
    /// Whether the episode has ended: solved, or at its step limit.
    pub finished: bool,
}

/// An environment, not loaded yet.
pub(crate) trait Environment: Send + Sync {
    fn info(&self) -> EnvironmentInfo;

    /// Loads its model. Called once per simulator.
    fn load(&self, assets: &Assets) -> Result<Arc<dyn Stage>, SimError>;
}

/// Where an episode's starting scene comes from.
pub(crate) enum Start<'a> {
    /// Drawn from the seed.
    Drawn(Streams),
    /// Meta-World's "random vector", given: for comparing with recorded rollouts.
    Given(&'a [f64]),
}

/// An environment that is loaded: immutable, shared by all episodes.
pub(crate) trait Stage: Send + Sync {
    fn start(&self, start: Start<'_>) -> Result<Box<dyn Scene>, SimError>;

    /// A digest of everything that episodes share, to show that none of them changed it.
    fn fingerprint(&self) -> [u8; 32];
}

/// What a scene says about one step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Judgement {
    pub(crate) reward: f64,
    pub(crate) success: bool,
}

/// The world of one episode. It knows nothing of step limits or of what has ended.
pub(crate) trait Scene: Send {
    /// Plays a checked action. The error is the name of the stability check that failed.
    fn step(&mut self, action: &Action) -> Result<Judgement, &'static str>;

    /// Plays an action vector in the family's own units, unchecked and unclipped, as its original would take it.
    fn step_native(&mut self, action: [f32; 4]) -> Result<Judgement, &'static str>;

    /// The observation of the family's original, which tells where objects are.
    fn native_observation(&self, goal_visible: bool) -> Vec<f64>;

    fn proprioception(&self) -> Proprioception;

    /// Positions and velocities of all joints.
    fn physics(&self) -> (&[f64], &[f64]);

    /// All that the renderer needs to draw the scene.
    fn view(&self) -> View;
}
