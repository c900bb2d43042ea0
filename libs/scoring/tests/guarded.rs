//! `guarded-1`: hand-checked examples, and what must hold for every field of miners.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeMap;

use kinitro_domain::{BlockNumber, MinerUid, Outcome, Outcomes};
use kinitro_pareto::{Error, Guarded1, Miner, Scheme, Scores, SubsetPoints, Tallies, Tally};
use proptest::prelude::*;
use support::{block, env_id, episodes, points, table, uid, weights};

const BURN: MinerUid = MinerUid(9999);

fn rule(floors: &[f64]) -> Guarded1 {
    Guarded1 {
        weight_scheme: SubsetPoints::Linear,
        pareto_temperature: 1.0,
        floors: floors.iter().enumerate().map(|(index, floor)| (env_id(index), *floor)).collect(),
        burn_uid: BURN,
    }
}

fn score(tallies: &Tallies, floors: &[f64]) -> Scores {
    rule(floors).score(tallies).unwrap()
}

#[test]
fn a_squatter_with_nothing_earns_nothing() {
    // Under `published-1` it takes 20 points to 12. Here the environment in which both have nothing is won by nobody.
    let scores = score(&table(50, &[(1, 10, &[0, 0, 0, 0]), (2, 20, &[45, 45, 45, 0])]), &[]);
    assert_eq!((points(&scores), weights(&scores)), (vec![0, 12], vec![0.0, 1.0]));
    assert_eq!(scores.weights_u16(), [(uid(2), 65535)]);
}

#[test]
fn at_the_floor_nobody_wins_and_nobody_holds() {
    // Against a floor of 0.1, P(X ≥ 9) = 5.8 % and P(X ≥ 10) = 2.5 % of 50.
    let winner = |first, second| points(&score(&table(50, &[(1, 1, &[first]), (2, 2, &[second])]), &[0.1]));
    assert_eq!(winner(9, 9), [0, 0]);
    assert_eq!(winner(10, 9), [1, 0]);
    // One episode more is enough against somebody who is not above the floor, and not against somebody who is.
    assert_eq!(winner(9, 10), [0, 1]);
    assert_eq!(winner(10, 11), [1, 0]);
}

#[test]
fn without_a_floor_one_success_is_above_it() {
    let winner = |first, second| points(&score(&table(50, &[(1, 1, &[first]), (2, 2, &[second])]), &[]));
    assert_eq!((winner(0, 0), winner(1, 0), winner(0, 1)), (vec![0, 0], vec![1, 0], vec![0, 1]));
}

#[test]
fn the_gap_is_that_of_the_paired_difference() {
    // The first challenger needs (b − c − 1)² > 6.14·(b + c).
    let winner = |first: &str, second: &str| {
        let tallies = [episodes(1, 0, first), episodes(2, 0, second)];
        points(&score(&Tallies::new(vec![block(1, 1), block(2, 2)], vec![env_id(0)], tallies).unwrap(), &[]))
    };
    let text = |parts: &[(char, usize)]| parts.iter().flat_map(|(it, count)| vec![*it; *count]).collect::<String>();
    // Solved by both, by the challenger alone, by neither: nine in its favour are enough, eight are not.
    let holder = text(&[('1', 20), ('0', 30)]);
    assert_eq!(winner(&holder, &text(&[('1', 29), ('0', 21)])), [0, 1]);
    assert_eq!(winner(&holder, &text(&[('1', 28), ('0', 22)])), [1, 0]);
    // The same nine more, as a balance of 19 and 10: 64 against 178.
    assert_eq!(winner(&holder, &text(&[('0', 10), ('1', 29), ('0', 11)])), [1, 0]);
    // Only what both played counts: of the nine, one was not played by the holder.
    assert_eq!(winner(&text(&[('1', 20), ('-', 1), ('0', 29)]), &text(&[('1', 29), ('0', 21)])), [1, 0]);
}

#[test]
fn later_challengers_need_more_than_the_first() {
    // As the second challenger, nine in its favour are not enough any more: z² is 7.4 and 64 < 66.6.
    let tallies = table(50, &[(1, 1, &[20]), (2, 2, &[20]), (3, 3, &[29])]);
    assert_eq!(points(&score(&tallies, &[])), [1, 0, 0]);
    // Who comes after it does not matter.
    let tallies = table(50, &[(1, 1, &[20]), (3, 2, &[29]), (4, 3, &[1]), (5, 4, &[1]), (6, 5, &[1])]);
    assert_eq!(points(&score(&tallies, &[])), [0, 1, 0, 0, 0]);
}

#[test]
fn who_earns_nothing_is_paid_nothing() {
    let scores = score(&table(50, &[(1, 1, &[25]), (2, 2, &[25]), (3, 3, &[25])]), &[]);
    assert_eq!((points(&scores), weights(&scores)), (vec![1, 0, 0], vec![1.0, 0.0, 0.0]));
    assert_eq!(scores.burn, None);
}

#[test]
fn when_nobody_earns_anything_the_weight_is_burnt() {
    let nothing = table(50, &[(1, 1, &[0]), (2, 2, &[0])]);
    let scores = score(&nothing, &[]);
    assert_eq!((points(&scores), weights(&scores), scores.burn), (vec![0, 0], vec![0.0, 0.0], Some(BURN)));
    assert_eq!(scores.weights(), [(uid(1), 0.0), (uid(2), 0.0), (BURN, 1.0)]);
    assert_eq!(scores.weights_u16(), [(BURN, 65535)]);
    // The burn uid may be one of the miners.
    let scores = Guarded1 { burn_uid: uid(2), ..rule(&[]) }.score(&nothing).unwrap();
    assert_eq!(scores.weights(), [(uid(1), 0.0), (uid(2), 1.0)]);
    assert_eq!(scores.weights_u16(), [(uid(2), 65535)]);
}

#[test]
fn parameters_are_checked_and_read_back_to_the_bit() {
    let scheme = Scheme::Guarded1(Guarded1 { pareto_temperature: 0.1 + 0.2, ..rule(&[0.1 + 0.2, 0.0]) });
    let text = serde_json::to_string(&scheme).unwrap();
    assert_eq!(
        text,
        r#"{"scheme":"guarded-1","weight_scheme":"linear","pareto_temperature":0.30000000000000004,"floors":{"test/env-0":0.30000000000000004,"test/env-1":0.0},"burn_uid":9999}"#
    );
    assert_eq!(serde_json::from_str::<Scheme>(&text).unwrap(), scheme);
    for floor in [-0.01, 1.0, f64::NAN, f64::INFINITY] {
        let refused = Scheme::Guarded1(rule(&[0.0, floor])).validate().unwrap_err();
        assert!(refused.to_string().starts_with("the floor of test/env-1 must be"), "{refused}");
    }
    let cold = Guarded1 { pareto_temperature: 0.0, ..rule(&[]) };
    assert_eq!(Scheme::Guarded1(cold).validate(), Err(Error::Temperature(0.0)));
}

/// Miners with distinct blocks and the outcomes of each in each environment.
#[derive(Debug, Clone)]
struct Field {
    miners: Vec<Miner>,
    outcomes: Vec<Vec<Outcomes>>,
    floors: BTreeMap<usize, f64>,
}

impl Field {
    fn score(&self) -> Scores {
        let environments = self.outcomes[0].len();
        let tallies = self.miners.iter().zip(&self.outcomes).flat_map(|(miner, outcomes)| {
            outcomes.iter().enumerate().map(|(environment, outcomes)| Tally {
                uid: miner.uid,
                env_id: env_id(environment),
                outcomes: outcomes.clone(),
                mean_reward: 0.0,
            })
        });
        let tallies = Tallies::new(self.miners.clone(), (0..environments).map(env_id).collect(), tallies).unwrap();
        let floors = self.floors.iter().map(|(environment, floor)| (env_id(*environment), *floor)).collect();
        Guarded1 { floors, ..rule(&[]) }.score(&tallies).unwrap()
    }
}

/// Miners of very different skill, so that there is something to win.
fn field(miners: usize, environments: usize) -> impl Strategy<Value = Field> {
    (1..=miners, 1..=environments, 0_usize..50).prop_flat_map(|(miners, environments, episodes)| {
        let outcome = |skill: u32| {
            prop_oneof![
                skill => Just(Outcome::Success),
                20 - skill => Just(Outcome::Failure),
                1 => Just(Outcome::Missing)
            ]
        };
        let outcomes = (1_u32..20)
            .prop_flat_map(move |skill| prop::collection::vec(outcome(skill), episodes).prop_map(Outcomes::from_iter));
        let outcomes = prop::collection::vec(prop::collection::vec(outcomes, environments), miners);
        let uids = prop::collection::btree_set(0_u16..300, miners);
        let floors = prop::collection::btree_map(0..environments, 0.0_f64..0.4, 0..=environments);
        (uids, outcomes, floors).prop_map(|(uids, outcomes, floors)| Field {
            miners: (0..)
                .zip(uids)
                .map(|(block, uid)| Miner { uid: MinerUid(uid), first_commit_block: BlockNumber(block * 7919 % 1009) })
                .collect(),
            outcomes,
            floors,
        })
    })
}

proptest! {
    #[test]
    fn weights_are_a_distribution_over_those_who_earned(field in field(8, 4)) {
        let scores = field.score();
        let paid = scores.weights();
        prop_assert!((paid.iter().map(|(_, weight)| weight).sum::<f64>() - 1.0).abs() <= 1e-12);
        prop_assert!(scores.miners.iter().all(|miner| (miner.points == 0) <= (miner.weight == 0.0)));
        prop_assert_eq!(scores.burn.is_some(), scores.miners.iter().all(|miner| miner.points == 0));
        if scores.burn.is_some() {
            prop_assert_eq!(scores.weights_u16(), vec![(BURN, 65535)]);
        }
        prop_assert_eq!(scores.weights_u16().iter().map(|(_, value)| *value).max(), Some(65535));
    }

    #[test]
    fn a_dominated_newcomer_changes_nobody_elses_points(
        field in field(6, 5), model in any::<prop::sample::Index>(), lost in prop::collection::vec(any::<bool>(), 64),
    ) {
        // It solves some of what an earlier miner solves, and nothing else.
        let mut grown = field.clone();
        let mut lost = lost.into_iter().cycle();
        let model = &field.outcomes[model.index(field.miners.len())];
        grown.outcomes.push(model.iter().map(|outcomes| outcomes.as_slice().iter().map(|outcome| match outcome {
            Outcome::Success if lost.next() == Some(true) => Outcome::Failure,
            other => *other,
        }).collect()).collect());
        grown.miners.push(Miner { uid: uid(5000), first_commit_block: BlockNumber(5000) });
        let (before, after) = (field.score(), grown.score());
        prop_assert_eq!(points(&after)[..field.miners.len()].to_vec(), points(&before));
    }

    #[test]
    fn the_order_of_the_input_and_the_uids_are_only_labels(field in field(6, 5), seed in any::<u64>()) {
        let label = |uid: MinerUid| MinerUid(uid.0 ^ (seed % 512) as u16);
        let mut order: Vec<usize> = (0..field.miners.len()).collect();
        order.sort_by_key(|miner| (*miner as u64 + 1).wrapping_mul(seed | 1).rotate_left(17));
        let mut shuffled = field.clone();
        shuffled.miners = order.iter().map(|&miner| field.miners[miner]).collect();
        shuffled.outcomes = order.iter().map(|&miner| field.outcomes[miner].clone()).collect();
        shuffled.miners.iter_mut().for_each(|miner| miner.uid = label(miner.uid));
        let mut expected = field.score();
        expected.miners.iter_mut().for_each(|miner| miner.uid = label(miner.uid));
        expected.miners.sort_by_key(|miner| miner.uid);
        expected.pareto_frontier = expected.pareto_frontier.into_iter().map(label).collect();
        expected.pareto_frontier.sort();
        prop_assert_eq!(shuffled.score(), expected);
    }

    #[test]
    fn the_order_of_the_environments_changes_nothing(field in field(6, 5), turn in 0_usize..5) {
        let environments = field.outcomes[0].len();
        let mut turned = field.clone();
        turned.outcomes.iter_mut().for_each(|row| row.rotate_left(turn % environments));
        turned.floors = field.floors.iter().map(|(environment, floor)| {
            ((environment + environments - turn % environments) % environments, *floor)
        }).collect();
        prop_assert_eq!(turned.score(), field.score());
    }

    #[test]
    fn who_is_at_the_floor_everywhere_earns_nothing(field in field(6, 5)) {
        let mut field = field;
        for row in &mut field.outcomes[0] {
            *row = row.as_slice().iter().map(|outcome| match outcome {
                Outcome::Success => Outcome::Failure,
                other => *other,
            }).collect();
        }
        let nobody = field.miners[0].uid;
        let scores = field.score();
        let its_own = scores.miners.iter().find(|miner| miner.uid == nobody).unwrap();
        prop_assert_eq!((its_own.points, its_own.weight), (0, 0.0));
    }
}
