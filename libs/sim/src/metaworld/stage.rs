//! A task as an environment: its model, loaded and shared, and how an episode starts on it.

use std::{marker::PhantomData, path::PathBuf, sync::Arc};

use kinitro_domain::EnvId;
use mujoco_rs::prelude::MjModel;

use super::{sawyer::Sawyer, scene::TaskScene, task::Task};
use crate::{
    EnvironmentInfo, Randomisation, SimError,
    assets::Assets,
    environment::{Environment, Scene, Stage, Start},
    model,
    streams::Streams,
};

/// The family's name.
pub(super) const FAMILY: &str = "metaworld";
/// Meta-World's horizon.
const MAX_TIMESTEPS: u32 = 500;
/// The stream that an episode's random vector is drawn from.
const RANDOM_VECTOR: &str = "random-vector";
/// The stream that the factors of domain randomisation are drawn from.
const PHYSICS: &str = "physics";

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
        Ok(Arc::new(TaskStage::<T>::load(assets)?))
    }
}

fn env_id<T: Task>() -> EnvId {
    format!("{FAMILY}/{}", T::NAME).parse().expect("names of tasks are lower-case letters, digits and hyphens")
}

/// A task that is loaded. Nothing in it changes any more.
struct TaskStage<T> {
    path: Arc<PathBuf>,
    model: Arc<MjModel>,
    /// Parking takes as long as forty steps of an episode, and ends the same way every time: an episode starts on a copy. The last
    /// MuJoCo step is left to the episode: the positions that it leaves show where the episode's parts are.
    parking: Sawyer,
    task: PhantomData<T>,
}

impl<T: Task> TaskStage<T> {
    fn load(assets: &Assets) -> Result<Self, SimError> {
        let path = assets.path(T::MODEL);
        let model = Arc::new(model::load_physics(&path)?);
        let parking = Sawyer::parking(Arc::clone(&model), &[], T::HAND_START)?;
        Ok(Self { path: Arc::new(path), model, parking, task: PhantomData })
    }

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

    /// The parked arm in the episode's world.
    fn parked_for(&self, random: &[f64]) -> Result<Sawyer, SimError> {
        if T::PARKS_ALIKE { Self::finished(self.parking.duplicate(), random) } else { self.parked_from_scratch(random) }
    }

    /// An arm that was parked in the episode's world from its first step.
    fn parked_from_scratch(&self, random: &[f64]) -> Result<Sawyer, SimError> {
        let parking = Sawyer::parking(Arc::clone(&self.model), &T::moved(random), T::HAND_START)?;
        Self::finished(parking, random)
    }

    fn finished(mut parking: Sawyer, random: &[f64]) -> Result<Sawyer, SimError> {
        parking.finish_parking(&T::moved(random))?;
        Ok(parking)
    }
}

/// The factors on friction and damping that an episode plays with.
fn factors(streams: Streams, Randomisation { friction, damping }: Randomisation) -> (f64, f64) {
    let mut stream = streams.stream(PHYSICS);
    (stream.uniform(friction[0], friction[1]), stream.uniform(damping[0], damping[1]))
}

impl<T: Task> Stage for TaskStage<T> {
    fn start(&self, start: Start<'_>, randomisation: Randomisation) -> Result<Box<dyn Scene>, SimError> {
        let varied = match &start {
            Start::Drawn(streams) if randomisation != Randomisation::OFF => Some(factors(*streams, randomisation)),
            _ => None,
        };
        let random = self.random_vector(start)?;
        let mut sawyer = self.parked_for(&random)?;
        let task = T::place(&mut sawyer, &random)?;
        if let Some((friction, damping)) = varied {
            sawyer.world_mut().scale(friction, damping);
        }
        Ok(Box::new(TaskScene::new(Arc::clone(&self.path), sawyer, task, T::moved(&random))))
    }

    fn fingerprint(&self) -> [u8; 32] {
        let (qpos, qvel) = self.parking.physics();
        model::fingerprint(&self.model, qpos.iter().chain(qvel))
    }
}

/// Whether a parked arm that was copied into an episode's world is the one that is parked there: to the last bit, over the first steps of
/// some episodes. Answers the first seed and step at which it is not.
#[cfg(test)]
pub(super) fn copied_parking_differs<T: Task>(assets: &Assets) -> Result<Option<(u64, usize)>, SimError> {
    let stage = TaskStage::<T>::load(assets)?;
    let bits = |sawyer: &Sawyer| {
        let (qpos, qvel) = sawyer.physics();
        qpos.iter().chain(qvel).map(|value| value.to_bits()).collect::<Vec<_>>()
    };
    for seed in 0..6 {
        let random = stage.random_vector(Start::Drawn(Streams::new(seed)))?;
        let mut honest = stage.parked_from_scratch(&random)?;
        let mut copied = TaskStage::<T>::finished(stage.parking.duplicate(), &random)?;
        let tasks = (T::place(&mut honest, &random)?, T::place(&mut copied, &random)?);
        for step in 0..60 {
            let equal = honest.parked_tcp() == copied.parked_tcp()
                && bits(&honest) == bits(&copied)
                && tasks.0.target(&honest) == tasks.1.target(&copied)
                && tasks.0.objects(&honest) == tasks.1.objects(&copied);
            if !equal {
                return Ok(Some((seed, step)));
            }
            let action = [0.2, 1.0, -0.6, 1.0];
            for sawyer in [&mut honest, &mut copied] {
                sawyer.step(action, T::HAND_BOUNDS).expect("an ordinary action");
            }
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn factors_fill_their_ranges_and_are_one_when_those_are() {
        let drawn: Vec<_> = (0..400).map(|seed| factors(Streams::new(seed), Randomisation::STANDARD)).collect();
        let span = |of: fn(&(f64, f64)) -> f64| {
            drawn.iter().map(of).fold((f64::MAX, f64::MIN), |(low, high), x| (low.min(x), high.max(x)))
        };
        let (friction, damping) = (span(|factors| factors.0), span(|factors| factors.1));
        assert!(friction.0 >= 0.8 && friction.0 < 0.81 && friction.1 <= 1.2 && friction.1 > 1.19, "{friction:?}");
        assert!(damping.0 >= 0.9 && damping.0 < 0.905 && damping.1 <= 1.1 && damping.1 > 1.095, "{damping:?}");
        assert_eq!(factors(Streams::new(3), Randomisation::OFF), (1.0, 1.0));
    }
}
