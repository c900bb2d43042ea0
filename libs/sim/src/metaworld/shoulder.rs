//! Pushing with the shoulder, the outside of the gripper above a finger: what door-unlock and lever-pull reward before they reward
//! the object's motion.

use super::{
    reward::{Falloff::LongTail, tolerance},
    task::Moment,
};
use crate::geometry::{add, weighted_distance};

/// The shoulder, seen from the hand.
const SHOULDER: [f64; 3] = [0.0, 0.055, 0.07];
/// The shoulder within this distance of the object, scaled, is ready.
const READY: f64 = 0.02;

/// Bringing the shoulder to an object.
pub(super) struct Shoulder {
    /// Where the object was at the start.
    pub(super) object_start: [f64; 3],
    /// How much a distance counts along each axis.
    pub(super) scale: [f64; 3],
}

impl Shoulder {
    /// 1 where the shoulder is at the object.
    pub(super) fn ready(&self, moment: &Moment<'_>) -> f64 {
        let margin = self.away(moment.sawyer.parked_tcp(), self.object_start);
        tolerance(self.away(moment.hand, moment.object), [0.0, READY], margin, LongTail)
    }

    fn away(&self, hand: [f64; 3], object: [f64; 3]) -> f64 {
        weighted_distance(add(hand, SHOULDER), object, self.scale)
    }
}
