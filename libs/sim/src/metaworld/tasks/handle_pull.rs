//! Handle pull: pull a handle up.

use crate::metaworld::{
    handle::{PULLED, Pull, Pulled},
    task::Bounds,
};

pub(in crate::metaworld) type HandlePull = Pull<Front>;

pub(in crate::metaworld) struct Front;

impl Pulled for Front {
    const NAME: &'static str = "handle-pull-v3";
    const MODEL: &'static str = "sawyer_xyz/sawyer_handle_press.xml";
    const RANDOM: &'static [[f64; 2]] = &[[-0.1, 0.1], [0.8, 0.9], [-0.001, 0.001]];
    const GOAL_BOUNDS: Bounds = [[-0.1, 0.55, 0.04], [0.1, 0.7, 0.18]];
    const GRIP: &'static str = "handleRight";
    const WIDTH: f64 = 0.022;
    const PAD_THRESHOLD: f64 = 0.05;
    const SOLVED: f64 = PULLED;

    fn start(the_box: [f64; 3], _: [f64; 3]) -> [f64; 3] {
        the_box
    }

    /// In height alone.
    fn left(handle: [f64; 3], target: [f64; 3]) -> f64 {
        (target[2] - handle[2]).abs()
    }

    /// Meta-World compares y with a height, so that this always holds.
    fn lifted(handle: [f64; 3], start: [f64; 3]) -> bool {
        handle[1] - 0.01 > start[2]
    }
}
