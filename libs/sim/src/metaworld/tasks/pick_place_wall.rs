//! Pick-place wall: lift a cylinder over a brick wall to a point in the air.

use crate::{
    SimError,
    environment::Judgement,
    metaworld::{
        caging::Caging,
        cylinder::{Cylinder, far_apart},
        detour::Detour,
        reward::hamacher,
        sawyer::Sawyer,
        task::{Bounds, Moment, Pose, Task},
    },
    renderer::Moved,
};

pub(in crate::metaworld) struct PickPlaceWall {
    cylinder: Cylinder,
    caging: Caging,
    detour: Detour,
}

impl Task for PickPlaceWall {
    const NAME: &'static str = "pick-place-wall-v3";
    const MODEL: &'static str = "sawyer_xyz/sawyer_pick_place_wall_v3.xml";
    const HAND_START: [f64; 3] = [0.0, 0.6, 0.2];
    /// Cylinder x, y, z, then goal x, y, z.
    const RANDOM: &'static [[f64; 2]] =
        &[[-0.05, 0.05], [0.6, 0.65], [0.015, 0.015], [-0.05, 0.05], [0.85, 0.9], [0.05, 0.3]];
    const GOAL_BOUNDS: Bounds = [[-0.05, 0.85, 0.05], [0.05, 0.9, 0.3]];

    fn accepts(random: &[f64]) -> bool {
        far_apart(random)
    }

    fn place(sawyer: &mut Sawyer, random: &[f64]) -> Result<Self, SimError> {
        let cylinder = Cylinder::find(sawyer)?;
        let start = [random[0], random[1], random[2]];
        sawyer.place_free_object(start);
        let caging =
            Caging { object_start: start, object_radius: 0.015, pad_threshold: 0.05, xz_threshold: 0.005, effort: 1.0 };
        let detour = Detour { start, target: [random[3], random[4], random[5]], weights: [1.0, 1.0, 3.0] };
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
        let over_the_wall = [self.detour.target[0], 0.77, 0.25];
        let at_midpoint = self.detour.at_midpoint(moment.object, over_the_wall);
        let grasped = hamacher(self.caging.sparse(moment, moment.object), at_midpoint);
        let held = moment.grasps(0.02) && moment.lifted(self.detour.start, 0.015);
        self.detour.judge(moment, grasped, held, at_midpoint)
    }
}
