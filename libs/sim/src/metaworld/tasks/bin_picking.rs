//! Bin picking: take a block out of one bin and put it into the other.

use crate::{
    SimError,
    environment::Judgement,
    geometry::distance,
    metaworld::{
        caging::Caging,
        reward::{Falloff::LongTail, Funnel, above, hamacher, tolerance},
        sawyer::Sawyer,
        task::{Bounds, Moment, Pose, Task},
    },
    renderer::Moved,
};

const RADIUS: f64 = 0.05;
/// Keeps the hand above the bins' walls but for the middles of the bins.
const BIN: Funnel = Funnel { mouth: 0.03, steepness: 0.02, height: 0.2 };
/// Fingers closer than this hold nothing.
const PINCHED: f64 = 0.43;

pub(in crate::metaworld) struct BinPicking {
    block: usize,
    target: [f64; 3],
    /// How far the block was from the goal after the first step.
    to_goal_at_first: Option<f64>,
    caging: Caging,
}

impl Task for BinPicking {
    const NAME: &'static str = "bin-picking-v3";
    const MODEL: &'static str = "sawyer_xyz/sawyer_bin_picking.xml";
    const HAND_START: [f64; 3] = [0.0, 0.6, 0.2];
    const HAND_BOUNDS: Bounds = [[-0.5, 0.4, 0.07], [0.5, 1.0, 0.5]];
    /// Block x and y; the rest is not used.
    const RANDOM: &'static [[f64; 2]] =
        &[[-0.21, -0.03], [0.65, 0.75], [0.02, 0.02], [0.1199, 0.1201], [0.699, 0.701], [-0.001, 0.001]];
    const GOAL_BOUNDS: Bounds = [[0.1199, 0.699, -0.001], [0.1201, 0.701, 0.001]];

    fn place(sawyer: &mut Sawyer, random: &[f64]) -> Result<Self, SimError> {
        let block = sawyer.body_named("obj")?;
        // At the height to which it settled while the hand was parked.
        let object_start = [random[0], random[1], sawyer.body(block)[2]];
        sawyer.place_free_object(object_start);
        let target = sawyer.body(sawyer.body_named("bin_goal")?);
        let caging =
            Caging { object_start, object_radius: 0.015, pad_threshold: 0.05, xz_threshold: 0.01, effort: 0.7 };
        Ok(Self { block, target, to_goal_at_first: None, caging })
    }

    fn target(&self, _: &Sawyer) -> [f64; 3] {
        self.target
    }

    fn objects(&self, sawyer: &Sawyer) -> [Pose; 2] {
        [Pose { position: sawyer.body(self.block), quaternion: sawyer.body_wxyz(self.block) }, Pose::NONE]
    }

    fn markers(&self) -> Vec<Moved> {
        Vec::new()
    }

    fn judge(&mut self, moment: &Moment<'_>) -> Judgement {
        let start = self.caging.object_start;
        let to_goal = distance(moment.object, self.target);
        let margin = *self.to_goal_at_first.get_or_insert(to_goal);
        let in_place = tolerance(to_goal, [0.0, RADIUS], margin, LongTail);
        let mut reward = hamacher(self.caging.dense(moment, moment.object), in_place);
        let at_hand = distance(moment.object, moment.hand) < 0.04;
        if at_hand && moment.lifted(start, 0.02) && moment.openness >= PINCHED {
            let [x, y, z] = moment.hand;
            let [from, to] = [start, self.target].map(|bin| BIN.floor(distance([x, y], [bin[0], bin[1]])));
            reward = reward + (hamacher(above(from.min(to), z, 0.05), in_place) * 5.0 + 1.0);
        }
        let reward = if to_goal < RADIUS { 10.0 } else { reward.value() };
        Judgement { reward, success: to_goal <= RADIUS }
    }
}
