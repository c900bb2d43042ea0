//! Push wall: slide a cylinder round a brick wall to a goal behind it.

use crate::{
    SimError,
    environment::Judgement,
    metaworld::{
        caging::Caging,
        cylinder::{Cylinder, far_apart},
        detour::Detour,
        sawyer::Sawyer,
        task::{Bounds, Moment, Pose, Task},
    },
    renderer::Moved,
};

pub(in crate::metaworld) struct PushWall {
    cylinder: Cylinder,
    caging: Caging,
    detour: Detour,
}

impl Task for PushWall {
    const NAME: &'static str = "push-wall-v3";
    const MODEL: &'static str = "sawyer_xyz/sawyer_push_wall_v3.xml";
    const HAND_START: [f64; 3] = [0.0, 0.6, 0.2];
    /// Cylinder x, y, z, then goal x, y, z; neither z is used.
    const RANDOM: &'static [[f64; 2]] =
        &[[-0.05, 0.05], [0.6, 0.65], [0.015, 0.015], [-0.05, 0.05], [0.85, 0.9], [0.01, 0.02]];
    const GOAL_BOUNDS: Bounds = [[-0.05, 0.85, 0.01], [0.05, 0.9, 0.02]];

    fn accepts(random: &[f64]) -> bool {
        far_apart(random)
    }

    fn place(sawyer: &mut Sawyer, random: &[f64]) -> Result<Self, SimError> {
        let cylinder = Cylinder::find(sawyer)?;
        // Both stand at the height to which the cylinder settled while the hand was parked.
        let height = cylinder.position(sawyer)[2];
        let start = [random[0], random[1], height];
        sawyer.place_free_object(start);
        let caging =
            Caging { object_start: start, object_radius: 0.015, pad_threshold: 0.05, xz_threshold: 0.005, effort: 1.0 };
        let detour = Detour { start, target: [random[3], random[4], height], weights: [3.0, 1.0, 1.0] };
        Ok(Self { cylinder, caging, detour })
    }

    fn target(&self, _: &Sawyer) -> [f64; 3] {
        self.detour.target
    }

    fn objects(&self, sawyer: &Sawyer) -> [Pose; 2] {
        [self.cylinder.pose(sawyer), Pose::NONE]
    }

    fn markers(&self) -> Vec<Moved> {
        vec![Moved::Site("goal", self.detour.target)]
    }

    fn judge(&mut self, moment: &Moment<'_>) -> Judgement {
        let beside_the_wall = [-0.05, 0.77, moment.object[2]];
        let at_midpoint = self.detour.at_midpoint(moment.object, beside_the_wall);
        let grasped = self.caging.dense(moment, moment.object) * 2.0;
        self.detour.judge(moment, grasped, moment.grasps(0.02), at_midpoint)
    }
}
