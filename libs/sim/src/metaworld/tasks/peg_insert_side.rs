//! Peg insert side: put a peg into a hole in the side of a block.

use crate::{
    SimError,
    environment::Judgement,
    geometry::{add, distance, weighted_distance},
    metaworld::{
        caging::Caging,
        numpy::Real,
        reward::{Falloff::LongTail, carrying, hamacher, through_box, tolerance},
        sawyer::Sawyer,
        task::{Bounds, Moment, Pose, Task},
    },
    renderer::Moved,
};

const RADIUS: f64 = 0.07;
/// The hole, seen from the block.
const HOLE: [f64; 3] = [0.03, 0.0, 0.13];
/// Errors across the hole count double.
const WEIGHTS: [f64; 3] = [1.0, 2.0, 2.0];
/// Opposite corners of two boxes in front of the block, below and above the hole, where the peg's head gets stuck: from, to.
const STUCK: [[&str; 2]; 2] = [
    ["bottom_right_corner_collision_box_1", "top_left_corner_collision_box_1"],
    ["bottom_right_corner_collision_box_2", "top_left_corner_collision_box_2"],
];

pub(in crate::metaworld) struct PegInsertSide {
    grip: usize,
    head: usize,
    stuck: [[[f64; 3]; 2]; 2],
    head_start: [f64; 3],
    target: [f64; 3],
    caging: Caging,
}

impl Task for PegInsertSide {
    const NAME: &'static str = "peg-insert-side-v3";
    const MODEL: &'static str = "sawyer_xyz/sawyer_peg_insertion_side.xml";
    const HAND_START: [f64; 3] = [0.0, 0.6, 0.2];
    /// Peg x, y, z, then block x, y, z.
    const RANDOM: &'static [[f64; 2]] =
        &[[0.0, 0.2], [0.5, 0.7], [0.02, 0.02], [-0.35, -0.25], [0.4, 0.7], [-0.001, 0.001]];
    const GOAL_BOUNDS: Bounds =
        [[-0.35 + HOLE[0], 0.4 + HOLE[1], -0.001 + HOLE[2]], [-0.25 + HOLE[0], 0.7 + HOLE[1], 0.001 + HOLE[2]]];

    fn accepts(random: &[f64]) -> bool {
        distance([random[0], random[1]], [random[3], random[4]]) >= 0.1
    }

    fn moved(random: &[f64]) -> Vec<Moved> {
        vec![Moved::Body("box", [random[3], random[4], random[5]])]
    }

    fn place(sawyer: &mut Sawyer, random: &[f64]) -> Result<Self, SimError> {
        let head = sawyer.site_named("pegHead")?;
        // Meta-World measures from where the head lay while the hand was parked, not from where the peg is put now.
        let head_start = sawyer.site(head);
        let object_start = [random[0], random[1], random[2]];
        sawyer.place_free_object(object_start);
        let mut stuck = [[[0.0; 3]; 2]; 2];
        for (corners, names) in stuck.iter_mut().zip(STUCK) {
            for (corner, name) in corners.iter_mut().zip(names) {
                *corner = sawyer.site(sawyer.site_named(name)?);
            }
        }
        Ok(Self {
            grip: sawyer.site_named("pegGrasp")?,
            head,
            stuck,
            head_start,
            target: add([random[3], random[4], random[5]], HOLE),
            caging: Caging {
                object_start,
                object_radius: 0.0075,
                pad_threshold: 0.03,
                xz_threshold: 0.005,
                effort: 1.0,
            },
        })
    }

    fn target(&self, _: &Sawyer) -> [f64; 3] {
        self.target
    }

    fn objects(&self, sawyer: &Sawyer) -> [Pose; 2] {
        [Pose { position: sawyer.site(self.grip), quaternion: sawyer.site_xyzw(self.grip) }, Pose::NONE]
    }

    fn markers(&self) -> Vec<Moved> {
        vec![Moved::Site("goal", self.target)]
    }

    fn judge(&mut self, moment: &Moment<'_>) -> Judgement {
        let head = moment.sawyer.site(self.head);
        let to_goal = weighted_distance(head, self.target, WEIGHTS);
        let margin = weighted_distance(self.head_start, self.target, WEIGHTS);
        let free = self.stuck.map(|[from, to]| through_box(head, from, to));
        let in_place = hamacher(tolerance(to_goal, [0.0, RADIUS], margin, LongTail), hamacher(free[1], free[0]));
        let held = moment.grasps(0.08) && moment.lifted(self.caging.object_start, 0.01);
        let grasped = if held { Real::Python(1.0) } else { self.caging.dense(moment, moment.object) };
        let success = to_goal <= RADIUS;
        let reward = if success { 10.0 } else { carrying(grasped, in_place, held).value() };
        Judgement { reward, success }
    }
}
