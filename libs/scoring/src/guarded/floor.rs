//! Who stands above the floor of an environment.
//!
//! The limit is the exact one of Clopper and Pearson (*The use of confidence or fiducial limits illustrated in the case
//! of the binomial*, Biometrika 26, 1934): the lower limit is above the floor f exactly when P(X ≥ k) < 5 % for X
//! binomial(n, f), with k the successes of n episodes that count. Floors are rates near 0, and there Wilson's limit
//! promises too much: of 50 episodes at a rate of 0.0042, one success is enough for it, which has a probability of 19 %
//! (Cai, *One-sided confidence intervals in discrete distributions*, J. Stat. Plan. Inference 131, 2005). Who stands
//! above here is there by luck in fewer than 5 % of cycles, for every n and every floor. With a floor of 0, one success
//! is enough.

use std::collections::BTreeMap;

use crate::{Tallies, binomial::critical};

/// Of not standing above the floor.
const LEVEL: f64 = 0.05;

/// Of every miner, the environments above whose floor it stands, as a mask with the bits of `tallies.columns()`. Floors
/// are in the order of the columns themselves.
pub(super) fn above(tallies: &Tallies, floors: &[f64]) -> Vec<u64> {
    let mut masks = vec![0; tallies.miners().len()];
    for (bit, &column) in tallies.columns().iter().enumerate() {
        // Most miners have the same number of episodes.
        let mut needed: BTreeMap<u32, Option<u32>> = BTreeMap::new();
        for (miner, mask) in masks.iter_mut().enumerate() {
            let (successes, counted) = tallies.results_of(miner)[column];
            let needed = needed.entry(counted).or_insert_with(|| critical(counted, floors[column], LEVEL));
            *mask |= u64::from(needed.is_some_and(|needed| successes >= needed)) << bit;
        }
    }
    masks
}
