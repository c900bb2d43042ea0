//! Sweep into: push a block over the table into a hole.

use crate::{
    SimError,
    environment::Judgement,
    geometry::distance,
    metaworld::{
        cylinder::Cylinder,
        pinch::Pinch,
        reward::{Falloff::LongTail, sweeping, tolerance},
        sawyer::Sawyer,
        task::{Bounds, Moment, Pose, Task},
    },
    renderer::Moved,
};

const RADIUS: f64 = 0.05;
const HOLE: [f64; 3] = [0.0, 0.84, 0.02];

pub(in crate::metaworld) struct SweepInto {
    block: Cylinder,
    pinch: Pinch,
}

impl Task for SweepInto {
    const NAME: &'static str = "sweep-into-v3";
    const MODEL: &'static str = "sawyer_xyz/sawyer_table_with_hole.xml";
    const HAND_START: [f64; 3] = [0.0, 0.6, 0.2];
    /// Block x and y; the rest is not used.
    const RANDOM: &'static [[f64; 2]] =
        &[[-0.1, 0.1], [0.6, 0.7], [0.02, 0.02], [-0.001, 0.001], [0.8399, 0.8401], [0.0199, 0.0201]];
    const GOAL_BOUNDS: Bounds = [[-0.001, 0.8399, 0.0199], [0.001, 0.8401, 0.0201]];

    fn accepts(random: &[f64]) -> bool {
        distance([random[0], random[1]], [HOLE[0], HOLE[1]]) >= 0.15
    }

    fn place(sawyer: &mut Sawyer, random: &[f64]) -> Result<Self, SimError> {
        let block = Cylinder::find(sawyer)?;
        // At the height to which it settled while the hand was parked.
        let object_start = [random[0], random[1], block.position(sawyer)[2]];
        sawyer.place_free_object(object_start);
        Ok(Self { block, pinch: Pinch { object_start, object_radius: 0.02, xz_threshold: 0.01 } })
    }

    fn target(&self, _: &Sawyer) -> [f64; 3] {
        HOLE
    }

    fn objects(&self, sawyer: &Sawyer) -> [Pose; 2] {
        [self.block.pose(sawyer), Pose::NONE]
    }

    fn markers(&self) -> Vec<Moved> {
        vec![Moved::Site("goal", HOLE)]
    }

    fn judge(&mut self, moment: &Moment<'_>) -> Judgement {
        // Anywhere above or in the hole.
        let target = [HOLE[0], HOLE[1], moment.object[2]];
        let to_goal = distance(moment.object, target);
        let in_place = tolerance(to_goal, [0.0, RADIUS], distance(self.pinch.object_start, target), LongTail);
        let reward = if to_goal < RADIUS { 10.0 } else { sweeping(self.pinch.by_contact(moment, 0.005), in_place) };
        Judgement { reward, success: to_goal <= RADIUS }
    }
}
