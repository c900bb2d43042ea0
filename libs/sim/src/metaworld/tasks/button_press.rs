//! Button press: press a button on the front of a box.

use crate::metaworld::button::{Button, ButtonOnBox, Press, Weights};

pub(in crate::metaworld) type ButtonPress = Button<Front>;

pub(in crate::metaworld) struct Front;

impl ButtonOnBox for Front {
    const NAME: &'static str = "button-press-v3";
    const MODEL: &'static str = "sawyer_xyz/sawyer_button_press.xml";
    const RANDOM: &'static [[f64; 2]] = &[[-0.1, 0.1], [0.85, 0.9], [0.115, 0.115]];
    const CAP: [f64; 3] = [0.0, -0.193, 0.0];
    const AXIS: usize = 1;
    const NEAR: f64 = 0.05;
    const SOLVED: f64 = 0.02;
    const PULLED_OUT: bool = true;

    fn reward(press: &Press, openness: f64) -> f64 {
        press.reward(openness, Weights::FROM_FRONT)
    }
}
