//! Push: slide a cylinder over the table to a goal.

use crate::{
    SimError,
    environment::Judgement,
    geometry::distance,
    metaworld::{
        caging::Caging,
        cylinder::{Cylinder, far_apart},
        reward::{Falloff::LongTail, tolerance},
        sawyer::Sawyer,
        task::{Bounds, Moment, Pose, Task},
    },
    renderer::Moved,
};

const RADIUS: f64 = 0.05;

pub(in crate::metaworld) struct Push {
    cylinder: Cylinder,
    target: [f64; 3],
    caging: Caging,
}

impl Task for Push {
    const NAME: &'static str = "push-v3";
    const MODEL: &'static str = "sawyer_xyz/sawyer_push_v3.xml";
    const HAND_START: [f64; 3] = [0.0, 0.6, 0.2];
    /// Cylinder x, y, z, then goal x, y, z; neither z is used.
    const RANDOM: &'static [[f64; 2]] = &[[-0.1, 0.1], [0.6, 0.7], [0.02, 0.02], [-0.1, 0.1], [0.8, 0.9], [0.01, 0.02]];
    const GOAL_BOUNDS: Bounds = [[-0.1, 0.8, 0.01], [0.1, 0.9, 0.02]];

    fn accepts(random: &[f64]) -> bool {
        far_apart(random)
    }

    fn place(sawyer: &mut Sawyer, random: &[f64]) -> Result<Self, SimError> {
        let cylinder = Cylinder::find(sawyer)?;
        // Both stand at the height to which the cylinder settled while the hand was parked.
        let height = cylinder.position(sawyer)[2];
        let object_start = [random[0], random[1], height];
        sawyer.place_free_object(object_start);
        let caging =
            Caging { object_start, object_radius: 0.015, pad_threshold: 0.05, xz_threshold: 0.005, effort: 1.0 };
        Ok(Self { cylinder, target: [random[3], random[4], height], caging })
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
        let to_grasp = distance(moment.object, moment.sawyer.tcp());
        let to_goal = distance(moment.object, self.target);
        let margin = distance(self.caging.object_start, self.target);
        let in_place = tolerance(to_goal, [0.0, RADIUS], margin, LongTail);
        let mut reward = self.caging.dense(moment, moment.object) * 2.0;
        if to_grasp < 0.02 && moment.openness > 0.0 {
            reward = reward + (reward + 1.0 + 5.0 * in_place);
        }
        let reward = if to_goal < RADIUS { 10.0 } else { reward.value() };
        Judgement { reward, success: to_goal <= RADIUS }
    }
}
