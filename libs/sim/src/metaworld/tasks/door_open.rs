//! Door open: pull a door open by its handle.

use std::f64::consts::PI;

use crate::{
    SimError,
    environment::Judgement,
    geometry::{add, distance},
    metaworld::{
        door::{self, Door},
        reward::{Falloff::LongTail, hamacher, tolerance},
        sawyer::Sawyer,
        task::{Bounds, Moment, Pose, Task},
    },
    renderer::Moved,
};

/// The goal of the handle, seen from the door.
const GOAL: [f64; 3] = [-0.3, -0.45, 0.0];
/// The handle within this distance of its goal, along x, counts as open.
const OPEN: f64 = 0.08;
/// The middle of the handle, seen from what is observed of it.
const HANDLE: [f64; 3] = [-0.05, 0.0, 0.0];
/// Between the handle and the door, where the hand can pull: seen from the handle's middle.
const HOLD: [f64; 3] = [0.05, 0.03, -0.01];
/// The hand may be low within this distance of the handle, over the table.
const FUNNEL: f64 = 0.12;
/// Past this angle the door has begun to open.
const AJAR: f64 = -PI / 90.0;

pub(in crate::metaworld) struct DoorOpen(Door);

impl Task for DoorOpen {
    const NAME: &'static str = "door-open-v3";
    const MODEL: &'static str = "sawyer_xyz/sawyer_door_pull.xml";
    const HAND_START: [f64; 3] = [0.0, 0.6, 0.2];
    const RANDOM: &'static [[f64; 2]] = door::STANDS;
    const GOAL_BOUNDS: Bounds = [[-0.3, 0.4, 0.1499], [-0.2, 0.5, 0.1501]];

    fn moved(random: &[f64]) -> Vec<Moved> {
        Door::moved(random)
    }

    fn place(sawyer: &mut Sawyer, random: &[f64]) -> Result<Self, SimError> {
        Ok(Self(Door::swung(sawyer, 0.0, random, GOAL)?))
    }

    fn target(&self, _: &Sawyer) -> [f64; 3] {
        self.0.target
    }

    fn objects(&self, sawyer: &Sawyer) -> [Pose; 2] {
        [self.0.pose(sawyer), Pose::NONE]
    }

    fn markers(&self) -> Vec<Moved> {
        self.0.marker()
    }

    fn judge(&mut self, moment: &Moment<'_>) -> Judgement {
        let success = (moment.object[0] - self.0.target[0]).abs() <= OPEN;
        if success {
            return Judgement { reward: 10.0, success };
        }
        let effort = f64::from((moment.action[3].clamp(-1.0, 1.0) + 1.0) / 2.0);
        let ready = ready_to_open(moment.hand, add(moment.object, HANDLE));
        let reward = 2.0 * hamacher(ready, effort).value() + 8.0 * opened(moment.sawyer.object_joint());
        Judgement { reward, success }
    }
}

/// The hand comes to its hold from above, so that it does not run into the handle on its way.
fn ready_to_open(hand: [f64; 3], handle: [f64; 3]) -> f64 {
    let away = distance([hand[0], hand[1]], [handle[0], handle[1]]);
    let floor = if away <= FUNNEL { 0.0 } else { 0.04 * (away - FUNNEL).ln() + 0.4 };
    let above_floor =
        if hand[2] >= floor { 1.0 } else { tolerance(floor - hand[2], [0.0, 0.01], floor / 2.0, LongTail) };
    let in_place = tolerance(distance(hand, add(handle, HOLD)), [0.0, FUNNEL / 2.0], 0.5, LongTail);
    hamacher(above_floor, in_place).value()
}

/// A fifth for having begun at all, the rest for the angle.
fn opened(angle: f64) -> f64 {
    let begun = if angle < AJAR { 1.0 } else { 0.0 };
    0.2 * begun + 0.8 * tolerance(PI / 2.0 + PI / 6.0 + angle, [0.0, 0.5], PI / 3.0, LongTail)
}
