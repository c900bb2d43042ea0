//! Push back: draw a block over the table towards the arm.

use crate::{
    SimError,
    environment::Judgement,
    geometry::distance,
    metaworld::{
        cylinder::{Cylinder, far_apart},
        pinch::Pinch,
        reward::{Falloff::LongTail, carrying, tolerance},
        sawyer::Sawyer,
        task::{Bounds, Moment, Pose, Task},
    },
    renderer::Moved,
};

const RADIUS: f64 = 0.05;
/// The block within this distance of the goal is a success.
const CLOSE: f64 = 0.07;

pub(in crate::metaworld) struct PushBack {
    block: Cylinder,
    target: [f64; 3],
    pinch: Pinch,
}

impl Task for PushBack {
    const NAME: &'static str = "push-back-v3";
    const MODEL: &'static str = "sawyer_xyz/sawyer_push_back_v3.xml";
    /// Given in single precision.
    const HAND_START: [f64; 3] = [0.0, 0.6_f32 as f64, 0.2_f32 as f64];
    /// Block x, y, z, then goal x, y, z; neither z is used.
    const RANDOM: &'static [[f64; 2]] =
        &[[-0.1, 0.1], [0.8, 0.85], [0.02, 0.02], [-0.1, 0.1], [0.6, 0.7], [0.0199, 0.0201]];
    const GOAL_BOUNDS: Bounds = [[-0.1, 0.6, 0.0199], [0.1, 0.7, 0.0201]];

    fn accepts(random: &[f64]) -> bool {
        far_apart(random)
    }

    fn place(sawyer: &mut Sawyer, random: &[f64]) -> Result<Self, SimError> {
        let block = Cylinder::find(sawyer)?;
        // Both stand at the height to which the block settled while the hand was parked.
        let height = block.position(sawyer)[2];
        let object_start = [random[0], random[1], height];
        sawyer.place_free_object(object_start);
        let pinch = Pinch { object_start, object_radius: 0.007, xz_threshold: 0.01 };
        Ok(Self { block, target: [random[3], random[4], height], pinch })
    }

    fn target(&self, _: &Sawyer) -> [f64; 3] {
        self.target
    }

    fn objects(&self, sawyer: &Sawyer) -> [Pose; 2] {
        [self.block.pose(sawyer), Pose::NONE]
    }

    fn markers(&self) -> Vec<Moved> {
        vec![Moved::Site("goal", self.target)]
    }

    fn judge(&mut self, moment: &Moment<'_>) -> Judgement {
        let to_goal = distance(moment.object, self.target);
        let to_goal_at_start = distance(self.pinch.object_start, self.target);
        let in_place = tolerance(to_goal, [0.0, RADIUS], to_goal_at_start, LongTail);
        let grasped = self.pinch.by_contact(moment, 0.003).into();
        let held = moment.grasps(0.01) && moment.openness < 0.55 && to_goal_at_start - to_goal > 0.01;
        let reward = if to_goal < RADIUS { 10.0 } else { carrying(grasped, in_place, held).value() };
        Judgement { reward, success: to_goal <= CLOSE }
    }
}
