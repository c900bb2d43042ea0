//! The ε-Pareto frontier. It is published beside the scores and has no influence on the weights.
//!
//! ε-dominance is not transitive: with three miners or more, each can be dominated by another one in a ring, and then
//! the frontier is empty. That is what the published rule says, and it is published as such.

use std::cmp::Reverse;

use ndarray::{Array2, ArrayView1, Zip};

use crate::{
    Tallies,
    ranks::{Ranks, Tallied},
};

const MIN_TOLERANCE: f64 = 0.01;
const MAX_TOLERANCE: f64 = 0.20;

/// ε of every environment: `clamp(2·σ/√n, 0.01, 0.20)`, and 0.20 for n ≤ 1. σ is the population standard deviation of
/// the miners' rates; n is the largest number of episodes that counts for any miner, which is the cycle's number of
/// episodes unless all of them lost some. (Taking a smaller one would let one miner's lost episodes widen the tolerance
/// for all.)
pub fn tolerances(tallies: &Tallies) -> Vec<f64> {
    (0..tallies.environments().len())
        .map(|environment| {
            let miners = 0..tallies.miners().len();
            let mut rates: Vec<f64> = miners.clone().map(|miner| tallies.rate(miner, environment)).collect();
            rates.sort_by(f64::total_cmp);
            let episodes = miners.map(|miner| tallies.counted(miner, environment)).max().unwrap_or(0);
            tolerance(&rates, episodes)
        })
        .collect()
}

/// Sorted rates, so that the sums do not depend on the order of the miners.
fn tolerance(sorted_rates: &[f64], episodes: u32) -> f64 {
    if episodes <= 1 {
        return MAX_TOLERANCE;
    }
    let count = sorted_rates.len() as f64;
    let mean = sorted_rates.iter().sum::<f64>() / count;
    let variance = sorted_rates.iter().map(|rate| (rate - mean) * (rate - mean)).sum::<f64>() / count;
    (2.0 * variance.sqrt() / f64::from(episodes).sqrt()).clamp(MIN_TOLERANCE, MAX_TOLERANCE)
}

/// Whether *a* ε-dominates *b*: not below *b* − ε anywhere, and above *b* + ε somewhere. The three have one value an
/// environment.
pub fn dominates(a: ArrayView1<'_, f64>, b: ArrayView1<'_, f64>, tolerances: ArrayView1<'_, f64>) -> bool {
    let (never_below, once_above) =
        Zip::from(a).and(b).and(tolerances).fold((true, false), |(never_below, once_above), &a, &b, &tolerance| {
            (never_below & (a >= b - tolerance), once_above | (a > b + tolerance))
        });
    never_below & once_above
}

/// Of every miner, by index, whom it ε-dominates, ascending.
pub fn dominance(tallies: &Tallies) -> Vec<Vec<usize>> {
    let ranks = Ranks::of(tallies);
    let margins = Margins::of(tallies, &ranks);
    let miners = 0..tallies.miners().len();
    miners.clone().map(|a| miners.clone().filter(|&b| margins.dominates(a, b)).collect()).collect()
}

/// Indices of the miners that nobody ε-dominates, ascending. It can be empty (see the module).
pub fn pareto_frontier(tallies: &Tallies) -> Vec<usize> {
    frontier_by(tallies, &Ranks::of(tallies))
}

pub(crate) fn frontier_by(tallies: &Tallies, ranks: &Ranks) -> Vec<usize> {
    let margins = Margins::of(tallies, ranks);
    let miners = 0..tallies.miners().len();
    // Who is good in many environments is asked first, as it dominates most of the others.
    let mut strongest: Vec<usize> = miners.clone().collect();
    strongest.sort_by_cached_key(|&miner| Reverse(ranks.sum(miner)));
    miners.filter(|&miner| !strongest.iter().any(|&other| margins.dominates(other, miner))).collect()
}

/// [`dominates`] for every pair, by ranks: both of its conditions are of the form "the rate of *a* reaches a bound that
/// *b* sets".
struct Margins<'a> {
    ranks: &'a Ranks,
    /// The least rate that is not below a miner's by more than ε.
    least: Array2<u16>,
    /// The least rate that is above a miner's by more than ε.
    above: Array2<u16>,
}

impl<'a> Margins<'a> {
    fn of(tallies: &Tallies, ranks: &'a Ranks) -> Self {
        let tolerances = tolerances(tallies);
        let tolerance = |column: usize| tolerances[tallies.columns()[column]];
        let least = ranks.bounds(|column, a, b| rate(a) >= rate(b) - tolerance(column));
        let above = ranks.bounds(|column, a, b| rate(a) > rate(b) + tolerance(column));
        Self { ranks, least, above }
    }

    fn dominates(&self, a: usize, b: usize) -> bool {
        self.ranks.reach_all(a, &self.least, b) && self.ranks.reach(a, &self.above, b) != 0
    }
}

/// As in [`Tallies::rate`].
fn rate((successes, counted): Tallied) -> f64 {
    if counted == 0 { 0.0 } else { f64::from(successes) / f64::from(counted) }
}
