//! Window open: push a window open.

use crate::metaworld::{
    reward::Falloff::{self, LongTail},
    window::{Slide, TRAVEL, Window},
};

pub(in crate::metaworld) type WindowOpen = Window<Open>;

pub(in crate::metaworld) struct Open;

impl Slide for Open {
    const NAME: &'static str = "window-open-v3";
    const RANDOM: &'static [[f64; 2]] = &[[-0.1, 0.1], [0.7, 0.9], [0.16, 0.16]];
    const HANDLE: &'static str = "handleOpenStart";
    const SLID: f64 = 0.0;
    const GOAL: [f64; 3] = [TRAVEL, 0.0, 0.0];
    const REACH: Falloff = LongTail;

    fn start([x, ..]: [f64; 3], _: [f64; 3]) -> f64 {
        x
    }
}
