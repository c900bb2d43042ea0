//! One episode: its steps, its limits, and the hash of everything that happened in it.

use sha2::{Digest as _, Sha256};

use crate::{
    Action, EnvironmentInfo, EpisodeOptions, Image, Observation, SimError, StepOutcome,
    environment::{Judgement, Scene},
    renderer::RendererHandle,
};

/// Versions the layout of what is hashed.
const DOMAIN: &[u8] = b"kinitro/trajectory/1\0";

/// A running episode. It owns its state; dropping it is all the cleaning up there is.
pub struct Episode {
    info: EnvironmentInfo,
    scene: Box<dyn Scene>,
    renderer: Option<RendererHandle>,
    max_timesteps: u32,
    steps: u32,
    total_reward: f64,
    success: bool,
    finished: bool,
    trajectory: Sha256,
}

impl Episode {
    pub(crate) fn new(
        info: EnvironmentInfo,
        scene: Box<dyn Scene>,
        options: EpisodeOptions,
        renderer: Option<RendererHandle>,
    ) -> Self {
        let max_timesteps = options.max_timesteps.clamp(1, info.max_timesteps);
        let mut trajectory = Sha256::new();
        trajectory.update(DOMAIN);
        trajectory.update(info.env_id.as_str().as_bytes());
        trajectory.update([0]);
        Self {
            info,
            scene,
            renderer,
            max_timesteps,
            steps: 0,
            total_reward: 0.0,
            success: false,
            finished: false,
            trajectory,
        }
    }

    /// What a policy sees now. Blocks while images are drawn, if the episode was started with images.
    pub fn observe(&mut self) -> Result<Observation, SimError> {
        let images = self.render()?.map(|drawn| {
            let upright = |(camera, image): (_, Image)| (camera, image.flipped());
            drawn.into_iter().map(upright).collect()
        });
        Ok(Observation { images, ..self.observe_without_images() })
    }

    /// The pictures as Meta-World's cameras take them, upside down: for tests against recorded images.
    #[doc(hidden)]
    pub fn render(&mut self) -> Result<Option<Vec<(&'static str, Image)>>, SimError> {
        self.renderer.as_ref().map(|renderer| renderer.draw(self.scene.view())).transpose()
    }

    /// What a policy sees now, without images even if the episode was started with them: nothing is drawn.
    pub fn observe_without_images(&self) -> Observation {
        let own = self.scene.proprioception();
        Observation {
            ee_pos: own.ee_pos,
            ee_quat: own.ee_quat,
            ee_vel_lin: own.ee_vel_lin,
            ee_vel_ang: own.ee_vel_ang,
            gripper: own.gripper,
            images: None,
        }
    }

    /// What draws this episode's reference images, in OpenGL's own words: for tests against recorded images.
    #[doc(hidden)]
    pub fn opengl(&self) -> Result<Option<String>, SimError> {
        self.renderer.as_ref().map(|renderer| renderer.opengl(self.scene.view())).transpose()
    }

    /// Plays one action. An episode that ended, or whose physics became unstable, takes no more steps.
    pub fn step(&mut self, action: &Action) -> Result<StepOutcome, SimError> {
        if self.finished {
            return Err(SimError::Finished);
        }
        let judged = self.scene.step(action);
        let outcome = self.record(judged)?;
        self.finished = outcome.finished;
        Ok(outcome)
    }

    /// Plays an action vector in the units of the environment's original, and goes on after the end: for tests against recorded
    /// rollouts.
    #[doc(hidden)]
    pub fn step_native(&mut self, action: [f32; 4]) -> Result<StepOutcome, SimError> {
        let judged = self.scene.step_native(action);
        self.record(judged)
    }

    /// The physics of a step alone, which is no step of the episode: for benchmarks.
    #[doc(hidden)]
    pub fn step_bare(&mut self, action: &Action) {
        self.scene.step_bare(action);
    }

    /// The observation of the environment's original, which tells where objects are: for tests, and for policies inside this
    /// process that may know.
    #[doc(hidden)]
    pub fn native_observation(&self, goal_visible: bool) -> Vec<f64> {
        self.scene.native_observation(goal_visible)
    }

    fn record(&mut self, judged: Result<Judgement, &'static str>) -> Result<StepOutcome, SimError> {
        self.steps += 1;
        let Judgement { mut reward, success } = judged.map_err(|warning| {
            self.finished = true;
            SimError::Unstable { env_id: self.info.env_id.clone(), step: self.steps, warning }
        })?;
        if !reward.is_finite() {
            // A formula of ours, in a corner that a policy may steer into: it must not decide whether the episode counts.
            tracing::error!(env_id = %self.info.env_id, step = self.steps, reward, "a reward is not finite and counts as 0");
            reward = 0.0;
        }
        let (qpos, qvel) = self.scene.physics();
        for value in qpos.iter().chain(qvel).chain([&reward]) {
            self.trajectory.update(value.to_bits().to_le_bytes());
        }
        self.total_reward += reward;
        self.success |= success;
        Ok(StepOutcome { reward, success, finished: success || self.steps >= self.max_timesteps })
    }

    /// SHA-256, hex, over the environment's id and, for every step so far, the bits of all joint positions, all joint velocities
    /// and the reward. Two episodes with the same hash were the same episode.
    pub fn trajectory_hash(&self) -> String {
        self.trajectory.clone().finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Which environment this is.
    pub fn info(&self) -> &EnvironmentInfo {
        &self.info
    }

    /// Steps so far.
    pub fn steps(&self) -> u32 {
        self.steps
    }

    /// The step at which it ends unsolved.
    pub fn max_timesteps(&self) -> u32 {
        self.max_timesteps
    }

    /// The sum of the rewards so far.
    pub fn total_reward(&self) -> f64 {
        self.total_reward
    }

    /// Whether a step so far solved the task.
    pub fn success(&self) -> bool {
        self.success
    }

    /// Whether it takes no more steps.
    pub fn finished(&self) -> bool {
        self.finished
    }
}
