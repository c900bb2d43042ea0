//! Short ways to write tallies down.
#![allow(dead_code, reason = "every test binary uses its own part")]

use kinitro_domain::{BlockNumber, EnvId, MinerUid, Outcome};
use kinitro_pareto::{Miner, Published1, Scores, SubsetPoints, Tallies, Tally};

pub fn uid(uid: u16) -> MinerUid {
    MinerUid(uid)
}

pub fn env_id(index: usize) -> EnvId {
    format!("test/env-{index}").parse().unwrap()
}

/// A miner with the block of its first commitment.
pub fn block(uid: u16, block: u64) -> Miner {
    Miner { uid: MinerUid(uid), first_commit_block: BlockNumber(block) }
}

/// A tally of outcomes as text.
pub fn episodes(uid: u16, environment: usize, outcomes: &str) -> Tally {
    Tally { uid: MinerUid(uid), env_id: env_id(environment), outcomes: outcomes.parse().unwrap(), mean_reward: 0.5 }
}

/// Uid, block of the first commitment, and successes of `episodes` in each environment.
pub fn table(episodes: u32, miners: &[(u16, u64, &[u32])]) -> Tallies {
    let environments = (0..miners[0].2.len()).map(env_id).collect();
    let tallies = miners.iter().flat_map(|(uid, _, successes)| {
        successes.iter().enumerate().map(|(environment, successes)| Tally {
            uid: MinerUid(*uid),
            env_id: env_id(environment),
            outcomes: (0..episodes)
                .map(|episode| if episode < *successes { Outcome::Success } else { Outcome::Failure })
                .collect(),
            mean_reward: f64::from(*successes),
        })
    });
    Tallies::new(miners.iter().map(|(uid, first, _)| block(*uid, *first)).collect(), environments, tallies).unwrap()
}

pub fn score(tallies: &Tallies, weight_scheme: SubsetPoints, pareto_temperature: f64) -> Scores {
    Published1::new(weight_scheme, pareto_temperature).score(tallies).unwrap()
}

pub fn points(scores: &Scores) -> Vec<u128> {
    scores.miners.iter().map(|miner| miner.points).collect()
}

pub fn weights(scores: &Scores) -> Vec<f64> {
    scores.miners.iter().map(|miner| miner.weight).collect()
}
