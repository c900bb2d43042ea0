//! Plate slide back side: slide a plate sideways out of a cabinet.

use crate::metaworld::{
    plate::{Plate, Slide},
    task::Bounds,
};

pub(in crate::metaworld) type PlateSlideBackSide = Plate<OutSideways>;

pub(in crate::metaworld) struct OutSideways;

impl Slide for OutSideways {
    const NAME: &'static str = "plate-slide-back-side-v3";
    const MODEL: &'static str = "sawyer_xyz/sawyer_plate_slide_sideway.xml";
    const RANDOM: &'static [[f64; 2]] =
        &[[-0.25, -0.25], [0.6, 0.6], [0.0, 0.0], [-0.05, 0.15], [0.6, 0.6], [0.015, 0.015]];
    const GOAL_BOUNDS: Bounds = [[-0.05, 0.6, 0.015], [0.15, 0.6, 0.015]];
    const START: [f64; 2] = [-0.15, 0.0];

    /// Where the reward takes the plate to start.
    fn cabinet(random: &[f64]) -> Option<[f64; 3]> {
        Some([random[0], random[1], random[2]])
    }
}
