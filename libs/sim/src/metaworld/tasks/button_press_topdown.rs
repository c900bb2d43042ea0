//! Button press topdown: press a button on the top of a box.

use crate::metaworld::button::{Button, ButtonOnBox, Press, Weights};

pub(in crate::metaworld) type ButtonPressTopdown = Button<Top>;

pub(in crate::metaworld) struct Top;

impl ButtonOnBox for Top {
    const NAME: &'static str = "button-press-topdown-v3";
    const MODEL: &'static str = "sawyer_xyz/sawyer_button_press_topdown.xml";
    const RANDOM: &'static [[f64; 2]] = &[[-0.1, 0.1], [0.8, 0.9], [0.115, 0.115]];
    const CAP: [f64; 3] = [0.0, 0.0, 0.193];
    const AXIS: usize = 2;
    const NEAR: f64 = 0.01;
    const SOLVED: f64 = 0.024;
    const PULLED_OUT: bool = false;

    fn reward(press: &Press, openness: f64) -> f64 {
        press.reward(1.0 - openness, Weights::FROM_ABOVE)
    }
}
