//! Plate slide back: slide a plate out of a cabinet.

use crate::metaworld::{
    plate::{Plate, Slide},
    task::Bounds,
};

pub(in crate::metaworld) type PlateSlideBack = Plate<Out>;

pub(in crate::metaworld) struct Out;

impl Slide for Out {
    const NAME: &'static str = "plate-slide-back-v3";
    const MODEL: &'static str = "sawyer_xyz/sawyer_plate_slide.xml";
    const RANDOM: &'static [[f64; 2]] =
        &[[0.0, 0.0], [0.85, 0.85], [0.0, 0.0], [-0.1, 0.1], [0.6, 0.6], [0.015, 0.015]];
    const GOAL_BOUNDS: Bounds = [[-0.1, 0.6, 0.015], [0.1, 0.6, 0.015]];
    const START: [f64; 2] = [0.0, 0.15];
}
