//! Hand insert: push a block into a hole, and the hand after it.

use crate::{
    SimError,
    environment::Judgement,
    geometry::distance,
    metaworld::{
        caging::Caging,
        cylinder::far_apart,
        reward::{Falloff::LongTail, hamacher, tolerance},
        sawyer::Sawyer,
        task::{Bounds, Moment, Pose, Task},
    },
    renderer::Moved,
};

const RADIUS: f64 = 0.05;
/// The height at which the block is set down.
const BLOCK_HEIGHT: f64 = 0.05;

pub(in crate::metaworld) struct HandInsert {
    block: usize,
    target: [f64; 3],
    caging: Caging,
}

impl Task for HandInsert {
    const NAME: &'static str = "hand-insert-v3";
    const MODEL: &'static str = "sawyer_xyz/sawyer_table_with_hole.xml";
    /// Given in single precision.
    const HAND_START: [f64; 3] = [0.0, 0.6_f32 as f64, 0.2_f32 as f64];
    const HAND_BOUNDS: Bounds = [[-0.5, 0.4, -0.15], [0.5, 1.0, 0.5]];
    /// Block x, y, z, of which z is not used, then goal x, y, z.
    const RANDOM: &'static [[f64; 2]] =
        &[[-0.1, 0.1], [0.6, 0.7], [0.05, 0.05], [-0.04, 0.04], [0.8, 0.88], [-0.0201, -0.0199]];
    const GOAL_BOUNDS: Bounds = [[-0.04, 0.8, -0.0201], [0.04, 0.88, -0.0199]];

    fn accepts(random: &[f64]) -> bool {
        far_apart(random)
    }

    fn place(sawyer: &mut Sawyer, random: &[f64]) -> Result<Self, SimError> {
        let object_start = [random[0], random[1], BLOCK_HEIGHT];
        sawyer.place_free_object(object_start);
        let caging =
            Caging { object_start, object_radius: 0.015, pad_threshold: 0.05, xz_threshold: 0.005, effort: 1.0 };
        Ok(Self { block: sawyer.body_named("obj")?, target: [random[3], random[4], random[5]], caging })
    }

    fn target(&self, _: &Sawyer) -> [f64; 3] {
        self.target
    }

    fn objects(&self, sawyer: &Sawyer) -> [Pose; 2] {
        [Pose { position: sawyer.body(self.block), quaternion: sawyer.body_wxyz(self.block) }, Pose::NONE]
    }

    fn markers(&self) -> Vec<Moved> {
        vec![Moved::Site("goal", self.target)]
    }

    fn judge(&mut self, moment: &Moment<'_>) -> Judgement {
        let to_goal = distance(moment.object, self.target);
        let margin = distance(self.caging.object_start, self.target);
        let in_place = tolerance(to_goal, [0.0, RADIUS], margin, LongTail);
        let mut reward = hamacher(self.caging.dense(moment, moment.object), in_place);
        if moment.grasps(0.02) {
            reward = reward + (1.0 + 7.0 * in_place);
        }
        let reward = if to_goal < RADIUS { 10.0 } else { reward.value() };
        Judgement { reward, success: to_goal <= RADIUS }
    }
}
