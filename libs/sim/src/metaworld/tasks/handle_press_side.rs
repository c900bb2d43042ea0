//! Handle press side: press a handle down that is reached from the side.

use crate::metaworld::{
    handle::{Press, Pressed},
    task::Bounds,
};

pub(in crate::metaworld) type HandlePressSide = Press<Side>;

pub(in crate::metaworld) struct Side;

impl Pressed for Side {
    const NAME: &'static str = "handle-press-side-v3";
    const MODEL: &'static str = "sawyer_xyz/sawyer_handle_press_sideways.xml";
    const RANDOM: &'static [[f64; 2]] = &[[-0.35, -0.25], [0.65, 0.75], [-0.001, 0.001]];
    const GOAL_BOUNDS: Bounds = [[-0.5, 0.4, 0.05], [0.5, 1.0, 0.5]];
}
