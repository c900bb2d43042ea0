//! The false crowns of clones, exactly, where that is easy: `published-1`, one honest miner, one environment, unpaired
//! seeds. Given the holder's successes the clones are independent, so with q(k) the probability that one of them beats
//! a holder with k successes, at least one of m does in Σ P(k)·(1 − (1 − q(k))^m) of cycles.

use anyhow::Result;
use kinitro_domain::{BlockNumber, EnvId, MinerUid, Outcome};
use kinitro_pareto::{Miner, Scheme, Tallies, Tally};

/// The probability that at least one of `clones` beats the honest miner.
pub fn false_crown(scheme: &Scheme, env_id: &EnvId, episodes: u32, rate: f64, clones: u32) -> Result<f64> {
    let probabilities = binomial(episodes, rate);
    let mut total = 0.0;
    // More successes of the holder need no fewer of the clone.
    let mut needed = 0;
    for (holder, probability) in (0..).zip(&probabilities) {
        while needed <= episodes && !beats(scheme, env_id, episodes, needed, holder)? {
            needed += 1;
        }
        let lucky: f64 = probabilities.iter().skip(needed as usize).rev().sum();
        total += probability * (1.0 - (1.0 - lucky).powf(clones.into()));
    }
    Ok(total)
}

/// What the scheme itself says about a later miner with so many successes.
fn beats(scheme: &Scheme, env_id: &EnvId, episodes: u32, successes: u32, holder: u32) -> Result<bool> {
    let miner = |uid: u16| Miner { uid: MinerUid(uid), first_commit_block: BlockNumber(uid.into()) };
    let tally = |(uid, successes): (u16, u32)| Tally {
        uid: MinerUid(uid),
        env_id: env_id.clone(),
        outcomes: (0..episodes)
            .map(|episode| if episode < successes { Outcome::Success } else { Outcome::Failure })
            .collect(),
        mean_reward: 0.0,
    };
    let tallies = [(0, holder), (1, successes)].map(tally);
    let tallies = Tallies::new(vec![miner(0), miner(1)], vec![env_id.clone()], tallies)?;
    Ok(scheme.score(&tallies)?.miners[1].points > 0)
}

fn binomial(trials: u32, rate: f64) -> Vec<f64> {
    let n = f64::from(trials);
    let term = |successes: u32| {
        let k = f64::from(successes);
        let ways = libm::lgamma(n + 1.0) - libm::lgamma(k + 1.0) - libm::lgamma(n - k + 1.0);
        let power = |base: f64, exponent: f64| if exponent == 0.0 { 0.0 } else { exponent * base.ln() };
        (ways + power(rate, k) + power(1.0 - rate, n - k)).exp()
    };
    (0..=trials).map(term).collect()
}

#[cfg(test)]
mod tests {
    use kinitro_pareto::{Published1, SubsetPoints};

    use super::*;

    #[test]
    fn clones_win_as_often_as_the_design_document_says() {
        let scheme = Scheme::Published1(Published1::new(SubsetPoints::Linear, 1.0));
        let env_id = "simulated/env-0".parse().expect("valid");
        let chance = |episodes, clones| {
            let chance = false_crown(&scheme, &env_id, episodes, 0.5, clones).expect("valid");
            format!("{:.1} %", 100.0 * chance)
        };
        assert_eq!([1, 5, 20, 100].map(|clones| chance(50, clones)), ["13.6 %", "36.8 %", "60.3 %", "80.3 %"]);
        assert_eq!(chance(500, 1), "14.8 %");
    }
}
