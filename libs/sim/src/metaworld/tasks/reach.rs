//! Reach: bring the gripper to a point in the air.

use crate::metaworld::{
    reaching::{Place, Reaching},
    task::Bounds,
};

pub(in crate::metaworld) type Reach = Reaching<Open>;

pub(in crate::metaworld) struct Open;

impl Place for Open {
    const NAME: &'static str = "reach-v3";
    const MODEL: &'static str = "sawyer_xyz/sawyer_reach_v3.xml";
    const RANDOM: &'static [[f64; 2]] = &[[-0.1, 0.1], [0.6, 0.7], [0.02, 0.02], [-0.1, 0.1], [0.8, 0.9], [0.05, 0.3]];
    const GOAL_BOUNDS: Bounds = [[-0.1, 0.8, 0.05], [0.1, 0.9, 0.3]];
}
