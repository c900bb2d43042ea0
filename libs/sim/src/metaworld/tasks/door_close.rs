//! Door close: push an open door shut.

use crate::{
    SimError,
    environment::Judgement,
    geometry::distance,
    metaworld::{
        door::{self, Door},
        reward::{Falloff::Gaussian, tolerance},
        sawyer::Sawyer,
        task::{Bounds, Moment, Pose, Task},
    },
    renderer::Moved,
};

/// How far the door stands open at the start, radians.
#[expect(clippy::approx_constant, reason = "Meta-World gives it in four decimals")]
const OPEN: f64 = -1.5708;
/// The goal of the handle, seen from the door.
const GOAL: [f64; 3] = [0.2, -0.2, 0.0];
/// The handle within this distance of its goal earns everything.
const RADIUS: f64 = 0.05;
/// The handle within this distance of its goal counts as shut.
const SHUT: f64 = 0.08;

pub(in crate::metaworld) struct DoorClose {
    door: Door,
    /// From the door, not its handle.
    goal_distance: f64,
}

impl Task for DoorClose {
    const NAME: &'static str = "door-close-v3";
    const MODEL: &'static str = "sawyer_xyz/sawyer_door_pull.xml";
    /// Given in single precision.
    const HAND_START: [f64; 3] = [-0.5, 0.6_f32 as f64, 0.2_f32 as f64];
    const RANDOM: &'static [[f64; 2]] = door::STANDS;
    const GOAL_BOUNDS: Bounds = [[0.2, 0.65, 0.1499], [0.3, 0.75, 0.1501]];

    fn moved(random: &[f64]) -> Vec<Moved> {
        Door::moved(random)
    }

    fn place(sawyer: &mut Sawyer, random: &[f64]) -> Result<Self, SimError> {
        let door = Door::swung(sawyer, OPEN, random, GOAL)?;
        let goal_distance = distance([random[0], random[1], random[2]], door.target);
        Ok(Self { door, goal_distance })
    }

    fn target(&self, _: &Sawyer) -> [f64; 3] {
        self.door.target
    }

    fn objects(&self, sawyer: &Sawyer) -> [Pose; 2] {
        [self.door.pose(sawyer), Pose::NONE]
    }

    fn markers(&self) -> Vec<Moved> {
        self.door.marker()
    }

    fn judge(&mut self, moment: &Moment<'_>) -> Judgement {
        let to_goal = distance(moment.object, self.door.target);
        let in_place = tolerance(to_goal, [0.0, RADIUS], self.goal_distance, Gaussian);
        let margin = distance(Self::HAND_START, moment.object) + 0.1;
        let hand_to_goal = distance(moment.sawyer.tcp(), self.door.target);
        let hand_in_place = tolerance(hand_to_goal, [0.0, 0.25 * RADIUS], margin, Gaussian);
        let reward = if to_goal < RADIUS { 10.0 } else { 3.0 * hand_in_place + 6.0 * in_place };
        Judgement { reward, success: to_goal <= SHUT }
    }
}
