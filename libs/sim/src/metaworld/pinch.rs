//! The reward for having an object between the fingers, as the tasks have it that do not take the base class's
//! ([`caging`](super::caging)): each pad belongs on its own side of the object, and its margin follows the object.

use super::{
    caging::{closed, over},
    numpy::Real,
    reward::{Falloff::LongTail, hamacher, tolerance},
    task::Moment,
};

/// A finger's pad within this distance of the object's middle, sideways, is in place.
const PAD_THRESHOLD: f64 = 0.05;

/// How exact a grasp a task wants, metres.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pinch {
    /// Where the object was at the start.
    pub(super) object_start: [f64; 3],
    /// Half the object's width between the fingers.
    pub(super) object_radius: f64,
    /// The gripper's centre within this distance of the object, in x and z, is in place.
    pub(super) xz_threshold: f64,
}

impl Pinch {
    /// Half for surrounding the object, half for closing on it.
    pub(super) fn by_effort(&self, moment: &Moment<'_>) -> Real {
        let surrounded = self.surrounded(moment);
        (closed(moment, surrounded, 1.0) + surrounded) / 2.0
    }

    /// Half for surrounding the object, half for pads within `gap` metres of its sides, whatever the gripper's effort.
    pub(super) fn by_contact(&self, moment: &Moment<'_>, gap: f64) -> f64 {
        let surrounded = self.surrounded(moment).value();
        let touched = if surrounded > 0.95 { self.between(moment, self.object_radius + gap).value() } else { 0.0 };
        (surrounded + touched) / 2.0
    }

    fn surrounded(&self, moment: &Moment<'_>) -> Real {
        let over = over(moment.sawyer, moment.object, self.object_start, self.xz_threshold);
        hamacher(self.between(moment, PAD_THRESHOLD), over)
    }

    /// Both pads beside the object, at most `most` metres from its middle.
    fn between(&self, moment: &Moment<'_>, most: f64) -> Real {
        let [left, right] = moment.sawyer.pads();
        let [left, right] = [left[1] - moment.object[1], moment.object[1] - right[1]].map(|beside| {
            // Meta-World means the pads as they were at the start, but keeps a view of their positions, which moves with them.
            let margin = (beside.abs() - PAD_THRESHOLD).abs();
            tolerance(beside, [self.object_radius, most], margin, LongTail)
        });
        hamacher(left, right)
    }
}
