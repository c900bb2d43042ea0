//! Cycles that were stored once: scheme, parameters and exact inputs, with the bits that came out. They must come out
//! of every later version, on every machine, of a debug build and of a release build.
//!
//! A fixture is never renewed: a rule that gives other bits gets another name. To add one, put down its inputs with
//! empty results; the test fails and shows the results.
#![allow(clippy::unwrap_used)]

use kinitro_domain::{BlockNumber, EnvId, MinerUid};
use kinitro_pareto::{Miner, Scheme, Scores, Tallies, Tally};
use serde::{Deserialize, Serialize};

#[derive(Deserialize)]
struct Cycle {
    scheme: Scheme,
    environments: Vec<EnvId>,
    miners: Vec<Entry>,
    results: Vec<Line>,
    pareto_frontier: Vec<MinerUid>,
    burn: Option<MinerUid>,
}

#[derive(Deserialize)]
struct Entry {
    uid: MinerUid,
    first_commit_block: BlockNumber,
    /// By environment.
    outcomes: Vec<String>,
}

/// What came out for one uid, the burn uid included.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Line {
    uid: MinerUid,
    /// Decimal; empty for a burn uid that is no miner.
    points: String,
    /// The bits of the double, hexadecimal.
    weight: String,
    /// As the chain takes it.
    scaled: u16,
}

fn results(scores: &Scores) -> Vec<Line> {
    let scaled = scores.weights_u16();
    let line = |(uid, weight): (MinerUid, f64)| Line {
        uid,
        points: scores.miners.iter().find(|it| it.uid == uid).map_or(String::new(), |it| it.points.to_string()),
        weight: format!("{:016x}", weight.to_bits()),
        scaled: scaled.iter().find(|(its, _)| *its == uid).map_or(0, |(_, scaled)| *scaled),
    };
    scores.weights().into_iter().map(line).collect()
}

fn replay(fixture: &str) {
    let cycle: Cycle = serde_json::from_str(fixture).unwrap();
    let miner = |entry: &Entry| Miner { uid: entry.uid, first_commit_block: entry.first_commit_block };
    let tallies = cycle.miners.iter().flat_map(|entry| {
        cycle.environments.iter().zip(&entry.outcomes).map(|(env_id, outcomes)| Tally {
            uid: entry.uid,
            env_id: env_id.clone(),
            outcomes: outcomes.parse().unwrap(),
            mean_reward: 0.0,
        })
    });
    let miners = cycle.miners.iter().map(miner).collect();
    let tallies = Tallies::new(miners, cycle.environments.clone(), tallies).unwrap();
    let scores = cycle.scheme.score(&tallies).unwrap();
    assert!(scores.miners.iter().all(|miner| miner.standard_error.is_none()));
    let results = results(&scores);
    assert_eq!(results, cycle.results, "{}", serde_json::to_string(&results).unwrap());
    assert_eq!((scores.pareto_frontier, scores.burn), (cycle.pareto_frontier, cycle.burn));
}

#[test]
fn a_stored_cycle_of_published_1_comes_out_to_the_bit() {
    replay(include_str!("fixtures/published-1.json"));
}

#[test]
fn a_stored_cycle_of_guarded_1_comes_out_to_the_bit() {
    replay(include_str!("fixtures/guarded-1.json"));
}

#[test]
fn a_stored_cycle_that_was_burnt_comes_out_to_the_bit() {
    replay(include_str!("fixtures/guarded-1-burnt.json"));
}
