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

/// As published: z = 1.5, gaps from 0.02 to 0.10.
const Z_SCORE: f64 = 1.5;
const MIN_GAP: f64 = 0.02;
const MAX_GAP: f64 = 0.1;
/// A z-score counts in thousandths, a gap in ten-thousandths.
const Z_UNITS: u32 = 1_000;
const GAP_UNITS: u32 = 10_000;
/// Beyond it the largest gap alone decides, whatever the episodes.
const LARGEST_Z: f64 = 10.0;

/// The parameters of `published-1`. What the rule fixes is no parameter: ε from 0.01 to 0.20. The thresholds are written down only where
/// they are other ones than published, so that what was recorded before they could be chosen is what it was.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Published1 {
    /// What a subset is worth to its winner.
    pub weight_scheme: SubsetPoints,
    /// Temperature of the softmax that turns points into weights; finite and greater than 0.
    pub pareto_temperature: f64,
    /// How many standard errors of the earlier miner's rate the later one must exceed it by: 0 to 10, at most three decimals.
    #[serde(default = "published_z_score", skip_serializing_if = "is_published_z_score")]
    pub threshold_z_score: f64,
    /// The least that the gap can be: 0 to 1, at most four decimals.
    #[serde(default = "published_min_gap", skip_serializing_if = "is_published_min_gap")]
    pub threshold_min_gap: f64,
    /// The most that the gap can be: from the least one to 1, at most four decimals.
    #[serde(default = "published_max_gap", skip_serializing_if = "is_published_max_gap")]
    pub threshold_max_gap: f64,
}

fn published_z_score() -> f64 {
    Z_SCORE
}

fn published_min_gap() -> f64 {
    MIN_GAP
}

fn published_max_gap() -> f64 {
    MAX_GAP
}

fn is_published_z_score(value: &f64) -> bool {
    *value == Z_SCORE
}

fn is_published_min_gap(value: &f64) -> bool {
    *value == MIN_GAP
}

fn is_published_max_gap(value: &f64) -> bool {
    *value == MAX_GAP
}

/// The thresholds in whole units, so that they are compared in integers.
#[derive(Debug, Clone, Copy)]
struct Threshold {
    z_score: u128,
    min_gap: u128,
    max_gap: u128,
}

/// A number of 0 to `most` in units of which 1 has `units`; `None` when it is another one, or none of whole units.
fn whole_units(value: f64, most: f64, units: u32) -> Option<u128> {
    let scaled = value * f64::from(units);
    let whole = scaled.round();
    ((0.0..=most).contains(&value) && (scaled - whole).abs() < 1e-6).then_some(whole as u128)
}

impl Published1 {
    /// The rule with its thresholds as published.
    pub fn new(weight_scheme: SubsetPoints, pareto_temperature: f64) -> Self {
        Self {
            weight_scheme,
            pareto_temperature,
            threshold_z_score: Z_SCORE,
            threshold_min_gap: MIN_GAP,
            threshold_max_gap: MAX_GAP,
        }
    }

    /// Checks the parameters.
    pub fn validate(&self) -> Result<(), Error> {
        let valid = self.pareto_temperature.is_finite() && self.pareto_temperature > 0.0;
        if valid { self.threshold().map(drop) } else { Err(Error::Temperature(self.pareto_temperature)) }
    }

    fn threshold(&self) -> Result<Threshold, Error> {
        let units = |parameter, value, most, units: u32| {
            let decimals = units.ilog10();
            whole_units(value, most, units).ok_or(Error::Threshold { parameter, value, most, decimals })
        };
        let threshold = Threshold {
            z_score: units("threshold_z_score", self.threshold_z_score, LARGEST_Z, Z_UNITS)?,
            min_gap: units("threshold_min_gap", self.threshold_min_gap, 1.0, GAP_UNITS)?,
            max_gap: units("threshold_max_gap", self.threshold_max_gap, 1.0, GAP_UNITS)?,
        };
        if threshold.min_gap > threshold.max_gap {
            return Err(Error::Gaps { least: self.threshold_min_gap, most: self.threshold_max_gap });
        }
        Ok(threshold)
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
        let (counted, operations) = subset_points(tallies, &ranks, self.weight_scheme, self.threshold()?);
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
/// The threshold is the earlier one's rate plus `clamp(z·√(p(1−p)/n), least, most)`, as published with z = 1.5 and gaps from 0.02 to
/// 0.10, where p is that rate clamped to [0.01, 0.99] and n its episodes that count; with none of them the gap is the largest. The cap of
/// the threshold at 1 has no effect: no rate exceeds 1. The comparison is made in integers, because common numbers of
/// episodes meet the threshold exactly (30 of 50 against 25 of 50), and in doubles rounding would then decide (23/50 is
/// above 18/50 + 0.1, and 30/50 is not above 25/50 + 0.1).
fn exceeds_threshold(
    threshold: Threshold,
    (successes, counted): (u32, u32),
    (earlier_successes, earlier_counted): (u32, u32),
) -> bool {
    let Threshold { z_score, min_gap, max_gap } = threshold;
    let wide = u128::from;
    let (j, m, k) = (wide(successes), wide(counted), wide(earlier_successes));
    if earlier_counted == 0 {
        return wide(GAP_UNITS) * j > max_gap * m;
    }
    let n = wide(earlier_counted);
    // The difference of the rates is d / (m·n).
    let Some(d) = (j * n).checked_sub(k * m) else { return false };
    let exceeds = |gap: u128| wide(GAP_UNITS) * d > gap * m * n;
    // p as a fraction.
    let (p, q) = match 100 * k {
        scaled if scaled < n => (1, 100),
        scaled if scaled > 99 * n => (99, 100),
        _ => (k, n),
    };
    // (d / mn)² > z² · p(q−p)/q² / n. With at most 10,000 episodes both sides are below 2^103.
    let units = wide(Z_UNITS);
    let exceeds_errors = (units * q * d) * (units * q * d) > z_score * z_score * p * (q - p) * m * m * n;
    exceeds(max_gap) || (exceeds(min_gap) && exceeds_errors)
}

/// Points of every miner, by index.
fn subset_points(tallies: &Tallies, ranks: &Ranks, worth: SubsetPoints, threshold: Threshold) -> (Vec<Counted>, u64) {
    let thresholds = ranks.bounds(|_, later, earlier| exceeds_threshold(threshold, later, earlier));
    measured_contest(tallies, worth, |_| u64::MAX, |later, earlier| ranks.reach(later, &thresholds, earlier))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule() -> Published1 {
        Published1::new(SubsetPoints::Linear, 1.0)
    }

    #[test]
    fn other_thresholds_move_the_gap_and_its_bounds() {
        let needed = |z_score, min_gap, max_gap, earlier: (u32, u32), episodes| {
            let rule = Published1 {
                threshold_z_score: z_score,
                threshold_min_gap: min_gap,
                threshold_max_gap: max_gap,
                ..rule()
            };
            let threshold = rule.threshold().expect("valid");
            (0..=episodes).find(|successes| exceeds_threshold(threshold, (*successes, episodes), earlier))
        };
        assert_eq!(needed(1.5, 0.02, 0.1, (25, 50), 50), Some(31), "as published");
        assert_eq!(needed(1.5, 0.02, 0.15, (25, 50), 50), Some(31), "1.5·√(0.25/50) = 0.106");
        assert_eq!(needed(3.0, 0.02, 0.15, (25, 50), 50), Some(33), "0.212, at most 0.15");
        assert_eq!(needed(0.0, 0.0, 0.1, (25, 50), 50), Some(26), "any more at all");
        assert_eq!(needed(0.0, 0.05, 0.1, (25, 50), 50), Some(28));
        assert_eq!(needed(1.0, 0.0, 1.0, (200, 400), 400), Some(211), "√(0.25/400) = 0.025 is met exactly by 10");
        assert_eq!(needed(1.5, 0.02, 0.25, (0, 0), 8), Some(3), "nothing counts: the largest gap");
        assert_eq!(needed(10.0, 1.0, 1.0, (0, 10_000), 10_000), None);
    }

    #[test]
    fn published_thresholds_are_not_written_down_and_others_are_read_back() {
        let written = serde_json::to_string(&rule()).expect("it has no map");
        assert_eq!(written, r#"{"weight_scheme":"linear","pareto_temperature":1.0}"#);
        assert_eq!(serde_json::from_str::<Published1>(&written).expect("its own"), rule());
        let other = Published1 { threshold_z_score: 2.125, threshold_max_gap: 0.3, ..rule() };
        let written = serde_json::to_string(&other).expect("it has no map");
        assert!(written.contains("2.125") && !written.contains("min_gap"), "{written}");
        assert_eq!(serde_json::from_str::<Published1>(&written).expect("its own"), other);
    }

    #[test]
    fn thresholds_that_cannot_be_compared_exactly_are_refused_by_name() {
        for (rule, said) in [
            (Published1 { threshold_z_score: f64::NAN, ..rule() }, "threshold_z_score"),
            (Published1 { threshold_z_score: -0.5, ..rule() }, "threshold_z_score"),
            (Published1 { threshold_z_score: 10.5, ..rule() }, "0 to 10"),
            (Published1 { threshold_z_score: 1.2345, ..rule() }, "3 decimals"),
            (Published1 { threshold_min_gap: 0.00001, ..rule() }, "threshold_min_gap"),
            (Published1 { threshold_max_gap: f64::INFINITY, ..rule() }, "threshold_max_gap"),
            (Published1 { threshold_max_gap: 1.5, ..rule() }, "0 to 1"),
            (Published1 { threshold_min_gap: 0.2, ..rule() }, "above threshold_max_gap"),
        ] {
            let refused = rule.validate().expect_err(said).to_string();
            assert!(refused.contains(said), "{refused}");
        }
    }

    #[test]
    fn the_gap_follows_the_earlier_miners_standard_error_within_its_bounds() {
        let threshold = rule().threshold().expect("as published");
        let needed = |earlier: (u32, u32), episodes| {
            (0..=episodes).find(|successes| exceeds_threshold(threshold, (*successes, episodes), earlier))
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
