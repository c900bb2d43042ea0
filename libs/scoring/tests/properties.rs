//! What must hold for every field of miners.
#![allow(clippy::unwrap_used)]

mod support;

use kinitro_domain::{BlockNumber, MinerUid, Outcome, Outcomes};
use kinitro_pareto::{Miner, SubsetPoints, Tallies, Tally, dominance, dominates, pareto_frontier, tolerances};
use proptest::prelude::*;
use support::{env_id, score, weights};

/// Miners with their blocks and the outcomes of each in each environment.
#[derive(Debug, Clone)]
struct Field {
    miners: Vec<Miner>,
    outcomes: Vec<Vec<Outcomes>>,
}

impl Field {
    fn tallies(&self) -> Tallies {
        let environments = self.outcomes[0].len();
        let tallies = self.miners.iter().zip(&self.outcomes).flat_map(|(miner, outcomes)| {
            outcomes.iter().enumerate().map(|(environment, outcomes)| Tally {
                uid: miner.uid,
                env_id: env_id(environment),
                outcomes: outcomes.clone(),
                mean_reward: 0.0,
            })
        });
        Tallies::new(self.miners.clone(), (0..environments).map(env_id).collect(), tallies).unwrap()
    }
}

fn outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![6 => Just(Outcome::Success), 4 => Just(Outcome::Failure), 1 => Just(Outcome::Missing)]
}

/// Blocks come from a small range, so that some are equal.
fn field(miners: usize, environments: usize) -> impl Strategy<Value = Field> {
    (1..=miners, 1..=environments, 0_usize..40).prop_flat_map(|(miners, environments, episodes)| {
        let outcomes = prop::collection::vec(outcome(), episodes).prop_map(Outcomes::from_iter);
        let uids = prop::collection::btree_set(0_u16..300, miners);
        let blocks = prop::collection::vec(0_u64..6, miners);
        let outcomes = prop::collection::vec(prop::collection::vec(outcomes, environments), miners);
        (uids, blocks, outcomes).prop_map(|(uids, blocks, outcomes)| Field {
            miners: uids
                .into_iter()
                .zip(blocks)
                .map(|(uid, block)| Miner { uid: MinerUid(uid), first_commit_block: BlockNumber(block) })
                .collect(),
            outcomes,
        })
    })
}

fn worth() -> impl Strategy<Value = SubsetPoints> {
    prop_oneof![Just(SubsetPoints::Linear), Just(SubsetPoints::Exponential), Just(SubsetPoints::Equal)]
}

/// The document's words, one subset after the other.
fn enumerate(tallies: &Tallies, worth: SubsetPoints) -> Vec<u128> {
    let miners = tallies.miners();
    // In doubles; a difference that could be rounding is a threshold met exactly, since with 40 episodes nothing else
    // comes so close.
    let above = |later: usize, earlier: usize, e: usize| {
        let (rate, n) = (tallies.rate(earlier, e), f64::from(tallies.counted(earlier, e)));
        let p = rate.clamp(0.01, 0.99);
        let gap = if n <= 0.0 { 0.10 } else { (1.5 * (p * (1.0 - p) / n).sqrt()).clamp(0.02, 0.10) };
        tallies.rate(later, e) - (rate + gap).min(1.0) > 1e-10
    };
    let mut order: Vec<usize> = (0..miners.len()).collect();
    order.sort_by_key(|&m| (miners[m].first_commit_block, miners[m].uid));
    let mut points = vec![0; miners.len()];
    for subset in 1_u64..1 << tallies.environments().len() {
        let members: Vec<usize> = (0..tallies.environments().len()).filter(|e| subset >> e & 1 == 1).collect();
        let exceeds = |later: usize, earlier: usize| members.iter().all(|&e| above(later, earlier, e));
        let beats = |c: usize, o: usize| {
            if miners[c].first_commit_block <= miners[o].first_commit_block { !exceeds(o, c) } else { exceeds(c, o) }
        };
        let winner = order.iter().find(|&&c| order.iter().all(|&o| o == c || beats(c, o)));
        if let Some(&winner) = winner {
            points[winner] += worth.of(members.len() as u32);
        }
    }
    points
}

proptest! {
    #[test]
    fn counting_equals_enumeration(field in field(12, 14), worth in worth()) {
        let tallies = field.tallies();
        prop_assert_eq!(support::points(&score(&tallies, worth, 1.0)), enumerate(&tallies, worth));
    }

    #[test]
    fn weights_are_a_distribution_and_the_largest_chain_weight_is_65535(
        field in field(12, 8), worth in worth(), temperature in 1e-3_f64..1e6,
    ) {
        let scores = score(&field.tallies(), worth, temperature);
        let weights = weights(&scores);
        prop_assert!(weights.iter().all(|weight| weight.is_finite() && *weight >= 0.0));
        prop_assert!((weights.iter().sum::<f64>() - 1.0).abs() <= 1e-12);
        let chain = scores.weights_u16();
        prop_assert_eq!(chain.iter().map(|(_, value)| *value).max(), Some(65535));
        prop_assert!(chain.iter().all(|(_, value)| *value > 0));
        for a in &scores.miners {
            for b in &scores.miners {
                prop_assert!(a.points != b.points || a.weight.to_bits() == b.weight.to_bits());
                prop_assert!(a.points <= b.points || a.weight >= b.weight);
            }
        }
    }

    #[test]
    fn the_order_of_the_input_changes_nothing(field in field(8, 8), worth in worth(), seed in any::<u64>()) {
        let mut order: Vec<usize> = (0..field.miners.len()).collect();
        order.sort_by_key(|miner| (*miner as u64 + 1).wrapping_mul(seed | 1).rotate_left(17));
        let shuffled = Field {
            miners: order.iter().map(|&miner| field.miners[miner]).collect(),
            outcomes: order.iter().map(|&miner| field.outcomes[miner].clone()).collect(),
        };
        prop_assert_eq!(score(&shuffled.tallies(), worth, 1.0), score(&field.tallies(), worth, 1.0));
    }

    #[test]
    fn other_uids_change_nothing_but_labels(field in field(8, 8), worth in worth(), seed in any::<u64>()) {
        // The uid decides between equal blocks, so blocks are made distinct.
        let label = |uid: MinerUid| MinerUid(uid.0 ^ (seed % 512) as u16);
        let mut field = field;
        for (index, miner) in (0..).zip(&mut field.miners) {
            miner.first_commit_block = BlockNumber(miner.first_commit_block.0 * 100 + index);
        }
        let mut renamed = field.clone();
        renamed.miners.iter_mut().for_each(|miner| miner.uid = label(miner.uid));
        let mut expected = score(&field.tallies(), worth, 1.0);
        expected.miners.iter_mut().for_each(|miner| miner.uid = label(miner.uid));
        expected.miners.sort_by_key(|miner| miner.uid);
        expected.pareto_frontier = expected.pareto_frontier.into_iter().map(label).collect();
        expected.pareto_frontier.sort();
        prop_assert_eq!(score(&renamed.tallies(), worth, 1.0), expected);
    }

    #[test]
    fn the_order_of_the_environments_changes_nothing(field in field(8, 40), worth in worth(), turn in 0_usize..40) {
        let mut turned = field.clone();
        for row in &mut turned.outcomes {
            let turn = turn % row.len();
            row.rotate_left(turn);
        }
        prop_assert_eq!(score(&turned.tallies(), worth, 1.0), score(&field.tallies(), worth, 1.0));
    }

    /// A miner that comes last and is nowhere better than one that came before.
    #[test]
    fn a_dominated_latecomer_changes_nobodys_wins(
        field in field(8, 40), worth in worth(), model in any::<prop::sample::Index>(), fallen in any::<u64>(),
    ) {
        let model = model.index(field.miners.len());
        let before = support::points(&score(&field.tallies(), worth, 1.0));
        let mut joined = field.clone();
        joined.miners.push(Miner { uid: MinerUid(1000), first_commit_block: BlockNumber(7) });
        let worse = |(environment, outcomes): (usize, &Outcomes)| -> Outcomes {
            let fails = |outcome: &Outcome| *outcome == Outcome::Success && fallen >> environment & 1 == 1;
            outcomes.as_slice().iter().map(|outcome| if fails(outcome) { Outcome::Failure } else { *outcome }).collect()
        };
        joined.outcomes.push(field.outcomes[model].iter().enumerate().map(worse).collect());
        let after = support::points(&score(&joined.tallies(), worth, 1.0));
        prop_assert_eq!(after.split_last(), Some((&0, &before[..])));
    }

    #[test]
    fn dominance_by_ranks_is_dominance_by_rates(field in field(12, 12)) {
        let tallies = field.tallies();
        let tolerances = tolerances(&tallies);
        let rates = |miner: usize| -> Vec<f64> {
            (0..tallies.environments().len()).map(|environment| tallies.rate(miner, environment)).collect()
        };
        let found = dominance(&tallies);
        for (a, dominated) in found.iter().enumerate() {
            let by_rates = |b: &usize| dominates((&rates(a)).into(), (&rates(*b)).into(), (&tolerances).into());
            prop_assert_eq!(dominated, &(0..found.len()).filter(by_rates).collect::<Vec<_>>());
        }
        let free = |miner: &usize| found.iter().all(|dominated| !dominated.contains(miner));
        prop_assert_eq!(pareto_frontier(&tallies), (0..found.len()).filter(free).collect::<Vec<_>>());
    }

    #[test]
    fn the_frontier_of_one_environment_holds_the_best_rate(field in field(8, 1)) {
        let tallies = field.tallies();
        let frontier = score(&tallies, SubsetPoints::Linear, 1.0).pareto_frontier;
        let best = (0..field.miners.len()).map(|miner| tallies.rate(miner, 0)).fold(0.0, f64::max);
        for (index, miner) in tallies.miners().iter().enumerate() {
            prop_assert!(tallies.rate(index, 0) < best || frontier.contains(&miner.uid));
        }
    }

    #[test]
    fn of_two_miners_at_least_one_is_on_the_frontier(field in field(2, 8)) {
        prop_assert!(!score(&field.tallies(), SubsetPoints::Linear, 1.0).pareto_frontier.is_empty());
    }
}
