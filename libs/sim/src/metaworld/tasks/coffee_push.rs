//! Coffee push: push a mug into the coffee machine.

use crate::metaworld::{
    mug::{Errand, Mug},
    task::Bounds,
};

pub(in crate::metaworld) type CoffeePush = Mug<In>;

pub(in crate::metaworld) struct In;

impl Errand for In {
    const NAME: &'static str = "coffee-push-v3";
    const RANDOM: &'static [[f64; 2]] =
        &[[-0.1, 0.1], [0.55, 0.65], [-0.001, 0.001], [-0.05, 0.05], [0.7, 0.75], [-0.001, 0.001]];
    const GOAL_BOUNDS: Bounds = [[-0.05, 0.7, -0.001], [0.05, 0.75, 0.001]];

    /// At the goal.
    fn in_machine(random: &[f64]) -> [f64; 3] {
        [random[3], random[4], random[5]]
    }
}
