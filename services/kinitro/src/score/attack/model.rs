//! How outcomes come about.
//!
//! Every seed has a difficulty u, and every try of a policy has a noise w. A policy with success rate p solves the
//! episode when √ρ·u + √(1 − ρ)·v < t, with u and v standard normal, v the normal quantile of w, and t such that this
//! has probability p: the probit threshold model with one shared factor (Vasicek, *Loan portfolio value*, Risk 15, 2002).
//! ρ is the flag `--difficulty`. So two policies on the same seed succeed together more often than by chance, and one
//! that is better solves, for the same u and w, whatever the worse one solves.
//!
//! u takes 1,024 values of equal probability, the quantiles at their middles, so that for each of them the probability
//! of success is computed once; t is found such that their mean is p.

use kinitro_domain::Outcome;
use rand_chacha::{ChaCha8Rng, rand_core::Rng as _};

use super::population::Player;

const LEVELS: usize = 1024;

/// Who shares what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seeds {
    /// Every miner has seeds of its own.
    Unpaired,
    /// All miners have the same seeds; each try has its own noise.
    Paired,
    /// The same, and a policy always does the same thing on the same seed: copies have equal outcomes.
    Deterministic,
}

impl Seeds {
    /// All that the panel shows.
    pub const ALL: [Self; 3] = [Self::Unpaired, Self::Paired, Self::Deterministic];

    /// As it is printed.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unpaired => "unpaired",
            Self::Paired => "paired",
            Self::Deterministic => "paired-deterministic",
        }
    }
}

/// Where a player's chances are found, for every environment.
pub struct Model {
    /// Of every distinct rate: the rate, then the chance at each level of difficulty, as multiples of 2^-32.
    chances: Vec<(u64, Box<[u64; LEVELS]>)>,
    /// Of every player and environment, the index of its rate.
    rates: Vec<Vec<usize>>,
    policies: Vec<usize>,
}

impl Model {
    /// For these players and share of difficulty.
    pub fn new(players: &[Player], difficulty: f64) -> Self {
        let mut distinct: Vec<f64> = Vec::new();
        let rates = players
            .iter()
            .map(|player| {
                let place = |rate: &f64| {
                    distinct.iter().position(|known| known == rate).unwrap_or_else(|| {
                        distinct.push(*rate);
                        distinct.len() - 1
                    })
                };
                player.rates.iter().map(place).collect()
            })
            .collect();
        let levels: Vec<f64> = (0..LEVELS).map(|level| quantile((level as f64 + 0.5) / LEVELS as f64)).collect();
        let chances = distinct.iter().map(|&rate| (fixed(rate), by_level(rate, difficulty, &levels))).collect();
        Self { chances, rates, policies: players.iter().map(|player| player.policy).collect() }
    }

    /// The outcomes of every player in one environment.
    pub fn play(&self, environment: usize, episodes: u32, seeds: Seeds, random: &mut ChaCha8Rng) -> Vec<Vec<Outcome>> {
        let players = self.rates.len();
        let mut outcomes = vec![Vec::with_capacity(episodes as usize); players];
        let mut noise = vec![0; players];
        for _ in 0..episodes {
            let level = match seeds {
                Seeds::Unpaired => None,
                Seeds::Paired | Seeds::Deterministic => Some(random.next_u32() as usize % LEVELS),
            };
            noise.iter_mut().for_each(|noise| *noise = u64::from(random.next_u32()));
            for (player, outcomes) in outcomes.iter_mut().enumerate() {
                let (rate, chances) = &self.chances[self.rates[player][environment]];
                let chance = level.map_or(*rate, |level| chances[level]);
                // The players are more than the policies.
                let source = if seeds == Seeds::Deterministic { self.policies[player] } else { player };
                let success = noise[source] < chance;
                outcomes.push(if success { Outcome::Success } else { Outcome::Failure });
            }
        }
        outcomes
    }
}

/// The chance of a policy with this rate at each level of difficulty.
fn by_level(rate: f64, difficulty: f64, levels: &[f64]) -> Box<[u64; LEVELS]> {
    let mut chances = Box::new([fixed(rate); LEVELS]);
    if rate > 0.0 && rate < 1.0 {
        let (shared, own) = (difficulty.sqrt(), (1.0 - difficulty).sqrt());
        let chance = |threshold: f64, level: f64| below((threshold - shared * level) / own);
        let mean = |threshold| levels.iter().map(|level| chance(threshold, *level)).sum::<f64>() / LEVELS as f64;
        let threshold = bisect(-60.0, 60.0, |threshold| mean(threshold) < rate);
        chances.iter_mut().zip(levels).for_each(|(it, level)| *it = fixed(chance(threshold, *level)));
    }
    chances
}

/// The normal distribution function.
fn below(x: f64) -> f64 {
    libm::erfc(-x / std::f64::consts::SQRT_2) / 2.0
}

fn quantile(probability: f64) -> f64 {
    bisect(-10.0, 10.0, |x| below(x) < probability)
}

/// Where `too_small` ends.
fn bisect(mut low: f64, mut high: f64, too_small: impl Fn(f64) -> bool) -> f64 {
    for _ in 0..64 {
        let middle = f64::midpoint(low, high);
        if too_small(middle) { low = middle } else { high = middle }
    }
    high
}

/// A probability as a multiple of 2^-32.
fn fixed(probability: f64) -> u64 {
    (probability * 4_294_967_296.0).round() as u64
}

#[cfg(test)]
mod tests {
    use rand_chacha::rand_core::SeedableRng as _;

    use super::*;

    fn player(policy: usize, rate: f64) -> Player {
        Player { policy, block: 0, rates: vec![rate], attacking: false }
    }

    fn rate(outcomes: &[Outcome]) -> f64 {
        outcomes.iter().filter(|outcome| **outcome == Outcome::Success).count() as f64 / outcomes.len() as f64
    }

    #[test]
    fn the_chances_at_all_levels_have_the_rate_as_their_mean() {
        for expected in [0.0, 0.01, 0.3, 0.5, 0.95, 1.0] {
            for difficulty in [0.0, 0.5, 0.99] {
                let model = Model::new(&[player(0, expected)], difficulty);
                let chances = &model.chances[0].1;
                let mean = chances.iter().map(|chance| *chance as f64).sum::<f64>() / LEVELS as f64 / 4_294_967_296.0;
                assert!((mean - expected).abs() < 1e-9, "{expected} {difficulty}: {mean}");
            }
        }
    }

    #[test]
    fn copies_agree_as_much_as_what_they_share() {
        let players = [player(0, 0.5), player(0, 0.5), player(0, 0.4), player(1, 0.5)];
        let model = Model::new(&players, 0.5);
        let agreement = |seeds| {
            let outcomes = model.play(0, 20_000, seeds, &mut ChaCha8Rng::seed_from_u64(1));
            assert!((rate(&outcomes[0]) - 0.5).abs() < 0.02 && (rate(&outcomes[2]) - 0.4).abs() < 0.02);
            let with_first = |other: usize| {
                let same = outcomes[0].iter().zip(&outcomes[other]).filter(|(a, b)| a == b).count();
                same as f64 / 20_000.0
            };
            let nested = outcomes[2]
                .iter()
                .zip(&outcomes[0])
                .all(|(worse, better)| *worse == Outcome::Failure || *better == Outcome::Success);
            (with_first(1), with_first(3), nested)
        };
        let (copy, other, nested) = agreement(Seeds::Unpaired);
        assert!((copy - 0.5).abs() < 0.02 && (other - 0.5).abs() < 0.02 && !nested);
        // ½ + arcsin(ρ)/π = 2/3 for two that share half of what decides.
        let (copy, other, nested) = agreement(Seeds::Paired);
        assert!((copy - 2.0 / 3.0).abs() < 0.02 && (other - 2.0 / 3.0).abs() < 0.02 && !nested);
        let (copy, other, nested) = agreement(Seeds::Deterministic);
        assert!(copy == 1.0 && (other - 2.0 / 3.0).abs() < 0.02 && nested);
    }
}
