//! Reach wall: bring the gripper past a brick wall to a point in the air.

use crate::metaworld::{
    reaching::{Place, Reaching},
    task::Bounds,
};

pub(in crate::metaworld) type ReachWall = Reaching<BehindTheWall>;

pub(in crate::metaworld) struct BehindTheWall;

impl Place for BehindTheWall {
    const NAME: &'static str = "reach-wall-v3";
    const MODEL: &'static str = "sawyer_xyz/sawyer_reach_wall_v3.xml";
    const RANDOM: &'static [[f64; 2]] =
        &[[-0.05, 0.05], [0.6, 0.65], [0.015, 0.015], [-0.05, 0.05], [0.85, 0.9], [0.05, 0.3]];
    const GOAL_BOUNDS: Bounds = [[-0.05, 0.85, 0.05], [0.05, 0.9, 0.3]];
}
