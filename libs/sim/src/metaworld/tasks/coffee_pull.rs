//! Coffee pull: pull a mug out of the coffee machine, towards the arm.

use crate::metaworld::{
    mug::{Errand, Mug},
    task::Bounds,
};

pub(in crate::metaworld) type CoffeePull = Mug<Out>;

pub(in crate::metaworld) struct Out;

impl Errand for Out {
    const NAME: &'static str = "coffee-pull-v3";
    const RANDOM: &'static [[f64; 2]] =
        &[[-0.05, 0.05], [0.7, 0.75], [-0.001, 0.001], [-0.1, 0.1], [0.55, 0.65], [-0.001, 0.001]];
    const GOAL_BOUNDS: Bounds = [[-0.1, 0.55, -0.001], [0.1, 0.65, 0.001]];

    /// At the start.
    fn in_machine(random: &[f64]) -> [f64; 3] {
        [random[0], random[1], random[2]]
    }
}
