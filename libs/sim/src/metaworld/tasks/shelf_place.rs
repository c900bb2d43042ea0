//! Shelf place: lift a block onto the shelf's middle board.

use crate::{
    SimError,
    environment::Judgement,
    geometry::distance,
    metaworld::{
        caging::Caging,
        cylinder::Cylinder,
        numpy::Real,
        reward::{Falloff::LongTail, hamacher, tolerance},
        sawyer::Sawyer,
        task::{Bounds, Moment, Pose, Task},
    },
    renderer::Moved,
};

const RADIUS: f64 = 0.05;
/// The block within this distance of the goal is a success.
const CLOSE: f64 = 0.07;
/// The goal above the shelf's foot.
const BOARD: f64 = 0.3;
/// A block lower than this, in front of or under the board, would have to go through it.
const UNDER_THE_BOARD: f64 = 0.24;
/// How far the shelf reaches to either side of the goal.
const HALF_WIDTH: f64 = 0.15;
/// From how far in front of the goal it matters that a block is too low.
const IN_FRONT: f64 = 3.0 * RADIUS;

pub(in crate::metaworld) struct ShelfPlace {
    block: Cylinder,
    target: [f64; 3],
    caging: Caging,
}

impl ShelfPlace {
    /// What being near the goal is worth to a block on its way up: less, the lower and closer to the shelf it is; nothing behind the goal.
    fn worth_lifting(&self, [x, y, z]: [f64; 3], in_place: f64) -> Real {
        let beneath = 0.0 < z && z < UNDER_THE_BOARD && (x - self.target[0]).abs() < HALF_WIDTH;
        let front = self.target[1] - IN_FRONT;
        if beneath && y > self.target[1] {
            Real::Python(0.0)
        } else if beneath && front < y && y < self.target[1] {
            let [close, low] = [(y - front) / IN_FRONT, (UNDER_THE_BOARD - z) / UNDER_THE_BOARD];
            Real::Double((in_place - hamacher(close, low).value()).clamp(0.0, 1.0))
        } else {
            Real::Python(in_place)
        }
    }
}

impl Task for ShelfPlace {
    const NAME: &'static str = "shelf-place-v3";
    const MODEL: &'static str = "sawyer_xyz/sawyer_shelf_placing.xml";
    /// Given in single precision.
    const HAND_START: [f64; 3] = [0.0, 0.6_f32 as f64, 0.2_f32 as f64];
    /// Block x, y, z, of which z is not used, then goal x, y, z.
    const RANDOM: &'static [[f64; 2]] =
        &[[-0.1, 0.1], [0.5, 0.6], [0.019, 0.021], [-0.1, 0.1], [0.8, 0.9], [0.299, 0.301]];
    const GOAL_BOUNDS: Bounds = [[-0.1, 0.8, 0.299], [0.1, 0.9, 0.301]];

    fn accepts(random: &[f64]) -> bool {
        distance([random[0], random[1]], [random[3], random[4]]) >= 0.1
    }

    fn moved(random: &[f64]) -> Vec<Moved> {
        vec![Moved::Body("shelf", [random[3], random[4], random[5] - BOARD])]
    }

    fn place(sawyer: &mut Sawyer, random: &[f64]) -> Result<Self, SimError> {
        let block = Cylinder::find(sawyer)?;
        let goal = sawyer.site_named("goal")?;
        let object_start = [random[0], random[1], block.position(sawyer)[2]];
        sawyer.place_free_object(object_start);
        let caging = Caging { object_start, object_radius: 0.02, pad_threshold: 0.05, xz_threshold: 0.01, effort: 1.0 };
        Ok(Self { block, target: sawyer.site(goal), caging })
    }

    fn target(&self, _: &Sawyer) -> [f64; 3] {
        self.target
    }

    fn objects(&self, sawyer: &Sawyer) -> [Pose; 2] {
        [self.block.pose(sawyer), Pose::NONE]
    }

    /// The goal is marked on the shelf, and moves with it.
    fn markers(&self) -> Vec<Moved> {
        Vec::new()
    }

    fn judge(&mut self, moment: &Moment<'_>) -> Judgement {
        let start = self.caging.object_start;
        let to_goal = distance(moment.object, self.target);
        let in_place = tolerance(to_goal, [0.0, RADIUS], distance(start, self.target), LongTail);
        let mut reward = hamacher(self.caging.sparse(moment, moment.object), in_place);
        if moment.grasps(0.025) && moment.lifted(start, 0.01) {
            reward = reward + (self.worth_lifting(moment.object, in_place) * 5.0 + 1.0);
        }
        let reward = if to_goal < RADIUS { 10.0 } else { reward.value() };
        Judgement { reward, success: to_goal <= CLOSE }
    }
}
