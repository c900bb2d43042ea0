//! Button press wall: reach past a wall and press a button on the front of a box.

use super::button_press::Front;
use crate::metaworld::button::{Button, ButtonOnBox, Press};

/// The gripper farther than this from the button is still on its way.
const ARRIVED: f64 = 0.07;

pub(in crate::metaworld) type ButtonPressWall = Button<BehindWall>;

pub(in crate::metaworld) struct BehindWall;

impl ButtonOnBox for BehindWall {
    const NAME: &'static str = "button-press-wall-v3";
    const MODEL: &'static str = "sawyer_xyz/sawyer_button_press_wall.xml";
    const RANDOM: &'static [[f64; 2]] = &[[-0.05, 0.05], [0.85, 0.9], [0.1149, 0.1151]];
    const CAP: [f64; 3] = Front::CAP;
    const AXIS: usize = Front::AXIS;
    const NEAR: f64 = 0.01;
    const SOLVED: f64 = 0.03;
    const PULLED_OUT: bool = Front::PULLED_OUT;

    /// On the way with closed fingers, then pressing with open ones.
    fn reward(press: &Press, openness: f64) -> f64 {
        if press.to_button > ARRIVED {
            2.0 * press.reaching((1.0 - openness) / 2.0)
        } else {
            2.0 + 2.0 * (1.0 + openness) + 4.0 * press.pressed.powi(2)
        }
    }
}
