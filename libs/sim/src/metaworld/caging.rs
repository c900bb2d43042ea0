//! The reward for having an object between the fingers and closing on it, which the grasping and pushing tasks share.

use super::{
    numpy::{Real, unit_clip},
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
}

impl Caging {
    /// The reward in its dense form: half for surrounding the object, half for closing on it once it is well surrounded.
    pub(super) fn dense(&self, moment: &Moment<'_>) -> Real {
        let surrounded = self.surrounded(moment.sawyer, moment.object);
        let effort = if surrounded.value() > 0.97 { unit_clip(moment.action[3]) } else { Real::Python(0.0) };
        (hamacher(surrounded, effort) + surrounded) / 2.0
    }

    /// Both pads beside the object, and the gripper over it.
    fn surrounded(&self, sawyer: &Sawyer, object: [f64; 3]) -> Real {
        let [left, right] = sawyer.pads().map(|pad| {
            // The margin is measured from where the object started, so it grows as the object is carried away.
            let margin = ((pad[1] - self.object_start[1]).abs() - self.pad_threshold).abs();
            tolerance((pad[1] - object[1]).abs(), [self.object_radius, self.pad_threshold], margin, LongTail)
        });
        let margin = distance(xz(self.object_start), xz(sawyer.parked_tcp())) - self.xz_threshold;
        let over = tolerance(distance(xz(sawyer.tcp()), xz(object)), [0.0, self.xz_threshold], margin, LongTail);
        hamacher(hamacher(left, right), over)
    }
}

fn xz([x, _, z]: [f64; 3]) -> [f64; 2] {
    [x, z]
}
