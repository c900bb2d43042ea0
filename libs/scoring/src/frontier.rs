//! The ε-Pareto frontier. It is published beside the scores and has no influence on the weights.
//!
//! ε-dominance is not transitive: with three miners or more, each can be dominated by another one in a ring, and then
//! the frontier is empty. That is what the published rule says, and it is published as such.

use ndarray::{ArrayView1, Zip};

use crate::Tallies;

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

/// Indices of the miners that nobody ε-dominates, ascending. It can be empty (see the module).
pub fn pareto_frontier(tallies: &Tallies) -> Vec<usize> {
    let tolerances = tolerances(tallies);
    let tolerances = ArrayView1::from(&tolerances);
    let miners = 0..tallies.miners().len();
    miners
        .clone()
        .filter(|&miner| {
            let rates = tallies.rates_of(miner);
            !miners.clone().any(|other| dominates(tallies.rates_of(other), rates, tolerances))
        })
        .collect()
}
