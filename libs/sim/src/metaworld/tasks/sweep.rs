//! Sweep: push a block off the table's side.

use crate::{
    SimError,
    environment::Judgement,
    geometry::distance,
    metaworld::{
        pinch::Pinch,
        reward::{Falloff::LongTail, sweeping, tolerance},
        sawyer::Sawyer,
        task::{Bounds, Moment, Pose, Task},
    },
    renderer::Moved,
};

const RADIUS: f64 = 0.05;
/// The height at which the block is set down.
const BLOCK_HEIGHT: f64 = 0.02;
/// The goal's x and z; its y is the block's.
const GOAL: [f64; 2] = [0.5, 0.01];

pub(in crate::metaworld) struct Sweep {
    block: usize,
    target: [f64; 3],
    pinch: Pinch,
}

impl Task for Sweep {
    const NAME: &'static str = "sweep-v3";
    const MODEL: &'static str = "sawyer_xyz/sawyer_sweep_v3.xml";
    const HAND_START: [f64; 3] = [0.0, 0.6, 0.2];
    /// Block x, y, z, of which z is not used.
    const RANDOM: &'static [[f64; 2]] = &[[-0.1, 0.1], [0.6, 0.7], [0.02, 0.02]];
    const GOAL_BOUNDS: Bounds = [[0.49, 0.6, 0.0], [0.51, 0.7, 0.02]];

    fn place(sawyer: &mut Sawyer, random: &[f64]) -> Result<Self, SimError> {
        let block = sawyer.body_named("obj")?;
        let object_start = [random[0], random[1], BLOCK_HEIGHT];
        sawyer.place_free_object(object_start);
        let pinch = Pinch { object_start, object_radius: 0.02, xz_threshold: 0.005 };
        Ok(Self { block, target: [GOAL[0], random[1], GOAL[1]], pinch })
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
        let margin = distance(self.pinch.object_start, self.target);
        let in_place = tolerance(to_goal, [0.0, RADIUS], margin, LongTail);
        let reward = if to_goal < RADIUS { 10.0 } else { sweeping(self.pinch.by_contact(moment, 0.01), in_place) };
        Judgement { reward, success: to_goal <= RADIUS }
    }
}
