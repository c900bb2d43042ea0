//! Pick out of hole: lift a cylinder out of a hole in the table to a point in the air.

use crate::{
    SimError,
    environment::Judgement,
    geometry::distance,
    metaworld::{
        caging::Caging,
        cylinder::far_apart,
        reward::{Falloff::LongTail, Funnel, above, hamacher, tolerance},
        sawyer::Sawyer,
        task::{Bounds, Moment, Pose, Task},
    },
    renderer::Moved,
};

const RADIUS: f64 = 0.05;
/// The cylinder within this distance of the goal is a success.
const CLOSE: f64 = 0.07;
/// Keeps the gripper from the table beside the hole.
const TABLE: Funnel = Funnel { mouth: 0.03, steepness: 0.015, height: 0.15 };
/// Fingers closer than this hold nothing.
const PINCHED: f64 = 0.33;

pub(in crate::metaworld) struct PickOutOfHole {
    cylinder: usize,
    target: [f64; 3],
    caging: Caging,
}

impl Task for PickOutOfHole {
    const NAME: &'static str = "pick-out-of-hole-v3";
    const MODEL: &'static str = "sawyer_xyz/sawyer_pick_out_of_hole.xml";
    const HAND_START: [f64; 3] = [0.0, 0.6, 0.2];
    const HAND_BOUNDS: Bounds = [[-0.5, 0.4, -0.05], [0.5, 1.0, 0.5]];
    /// Cylinder x, y, z, then goal x, y, z.
    const RANDOM: &'static [[f64; 2]] = &[[0.0, 0.0], [0.75, 0.75], [0.02, 0.02], [-0.1, 0.1], [0.5, 0.6], [0.15, 0.3]];
    const GOAL_BOUNDS: Bounds = [[-0.1, 0.5, 0.15], [0.1, 0.6, 0.3]];

    fn accepts(random: &[f64]) -> bool {
        far_apart(random)
    }

    fn place(sawyer: &mut Sawyer, random: &[f64]) -> Result<Self, SimError> {
        let object_start = [random[0], random[1], random[2]];
        sawyer.place_free_object(object_start);
        let caging =
            Caging { object_start, object_radius: 0.015, pad_threshold: 0.02, xz_threshold: 0.03, effort: 0.1 };
        Ok(Self { cylinder: sawyer.body_named("obj")?, target: [random[3], random[4], random[5]], caging })
    }

    fn target(&self, _: &Sawyer) -> [f64; 3] {
        self.target
    }

    fn objects(&self, sawyer: &Sawyer) -> [Pose; 2] {
        [Pose { position: sawyer.body(self.cylinder), quaternion: sawyer.body_wxyz(self.cylinder) }, Pose::NONE]
    }

    fn markers(&self) -> Vec<Moved> {
        vec![Moved::Site("goal", self.target)]
    }

    fn judge(&mut self, moment: &Moment<'_>) -> Judgement {
        let start = self.caging.object_start;
        let [x, y, z] = moment.sawyer.tcp();
        let to_goal = distance(moment.object, self.target);
        let in_place = tolerance(to_goal, [0.0, 0.02], distance(start, self.target), LongTail);
        let mut reward = hamacher(self.caging.dense(moment, moment.object), in_place);
        if moment.grasps(0.04) && moment.lifted(start, 0.02) && moment.openness >= PINCHED {
            let above_table = above(TABLE.floor(distance([x, y], [start[0], start[1]])), z, 0.02);
            reward = reward + (hamacher(in_place, above_table) * 5.0 + 1.0);
        }
        let reward = if to_goal < RADIUS { 10.0 } else { reward.value() };
        Judgement { reward, success: to_goal <= CLOSE }
    }
}
