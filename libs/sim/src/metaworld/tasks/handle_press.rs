//! Handle press: press a handle down.

use crate::metaworld::{
    handle::{Press, Pressed},
    task::Bounds,
};

pub(in crate::metaworld) type HandlePress = Press<Front>;

pub(in crate::metaworld) struct Front;

impl Pressed for Front {
    const NAME: &'static str = "handle-press-v3";
    const MODEL: &'static str = "sawyer_xyz/sawyer_handle_press.xml";
    const RANDOM: &'static [[f64; 2]] = &[[-0.1, 0.1], [0.8, 0.9], [-0.001, 0.001]];
    const GOAL_BOUNDS: Bounds = [[-0.1, 0.55, 0.04], [0.1, 0.7, 0.08]];
}
