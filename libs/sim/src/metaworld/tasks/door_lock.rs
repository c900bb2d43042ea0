//! Door lock: lock a door by turning the lock's lever down.

use crate::{
    SimError,
    environment::Judgement,
    geometry::weighted_distance,
    metaworld::{
        lock::{self, Lock},
        reward::{Falloff::LongTail, hamacher, tolerance},
        sawyer::Sawyer,
        task::{Bounds, Moment, Pose, Task},
    },
    renderer::Moved,
};

/// The goal of the lever's end, seen from its pivot.
const GOAL: [f64; 3] = [0.0, -0.04, -0.1];
/// The axis along which it counts.
const DOWN: usize = 2;
/// How much a distance from the finger to the lever counts along each axis.
const SCALE: [f64; 3] = [0.25, 1.0, 0.5];
/// The finger within this distance of the lever, scaled, touches it.
const TOUCH: f64 = 0.01;

pub(in crate::metaworld) struct DoorLock(Lock);

impl Task for DoorLock {
    const NAME: &'static str = "door-lock-v3";
    const MODEL: &'static str = lock::MODEL;
    /// Given in single precision.
    const HAND_START: [f64; 3] = [0.0, 0.6_f32 as f64, 0.2_f32 as f64];
    const HAND_BOUNDS: Bounds = [[-0.5, 0.4, -0.15], [0.5, 1.0, 0.5]];
    const RANDOM: &'static [[f64; 2]] = lock::STANDS;
    const GOAL_BOUNDS: Bounds = Self::HAND_BOUNDS;
    /// While it is parked, the hand meets the lever.
    const PARKS_ALIKE: bool = false;

    fn moved(random: &[f64]) -> Vec<Moved> {
        Lock::moved(random)
    }

    fn place(sawyer: &mut Sawyer, _: &[f64]) -> Result<Self, SimError> {
        sawyer.settle();
        Ok(Self(Lock::find(sawyer, "lockStartLock", GOAL)?))
    }

    fn target(&self, _: &Sawyer) -> [f64; 3] {
        self.0.target
    }

    fn objects(&self, sawyer: &Sawyer) -> [Pose; 2] {
        [self.0.pose(sawyer), Pose::NONE]
    }

    fn markers(&self) -> Vec<Moved> {
        Vec::new()
    }

    fn judge(&mut self, moment: &Moment<'_>) -> Judgement {
        let [finger, _] = moment.sawyer.pads();
        let to_lever = weighted_distance(moment.object, finger, SCALE);
        // Meta-World means the margin to be the distance at the start, but measures it from where the finger is.
        let near = tolerance(to_lever, [0.0, TOUCH], to_lever, LongTail);
        let left = self.0.left(moment.object, DOWN);
        let reward = 2.0 * hamacher(moment.openness, near).value() + 8.0 * Lock::turned(left);
        Judgement { reward, success: left <= lock::SOLVED }
    }
}
