//! A task as an environment: its model, loaded and shared, and how an episode starts on it.

use std::{marker::PhantomData, path::PathBuf, sync::Arc};

use kinitro_domain::EnvId;
use mujoco_rs::prelude::MjModel;

use super::{sawyer::Sawyer, scene::TaskScene, task::Task};
use crate::{
    EnvironmentInfo, SimError,
    assets::Assets,
    environment::{Environment, Scene, Stage, Start},
    model,
};

/// The family's name.
const FAMILY: &str = "metaworld";
/// Meta-World's horizon.
const MAX_TIMESTEPS: u32 = 500;
/// The stream that an episode's random vector is drawn from.
const RANDOM_VECTOR: &str = "random-vector";

/// A task of the registry.
pub(super) struct Playable<T>(PhantomData<T>);

impl<T: Task> Playable<T> {
    pub(super) fn new() -> Self {
        Self(PhantomData)
    }
}

impl<T: Task> Environment for Playable<T> {
    fn info(&self) -> EnvironmentInfo {
        EnvironmentInfo { env_id: env_id::<T>(), family: FAMILY.to_owned(), max_timesteps: MAX_TIMESTEPS }
    }

    fn load(&self, assets: &Assets) -> Result<Arc<dyn Stage>, SimError> {
        let path = assets.path(T::MODEL);
        let model = Arc::new(model::load_physics(&path)?);
        let parked = Sawyer::parked(Arc::clone(&model), T::HAND_START)?;
        Ok(Arc::new(TaskStage { path, model, parked, task: PhantomData::<T> }))
    }
}

fn env_id<T: Task>() -> EnvId {
    format!("{FAMILY}/{}", T::NAME).parse().expect("names of tasks are lower-case letters, digits and hyphens")
}

/// A task that is loaded. Nothing in it changes any more.
struct TaskStage<T> {
    path: PathBuf,
    model: Arc<MjModel>,
    /// Parking takes as long as forty steps of an episode, and ends the same way every time: an episode starts on a copy.
    parked: Sawyer,
    task: PhantomData<T>,
}

impl<T: Task> TaskStage<T> {
    fn random_vector(&self, start: Start<'_>) -> Result<Vec<f64>, SimError> {
        match start {
            Start::Drawn(streams) => {
                let mut stream = streams.stream(RANDOM_VECTOR);
                loop {
                    let random: Vec<f64> = T::RANDOM.iter().map(|[low, high]| stream.uniform(*low, *high)).collect();
                    if T::accepts(&random) {
                        return Ok(random);
                    }
                }
            }
            Start::Given(random) if random.len() == T::RANDOM.len() && random.iter().all(|value| value.is_finite()) => {
                Ok(random.to_vec())
            }
            Start::Given(random) => {
                Err(SimError::RandomVector { env_id: env_id::<T>(), expected: T::RANDOM.len(), got: random.to_vec() })
            }
        }
    }

    /// The parked arm; where the episode moves a body of the model, on a copy of the model. Nothing that episodes move bears on
    /// how the arm comes to rest, to the last bit: the test below and the parity tests hold that.
    fn parked_for(&self, random: &[f64]) -> Result<Sawyer, SimError> {
        match self.moved_model(random)? {
            Some(model) => self.parked.duplicate_onto(Arc::new(model)),
            None => Ok(self.parked.duplicate()),
        }
    }

    fn moved_model(&self, random: &[f64]) -> Result<Option<MjModel>, SimError> {
        let Some((name, position)) = T::moved_body(random) else {
            return Ok(None);
        };
        let mut model = MjModel::clone(&self.model);
        let body = model::body(&model, name)?;
        model.body_pos_mut()[body] = position;
        Ok(Some(model))
    }
}

impl<T: Task> Stage for TaskStage<T> {
    fn start(&self, start: Start<'_>) -> Result<Box<dyn Scene>, SimError> {
        let random = self.random_vector(start)?;
        let mut sawyer = self.parked_for(&random)?;
        let task = T::place(&mut sawyer, &random)?;
        Ok(Box::new(TaskScene::new(self.path.clone(), sawyer, task, T::moved_body(&random))))
    }

    fn fingerprint(&self) -> [u8; 32] {
        model::fingerprint(&self.model)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::{diagnostics, metaworld::tasks::DrawerClose, streams::Streams};

    #[test]
    fn a_copied_parked_arm_is_one_that_was_parked_in_the_episodes_own_model() {
        diagnostics::install();
        let path = Assets::find(None).unwrap().path(DrawerClose::MODEL);
        let model = Arc::new(model::load_physics(&path).unwrap());
        let parked = Sawyer::parked(Arc::clone(&model), DrawerClose::HAND_START).unwrap();
        let stage = TaskStage { path, model, parked, task: PhantomData::<DrawerClose> };
        let bits = |sawyer: &Sawyer| {
            let (qpos, qvel) = sawyer.physics();
            qpos.iter().chain(qvel).map(|value| value.to_bits()).collect::<Vec<_>>()
        };
        for seed in 0..10 {
            let random = stage.random_vector(Start::Drawn(Streams::new(seed))).unwrap();
            let own_model = stage.moved_model(&random).unwrap().unwrap();
            let mut honest = Sawyer::parked(Arc::new(own_model), DrawerClose::HAND_START).unwrap();
            let mut copied = stage.parked_for(&random).unwrap();
            assert_eq!(honest.parked_tcp(), copied.parked_tcp());
            for sawyer in [&mut honest, &mut copied] {
                DrawerClose::place(sawyer, &random).unwrap();
            }
            for _ in 0..60 {
                assert_eq!(bits(&honest), bits(&copied), "seed {seed}");
                for sawyer in [&mut honest, &mut copied] {
                    sawyer.step([0.0, 1.0, -0.6, 1.0], DrawerClose::HAND_BOUNDS).unwrap();
                }
            }
        }
    }
}
