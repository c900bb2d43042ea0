//! Door unlock: unlock a door by pushing the lock's lever aside.

use crate::{
    SimError,
    environment::Judgement,
    metaworld::{
        lock::{self, Lock},
        sawyer::Sawyer,
        shoulder::Shoulder,
        task::{Bounds, Moment, Pose, Task},
    },
    renderer::Moved,
};

/// The lever's angle at the start, radians: down.
#[expect(clippy::approx_constant, reason = "Meta-World gives it in four decimals")]
const LOCKED: f64 = 1.5708;
/// The goal of the lever's end, seen from its pivot.
const GOAL: [f64; 3] = [0.1, -0.04, 0.0];
/// The axis along which it counts.
const ASIDE: usize = 0;
/// How much a distance from the shoulder to the lever counts along each axis.
const SCALE: [f64; 3] = [0.25, 1.0, 0.5];

pub(in crate::metaworld) struct DoorUnlock {
    lock: Lock,
    shoulder: Shoulder,
}

impl Task for DoorUnlock {
    const NAME: &'static str = "door-unlock-v3";
    const MODEL: &'static str = lock::MODEL;
    /// Given in single precision.
    const HAND_START: [f64; 3] = [0.0, 0.6_f32 as f64, 0.2_f32 as f64];
    const HAND_BOUNDS: Bounds = [[-0.5, 0.4, -0.15], [0.5, 1.0, 0.5]];
    const RANDOM: &'static [[f64; 2]] = lock::STANDS;
    const GOAL_BOUNDS: Bounds = [[0.0, 0.64, 0.21], [0.2, 0.7, 0.2111]];
    /// While it is parked, the hand meets the lever.
    const PARKS_ALIKE: bool = false;

    fn moved(random: &[f64]) -> Vec<Moved> {
        Lock::moved(random)
    }

    fn place(sawyer: &mut Sawyer, _: &[f64]) -> Result<Self, SimError> {
        sawyer.place_jointed_object(LOCKED);
        let lock = Lock::find(sawyer, "lockStartUnlock", GOAL)?;
        let shoulder = Shoulder { object_start: lock.pivot, scale: SCALE };
        Ok(Self { lock, shoulder })
    }

    fn target(&self, _: &Sawyer) -> [f64; 3] {
        self.lock.target
    }

    fn objects(&self, sawyer: &Sawyer) -> [Pose; 2] {
        [self.lock.pose(sawyer), Pose::NONE]
    }

    fn markers(&self) -> Vec<Moved> {
        Vec::new()
    }

    fn judge(&mut self, moment: &Moment<'_>) -> Judgement {
        let left = self.lock.left(moment.object, ASIDE);
        let reward = 2.0 * self.shoulder.ready(moment) + 8.0 * Lock::turned(left);
        Judgement { reward, success: left <= lock::SOLVED }
    }
}
