//! `published-1`: first-commit thresholds and subset winners, as published.
//!
//! Order is by the block of the first commitment, then by uid. A later miner beats an earlier one on a set of
//! environments when it exceeds the earlier one's threshold in every one of them; otherwise the earlier one holds the
//! set. The winner of a set beats everybody else on it. Miners with equal blocks each count as the earlier one when
//! they are tested, so several of them can pass: the first in the order takes the set. Nobody needs to win a set: *a*
//! can be beaten by *c* alone while *c* does not beat *b*.

use serde::{Deserialize, Serialize};

use crate::{
    Error, MinerScore, Scores, SubsetPoints, Tallies,
    frontier::pareto_frontier,
    subsets::{Family, MAX_TABLE_ENVIRONMENTS},
    weights::softmax,
};

/// In hundredths.
const MIN_GAP: u128 = 2;
const MAX_GAP: u128 = 10;

/// The most environments whose subsets are counted exactly.
pub const MAX_COUNTED_ENVIRONMENTS: usize = MAX_TABLE_ENVIRONMENTS;

/// The parameters of `published-1`. What the rule fixes is no parameter: z = 1.5, gaps from 0.02 to 0.10, ε from 0.01
/// to 0.20.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Published1 {
    /// What a subset is worth to its winner.
    pub weight_scheme: SubsetPoints,
    /// Temperature of the softmax that turns points into weights; finite and greater than 0.
    pub pareto_temperature: f64,
}

impl Published1 {
    /// Checks the parameters.
    pub fn validate(&self) -> Result<(), Error> {
        let valid = self.pareto_temperature.is_finite() && self.pareto_temperature > 0.0;
        if valid { Ok(()) } else { Err(Error::Temperature(self.pareto_temperature)) }
    }

    /// Scores a cycle of at most [`MAX_COUNTED_ENVIRONMENTS`] environments.
    pub fn score(&self, tallies: &Tallies) -> Result<Scores, Error> {
        self.validate()?;
        let count = tallies.environments().len();
        if count > MAX_COUNTED_ENVIRONMENTS {
            return Err(Error::TooManyEnvironments { count, limit: MAX_COUNTED_ENVIRONMENTS });
        }
        let points = subset_points(tallies, self.weight_scheme);
        let weights = softmax(&points, self.pareto_temperature);
        let frontier = pareto_frontier(tallies);
        Ok(Scores {
            pareto_frontier: frontier.into_iter().map(|miner| tallies.miners()[miner].uid).collect(),
            miners: tallies
                .miners()
                .iter()
                .zip(points)
                .zip(weights)
                .map(|((miner, points), weight)| MinerScore { uid: miner.uid, points, weight })
                .collect(),
        })
    }
}

/// Whether the later of two miners exceeds the threshold of the earlier one, each given as successes and episodes that
/// count.
///
/// The threshold is the earlier one's rate plus `clamp(z·√(p(1−p)/n), 0.02, 0.10)`, where z = 1.5, p is that rate
/// clamped to [0.01, 0.99] and n its episodes that count; with none of them the gap is the largest. The cap of the
/// threshold at 1 has no effect: no rate exceeds 1. The comparison is made in integers, because common numbers of
/// episodes meet the threshold exactly (30 of 50 against 25 of 50), and in doubles rounding would then decide (23/50 is
/// above 18/50 + 0.1, and 30/50 is not above 25/50 + 0.1).
fn exceeds_threshold((successes, counted): (u32, u32), (earlier_successes, earlier_counted): (u32, u32)) -> bool {
    let wide = u128::from;
    let (j, m, k) = (wide(successes), wide(counted), wide(earlier_successes));
    if earlier_counted == 0 {
        return 10 * j > m;
    }
    let n = wide(earlier_counted);
    // The difference of the rates is d / (m·n).
    let Some(d) = (j * n).checked_sub(k * m) else { return false };
    let exceeds = |hundredths: u128| 100 * d > hundredths * m * n;
    // p as a fraction.
    let (p, q) = match 100 * k {
        scaled if scaled < n => (1, 100),
        scaled if scaled > 99 * n => (99, 100),
        _ => (k, n),
    };
    // (d / mn)² > 9/4 · p(q−p)/q² / n. With at most 10,000 episodes both sides are below 2^87.
    let exceeds_errors = 4 * (q * d) * (q * d) > 9 * p * (q - p) * m * m * n;
    exceeds(MAX_GAP) || (exceeds(MIN_GAP) && exceeds_errors)
}

/// Points of every miner, by index.
fn subset_points(tallies: &Tallies, worth: SubsetPoints) -> Vec<u128> {
    let environments = tallies.environments().len();
    let miners = tallies.miners();
    // The environments in which `later` exceeds the threshold of `earlier`.
    let exceeds = |later: usize, earlier: usize| {
        let pairs = tallies.results_of(later).into_iter().zip(tallies.results_of(earlier));
        pairs.enumerate().fold(0_u64, |mask, (environment, (later, earlier))| {
            mask | u64::from(exceeds_threshold(*later, *earlier)) << environment
        })
    };

    let order = tallies.by_seniority();
    let mut points = vec![0; miners.len()];
    let mut start = 0;
    // Whole groups of equal blocks at a time: only within one can two miners pass on the same set.
    for group in order.chunk_by(|a, b| miners[*a].first_commit_block == miners[*b].first_commit_block) {
        let earlier = &order[..start];
        let not_earlier = &order[start..];
        let mut taken = Family::empty(environments);
        for &candidate in group {
            let within =
                earlier.iter().fold((1 << environments) - 1, |mask, &earlier| mask & exceeds(candidate, earlier));
            let others = not_earlier.iter().filter(|other| **other != candidate);
            let outside: Vec<u64> = others.map(|&other| exceeds(other, candidate)).collect();
            let mut won = Family::inside_but_outside(environments, within, &outside);
            won.remove(&taken);
            points[candidate] = won.points(worth);
            taken.insert(&won);
        }
        start += group.len();
    }
    points
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gap_follows_the_earlier_miners_standard_error_within_its_bounds() {
        let needed = |earlier: (u32, u32), episodes| {
            (0..=episodes).find(|successes| exceeds_threshold((*successes, episodes), earlier))
        };
        // At most 0.10: 30 of 50 meets the threshold and does not exceed it.
        assert_eq!(needed((25, 50), 50), Some(31));
        assert_eq!(needed((18, 50), 50), Some(24));
        // 1.5·√(0.24·0.76/50) = 0.0906.
        assert_eq!(needed((12, 50), 50), Some(17));
        // 1.5·√(0.25/400) = 0.0375 is 15 of 400, met exactly.
        assert_eq!(needed((200, 400), 400), Some(216));
        // At least 0.02.
        assert_eq!(needed((5000, 10_000), 10_000), Some(5201));
        // p is at least 0.01: 1.5·√(0.0099/50) = 0.0211, and 1.5·√(0.0099/10) = 0.0472.
        assert_eq!(needed((0, 50), 50), Some(2));
        assert_eq!(needed((0, 10), 1000), Some(48));
        // p is at most 0.99, and nobody exceeds 1.
        assert_eq!(needed((10, 10), 10), None);
        assert_eq!(needed((95, 100), 100), Some(99));
        assert_eq!(needed((97, 100), 100), Some(100));
        assert_eq!(needed((98, 100), 100), None);
        // Nothing counts for the earlier one, or for the later one.
        assert_eq!(needed((0, 0), 10), Some(2));
        assert_eq!(needed((0, 0), 0), None);
        assert_eq!(needed((0, 10), 0), None);
    }
}
