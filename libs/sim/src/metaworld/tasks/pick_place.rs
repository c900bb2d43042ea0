//! Pick-place: lift a cylinder to a point in the air.

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
/// The cylinder within this distance of the goal is a success.
const CLOSE: f64 = 0.07;

pub(in crate::metaworld) struct PickPlace {
    cylinder: Cylinder,
    target: [f64; 3],
    pinch: Pinch,
}

impl Task for PickPlace {
    const NAME: &'static str = "pick-place-v3";
    const MODEL: &'static str = "sawyer_xyz/sawyer_pick_place_v3.xml";
    const HAND_START: [f64; 3] = [0.0, 0.6, 0.2];
    /// Cylinder x, y, z, then goal x, y, z.
    const RANDOM: &'static [[f64; 2]] = &[[-0.1, 0.1], [0.6, 0.7], [0.02, 0.02], [-0.1, 0.1], [0.8, 0.9], [0.05, 0.3]];
    const GOAL_BOUNDS: Bounds = [[-0.1, 0.8, 0.05], [0.1, 0.9, 0.3]];

    fn accepts(random: &[f64]) -> bool {
        far_apart(random)
    }

    fn place(sawyer: &mut Sawyer, random: &[f64]) -> Result<Self, SimError> {
        let cylinder = Cylinder::find(sawyer)?;
        let object_start = [random[0], random[1], random[2]];
        sawyer.place_free_object(object_start);
        let pinch = Pinch { object_start, object_radius: 0.015, xz_threshold: 0.005 };
        Ok(Self { cylinder, target: [random[3], random[4], random[5]], pinch })
    }

    fn target(&self, _: &Sawyer) -> [f64; 3] {
        self.target
    }

    fn objects(&self, sawyer: &Sawyer) -> [Pose; 2] {
        [self.cylinder.pose(sawyer), Pose::NONE]
    }

    fn markers(&self) -> Vec<Moved> {
        vec![Moved::Site("goal", self.target)]
    }

    fn judge(&mut self, moment: &Moment<'_>) -> Judgement {
        let start = self.pinch.object_start;
        let to_goal = distance(moment.object, self.target);
        let in_place = tolerance(to_goal, [0.0, RADIUS], distance(start, self.target), LongTail);
        let held = moment.grasps(0.02) && moment.lifted(start, 0.01);
        let reward =
            if to_goal < RADIUS { 10.0 } else { carrying(self.pinch.by_effort(moment), in_place, held).value() };
        Judgement { reward, success: to_goal <= CLOSE }
    }
}
