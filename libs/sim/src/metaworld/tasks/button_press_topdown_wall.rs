//! Button press topdown wall: reach past a wall and press a button on the top of a box.

use super::button_press_topdown::Top;
use crate::metaworld::button::{Button, ButtonOnBox, Press, Weights};

pub(in crate::metaworld) type ButtonPressTopdownWall = Button<TopBehindWall>;

pub(in crate::metaworld) struct TopBehindWall;

impl ButtonOnBox for TopBehindWall {
    const NAME: &'static str = "button-press-topdown-wall-v3";
    const MODEL: &'static str = "sawyer_xyz/sawyer_button_press_topdown_wall.xml";
    const RANDOM: &'static [[f64; 2]] = Top::RANDOM;
    const CAP: [f64; 3] = Top::CAP;
    const AXIS: usize = Top::AXIS;
    const NEAR: f64 = Top::NEAR;
    const SOLVED: f64 = Top::SOLVED;
    const PULLED_OUT: bool = Top::PULLED_OUT;

    /// Unlike without the wall, the fingers ought to be open.
    fn reward(press: &Press, openness: f64) -> f64 {
        press.reward(openness, Weights::FROM_ABOVE)
    }
}
