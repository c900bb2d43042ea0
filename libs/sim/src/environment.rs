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
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EpisodeOptions {
    /// Steps after which it ends unsolved; the environment's own limit when that is lower. At least one.
    pub max_timesteps: u32,
    /// How observations' camera images are drawn; `None` for observations without images.
    pub images: Option<ImageQuality>,
    /// How the physics varies from episode to episode.
    pub randomisation: Randomisation,
}

impl Default for EpisodeOptions {
    /// The environment's own limit, no images, the physics of the model's file.
    fn default() -> Self {
        Self { max_timesteps: u32::MAX, images: None, randomisation: Randomisation::OFF }
    }
}

/// How carefully pictures are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ImageQuality {
    /// Simplified meshes, no shadows, no reflections: what an 84×84 picture can do without. Needs no OpenGL; the same on all
    /// machines of an architecture.
    #[default]
    Fast,
    /// To the pixel what the Python renderer draws with the same OpenGL.
    Reference,
}

/// Domain randomisation: the ranges of the factors that an episode's seed draws, uniformly. They scale the model's own values from
/// the first step on, in that episode alone; the hand is parked in the nominal world.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Randomisation {
    /// Lowest and highest factor on every geom's friction coefficients. One factor an episode.
    pub friction: [f64; 2],
    /// Lowest and highest factor on every joint's damping. One factor an episode.
    pub damping: [f64; 2],
}

impl Randomisation {
    /// The model as its file has it.
    pub const OFF: Self = Self { friction: [1.0; 2], damping: [1.0; 2] };
    /// What the subnet plays.
    pub const STANDARD: Self = Self { friction: [0.8, 1.2], damping: [0.9, 1.1] };
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
    fn start(&self, start: Start<'_>, randomisation: Randomisation) -> Result<Box<dyn Scene>, SimError>;

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

    /// The physics of a step alone, without observation, reward or checks: what benchmarks compare a step with.
    fn step_bare(&mut self, action: &Action);

    /// The observation of the family's original, which tells where objects are.
    fn native_observation(&self, goal_visible: bool) -> Vec<f64>;

    fn proprioception(&self) -> Proprioception;

    /// Positions and velocities of all joints.
    fn physics(&self) -> (&[f64], &[f64]);

    /// All that the renderer needs to draw the scene.
    fn view(&self) -> View;
}
