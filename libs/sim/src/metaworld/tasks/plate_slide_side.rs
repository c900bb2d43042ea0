//! Plate slide side: slide a plate sideways into a cabinet.

use crate::metaworld::{
    plate::{Plate, Slide},
    task::Bounds,
};

pub(in crate::metaworld) type PlateSlideSide = Plate<InSideways>;

pub(in crate::metaworld) struct InSideways;

impl Slide for InSideways {
    const NAME: &'static str = "plate-slide-side-v3";
    const MODEL: &'static str = "sawyer_xyz/sawyer_plate_slide_sideway.xml";
    const RANDOM: &'static [[f64; 2]] = &[[0.0, 0.0], [0.6, 0.6], [0.0, 0.0], [-0.3, -0.25], [0.54, 0.66], [0.0, 0.0]];
    const GOAL_BOUNDS: Bounds = [[-0.3, 0.54, 0.0], [-0.25, 0.66, 0.0]];
    const START: [f64; 2] = [0.0, 0.0];
}
