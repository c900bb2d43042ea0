//! Window close: push an open window shut.

use crate::metaworld::{
    reward::Falloff::{self, Gaussian},
    window::{Slide, TRAVEL, Window},
};

pub(in crate::metaworld) type WindowClose = Window<Close>;

pub(in crate::metaworld) struct Close;

impl Slide for Close {
    const NAME: &'static str = "window-close-v3";
    const RANDOM: &'static [[f64; 2]] = &[[0.0, 0.0], [0.75, 0.9], [0.2, 0.2]];
    const HANDLE: &'static str = "handleCloseStart";
    const SLID: f64 = TRAVEL;
    const GOAL: [f64; 3] = [0.0; 3];
    const REACH: Falloff = Gaussian;

    fn start(_: [f64; 3], [x, ..]: [f64; 3]) -> f64 {
        x
    }
}
