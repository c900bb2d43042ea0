//! Reach: bring the gripper to a point in the air. A cylinder stands on the table and plays no part.

use crate::{
    SimError,
    environment::Judgement,
    geometry::distance,
    metaworld::{
        cylinder::{Cylinder, far_apart},
        reward::{Falloff::LongTail, tolerance},
        sawyer::Sawyer,
        task::{Bounds, Moment, Pose, Task},
    },
};

const RADIUS: f64 = 0.05;

pub(in crate::metaworld) struct Reach {
    cylinder: Cylinder,
    target: [f64; 3],
}

impl Task for Reach {
    const NAME: &'static str = "reach-v3";
    const MODEL: &'static str = "sawyer_xyz/sawyer_reach_v3.xml";
    const HAND_START: [f64; 3] = [0.0, 0.6, 0.2];
    /// Cylinder x, y, z, then target x, y, z.
    const RANDOM: &'static [[f64; 2]] =
        &[[-0.1, 0.1], [0.6, 0.7], [0.02, 0.02], [-0.1, 0.1], [0.8, 0.9], [0.05, 0.3]];
    const GOAL_BOUNDS: Bounds = [[-0.1, 0.8, 0.05], [0.1, 0.9, 0.3]];

    fn accepts(random: &[f64]) -> bool {
        far_apart(random)
    }

    fn place(sawyer: &mut Sawyer, random: &[f64]) -> Result<Self, SimError> {
        let cylinder = Cylinder::find(sawyer)?;
        sawyer.place_free_object([random[0], random[1], random[2]]);
        Ok(Self { cylinder, target: [random[3], random[4], random[5]] })
    }

    fn target(&self) -> [f64; 3] {
        self.target
    }

    fn object(&self, sawyer: &Sawyer) -> Pose {
        self.cylinder.pose(sawyer)
    }

    fn judge(&self, moment: &Moment<'_>) -> Judgement {
        let away = distance(moment.sawyer.tcp(), self.target);
        let in_place = tolerance(away, [0.0, RADIUS], distance(Self::HAND_START, self.target), LongTail);
        Judgement { reward: 10.0 * in_place, success: away <= RADIUS }
    }
}
