//! The reward for bringing an object past the brick wall: by way of a point at the wall, then to the goal.

use super::{
    numpy::Real,
    reward::{Falloff::LongTail, tolerance},
    task::Moment,
};
use crate::{
    environment::Judgement,
    geometry::{distance, weighted_distance},
};

const RADIUS: f64 = 0.05;
/// The object within this distance of the goal is a success, metres.
const CLOSE: f64 = 0.07;
/// Where the wall is behind the object, in y.
const PAST_THE_WALL: f64 = 0.75;

#[derive(Debug, Clone, Copy)]
pub(super) struct Detour {
    /// Where the object was at the start.
    pub(super) start: [f64; 3],
    pub(super) target: [f64; 3],
    /// How much each axis counts on the way to the midpoint.
    pub(super) weights: [f64; 3],
}

impl Detour {
    /// How far the object is on its way to the midpoint.
    pub(super) fn at_midpoint(&self, object: [f64; 3], midpoint: [f64; 3]) -> f64 {
        let margin = weighted_distance(self.start, midpoint, self.weights);
        tolerance(weighted_distance(object, midpoint, self.weights), [0.0, RADIUS], margin, LongTail)
    }

    /// Adds to the reward for a grasp the one for the way, once the object is held.
    pub(super) fn judge(&self, moment: &Moment<'_>, grasped: Real, held: bool, at_midpoint: f64) -> Judgement {
        let to_goal = distance(moment.object, self.target);
        let reward = if to_goal < RADIUS {
            10.0
        } else if !held {
            grasped.value()
        } else if moment.object[1] > PAST_THE_WALL {
            let in_place = tolerance(to_goal, [0.0, RADIUS], distance(self.start, self.target), LongTail);
            (grasped + 1.0 + 4.0 + 3.0 * in_place).value()
        } else {
            (grasped + 1.0 + 4.0 * at_midpoint).value()
        };
        Judgement { reward, success: to_goal <= CLOSE }
    }
}
