//! The door with a lock that door-lock and door-unlock share.

use super::{
    reward::{Falloff::LongTail, tolerance},
    sawyer::Sawyer,
    task::Pose,
};
use crate::{SimError, geometry::add, renderer::Moved};

pub(super) const MODEL: &str = "sawyer_xyz/sawyer_door_lock.xml";
/// Where the door may stand.
pub(super) const STANDS: &[[f64; 2]] = &[[-0.1, 0.1], [0.8, 0.85], [0.15, 0.15]];
/// How far the lever's end moves along the axis that counts, metres.
const TRAVEL: f64 = 0.1;
/// The lever's end within this distance of its goal, along that axis, earns everything.
const FULLY_TURNED: f64 = 0.005;
/// The lever's end within this distance of its goal, along that axis, solves the task.
pub(super) const SOLVED: f64 = 0.02;

/// A lock's lever.
pub(super) struct Lock {
    end: usize,
    door: usize,
    /// The lever's pivot.
    pub(super) pivot: [f64; 3],
    pub(super) target: [f64; 3],
}

impl Lock {
    pub(super) fn moved(random: &[f64]) -> Vec<Moved> {
        vec![Moved::Body("door", [random[0], random[1], random[2]])]
    }

    /// The lock as it is. `end` is the site on the lever that is observed, `goal` is seen from the pivot.
    pub(super) fn find(sawyer: &Sawyer, end: &str, goal: [f64; 3]) -> Result<Self, SimError> {
        let (end, door) = (sawyer.site_named(end)?, sawyer.body_named("door_link")?);
        let pivot = sawyer.body(sawyer.body_named("lock_link")?);
        Ok(Self { end, door, pivot, target: add(pivot, goal) })
    }

    pub(super) fn pose(&self, sawyer: &Sawyer) -> Pose {
        Pose { position: sawyer.site(self.end), quaternion: sawyer.body_wxyz(self.door) }
    }

    /// How far the lever's end is from its goal along an axis.
    pub(super) fn left(&self, end: [f64; 3], axis: usize) -> f64 {
        (self.target[axis] - end[axis]).abs()
    }

    /// 1 where no more than a little is left.
    pub(super) fn turned(left: f64) -> f64 {
        tolerance(left, [0.0, FULLY_TURNED], TRAVEL, LongTail)
    }
}
