//! `published-1`: first-commit thresholds and subset winners, as published. Order, winners and equal blocks are as in
//! `contest`; this module has the thresholds.

use serde::{Deserialize, Serialize};

use crate::{
    Error, MinerScore, Scores, SubsetPoints, Tallies,
    contest::{measured_contest, most_operations},
    frontier::frontier_by,
    ranks::Ranks,
    subsets::Counted,
    weights::softmax,
};

/// In hundredths.
const MIN_GAP: u128 = 2;
const MAX_GAP: u128 = 10;

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

    /// Scores a cycle. Points are exact whenever they can be counted with a bounded amount of work, and always over at most
    /// 20 environments; else they are estimates with a standard error.
    pub fn score(&self, tallies: &Tallies) -> Result<Scores, Error> {
        Ok(self.measured_score(tallies)?.0)
    }

    /// Most operations that [`Self::measured_score`] can name, whatever the tallies. Besides the tallies, scoring takes at
    /// most 64 MiB of memory.
    pub fn most_operations(miners: usize, environments: usize) -> u64 {
        most_operations(miners, environments)
    }

    /// [`Self::score`], and the operations that the points took: the same number on every machine.
    pub fn measured_score(&self, tallies: &Tallies) -> Result<(Scores, u64), Error> {
        self.validate()?;
        let ranks = Ranks::of(tallies);
        let (counted, operations) = subset_points(tallies, &ranks, self.weight_scheme);
        let points: Vec<u128> = counted.iter().map(|counted| counted.points).collect();
        let weights = softmax(&points, self.pareto_temperature);
        let frontier = frontier_by(tallies, &ranks);
        let scores = Scores {
            pareto_frontier: frontier.into_iter().map(|miner| tallies.miners()[miner].uid).collect(),
            miners: tallies
                .miners()
                .iter()
                .zip(counted)
                .zip(weights)
                .map(|((miner, Counted { points, standard_error }), weight)| MinerScore {
                    uid: miner.uid,
                    points,
                    standard_error,
                    weight,
                })
                .collect(),
            burn: None,
        };
        Ok((scores, operations))
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
fn subset_points(tallies: &Tallies, ranks: &Ranks, worth: SubsetPoints) -> (Vec<Counted>, u64) {
    let thresholds = ranks.bounds(|_, later, earlier| exceeds_threshold(later, earlier));
    measured_contest(tallies, worth, |_| u64::MAX, |later, earlier| ranks.reach(later, &thresholds, earlier))
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
