//! Plate slide: slide a plate into a cabinet.

use crate::metaworld::{
    plate::{Plate, Slide, Sliding},
    reward::hamacher,
    task::Bounds,
};

pub(in crate::metaworld) type PlateSlide = Plate<In>;

pub(in crate::metaworld) struct In;

impl Slide for In {
    const NAME: &'static str = "plate-slide-v3";
    const MODEL: &'static str = "sawyer_xyz/sawyer_plate_slide.xml";
    const RANDOM: &'static [[f64; 2]] = &[[0.0, 0.0], [0.6, 0.6], [0.0, 0.0], [-0.1, 0.1], [0.85, 0.9], [0.0, 0.0]];
    const GOAL_BOUNDS: Bounds = [[-0.1, 0.85, 0.0], [0.1, 0.9, 0.0]];
    const START: [f64; 2] = [0.0, 0.0];

    /// At the goal.
    fn cabinet(random: &[f64]) -> Option<[f64; 3]> {
        Some([random[3], random[4], random[5]])
    }

    fn reward(sliding: &Sliding) -> f64 {
        8.0 * hamacher(sliding.reached(0.0), sliding.in_place(0.0)).value()
    }
}
