//! Handle pull side: pull a handle up that is reached from the side.

use crate::{
    geometry::distance,
    metaworld::{
        handle::{Pull, Pulled},
        task::Bounds,
    },
};

pub(in crate::metaworld) type HandlePullSide = Pull<Side>;

pub(in crate::metaworld) struct Side;

impl Pulled for Side {
    const NAME: &'static str = "handle-pull-side-v3";
    const MODEL: &'static str = "sawyer_xyz/sawyer_handle_press_sideways.xml";
    const RANDOM: &'static [[f64; 2]] = &[[-0.35, -0.25], [0.65, 0.75], [0.0, 0.0]];
    const GOAL_BOUNDS: Bounds = [[-0.5, 0.4, 0.05], [0.5, 1.0, 0.5]];
    const GRIP: &'static str = "handleCenter";
    const WIDTH: f64 = 0.032;
    const PAD_THRESHOLD: f64 = 0.06;
    const SOLVED: f64 = 0.08;

    fn start(_: [f64; 3], handle: [f64; 3]) -> [f64; 3] {
        handle
    }

    fn left(handle: [f64; 3], target: [f64; 3]) -> f64 {
        distance(handle, target)
    }

    fn lifted(handle: [f64; 3], start: [f64; 3]) -> bool {
        handle[2] - 0.01 > start[2]
    }
}
