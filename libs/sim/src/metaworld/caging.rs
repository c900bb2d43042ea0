//! The reward for having an object between the fingers and closing on it, which the grasping and pushing tasks share.
//!
//! Meta-World's base class has it in three densities. The tasks that bring a version of their own have
//! it from [`pinch`](super::pinch).

use super::{
    numpy::{Real, clip},
    reward::{Falloff::LongTail, hamacher, tolerance},
    sawyer::Sawyer,
    task::Moment,
};
use crate::geometry::distance;

/// How exact a grasp a task wants, metres.
#[derive(Debug, Clone, Copy)]
pub(super) struct Caging {
    /// Where the object was at the start.
    pub(super) object_start: [f64; 3],
    /// Half the object's width between the fingers.
    pub(super) object_radius: f64,
    /// A finger's pad within this distance of the object, sideways, is in place.
    pub(super) pad_threshold: f64,
    /// The gripper's centre within this distance of the object, in x and z, is in place.
    pub(super) xz_threshold: f64,
    /// The gripping effort that is worth a full reward.
    pub(super) effort: f64,
}

impl Caging {
    /// Nothing before the object is well surrounded; then how it is closed on.
    pub(super) fn sparse(&self, moment: &Moment<'_>, object: [f64; 3]) -> Real {
        closed(moment, self.surrounded(moment.sawyer, object), self.effort)
    }

    /// Half for surrounding the object, half for closing on it.
    pub(super) fn dense(&self, moment: &Moment<'_>, object: [f64; 3]) -> Real {
        let surrounded = self.surrounded(moment.sawyer, object);
        (closed(moment, surrounded, self.effort) + surrounded) / 2.0
    }

    /// Half for bringing the gripper within `reach` metres of the object, half for surrounding and closing on it.
    pub(super) fn medium(&self, moment: &Moment<'_>, object: [f64; 3], reach: f64) -> Real {
        let sawyer = moment.sawyer;
        let margin = (distance(self.object_start, sawyer.parked_tcp()) - reach).abs();
        let near = tolerance(distance(object, sawyer.tcp()), [0.0, reach], margin, LongTail);
        (self.sparse(moment, object) + near) / 2.0
    }

    /// Both pads beside the object, and the gripper over it.
    fn surrounded(&self, sawyer: &Sawyer, object: [f64; 3]) -> Real {
        let [left, right] = sawyer.pads().map(|pad| {
            // The margin is measured from where the object started, so it grows as the object is carried away.
            let margin = ((pad[1] - self.object_start[1]).abs() - self.pad_threshold).abs();
            tolerance((pad[1] - object[1]).abs(), [self.object_radius, self.pad_threshold], margin, LongTail)
        });
        hamacher(hamacher(left, right), over(sawyer, object, self.object_start, self.xz_threshold))
    }
}

/// The gripper closes, with up to `most` effort, on an object that it surrounds.
pub(super) fn closed(moment: &Moment<'_>, surrounded: Real, most: f64) -> Real {
    let effort = clip(moment.action[3], most) / most;
    hamacher(surrounded, if surrounded.value() > 0.97 { effort } else { Real::Python(0.0) })
}

/// The gripper's centre is within `threshold` metres of the object, in x and z.
pub(super) fn over(sawyer: &Sawyer, object: [f64; 3], object_start: [f64; 3], threshold: f64) -> f64 {
    let margin = distance(xz(object_start), xz(sawyer.parked_tcp())) - threshold;
    tolerance(distance(xz(sawyer.tcp()), xz(object)), [0.0, threshold], margin, LongTail)
}

fn xz([x, _, z]: [f64; 3]) -> [f64; 2] {
    [x, z]
}
