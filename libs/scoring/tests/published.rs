//! `published-1` by hand-checked examples.
#![allow(clippy::unwrap_used)]

mod support;

use kinitro_pareto::{Error, MAX_MINERS, Miner, Published1, Scheme, SubsetPoints, Tallies, Tally, tolerances};
use support::{block, env_id, episodes, points, score, table, uid, weights};

#[test]
fn a_squatter_with_nothing_takes_twenty_points_to_twelve() {
    // Wherever both have nothing, the first committer holds every subset.
    let tallies = table(50, &[(1, 10, &[0, 0, 0, 0]), (2, 20, &[45, 45, 45, 0])]);
    let scores = score(&tallies, SubsetPoints::Linear, 1.0);
    assert_eq!(points(&scores), [20, 12]);
    assert_eq!(format!("{:.4}", weights(&scores)[0]), "0.9997");
    assert_eq!(scores.pareto_frontier, [uid(2)]);
    assert_eq!(scores.weights_u16(), [(uid(1), 65535), (uid(2), 22)]);
}

#[test]
fn a_specialist_keeps_its_environment_and_a_generalist_takes_the_rest() {
    // Two environments, three subsets. The generalist came first and holds {a} and {a, b}; the specialist wins {b}.
    let tallies = table(100, &[(1, 1, &[60, 60]), (2, 2, &[10, 95])]);
    let by = |worth| points(&score(&tallies, worth, 1.0));
    assert_eq!(by(SubsetPoints::Linear), [3, 1]);
    assert_eq!(by(SubsetPoints::Exponential), [3, 1]);
    assert_eq!(by(SubsetPoints::Equal), [2, 1]);
    // With three environments and the specialist better in one of them, 1 point stands against 11, 12 or 6.
    let tallies = table(100, &[(1, 1, &[60, 60, 60]), (2, 2, &[10, 10, 95])]);
    let by = |worth| points(&score(&tallies, worth, 1.0));
    assert_eq!(by(SubsetPoints::Linear), [11, 1]);
    assert_eq!(by(SubsetPoints::Exponential), [12, 1]);
    assert_eq!(by(SubsetPoints::Equal), [6, 1]);
}

#[test]
fn each_specialist_gets_one_point_and_the_generalist_gets_four() {
    // Three later specialists take their own environments; the sets of two and of three are nobody's but the generalist's.
    let tallies =
        table(100, &[(1, 1, &[60, 60, 60]), (2, 2, &[95, 10, 10]), (3, 3, &[10, 95, 10]), (4, 4, &[10, 10, 95])]);
    let by = |worth| points(&score(&tallies, worth, 1.0));
    assert_eq!(by(SubsetPoints::Equal), [4, 1, 1, 1]);
    assert_eq!(by(SubsetPoints::Linear), [9, 1, 1, 1]);
    assert_eq!(by(SubsetPoints::Exponential), [10, 1, 1, 1]);
    // Exponentially one environment is worth 1, and all three are worth 4.
    assert_eq!([1, 2, 3].map(|size| SubsetPoints::Exponential.of(size)), [1, 2, 4]);
}

#[test]
fn a_single_miner_takes_everything() {
    let scores = score(&table(50, &[(7, 1, &[0, 0, 0])]), SubsetPoints::Linear, 1.0);
    assert_eq!((points(&scores), weights(&scores)), (vec![12], vec![1.0]));
    assert_eq!(scores.weights_u16(), [(uid(7), 65535)]);
    assert_eq!(scores.pareto_frontier, [uid(7)]);
}

#[test]
fn of_equals_the_earlier_one_holds_everything() {
    let tallies = table(50, &[(1, 20, &[25, 25]), (2, 10, &[25, 25])]);
    assert_eq!(points(&score(&tallies, SubsetPoints::Linear, 1.0)), [0, 4]);
}

#[test]
fn a_threshold_must_be_exceeded_not_reached() {
    let winner =
        |earlier, later| points(&score(&table(50, &[(1, 1, &[earlier]), (2, 2, &[later])]), SubsetPoints::Linear, 1.0));
    assert_eq!(winner(25, 30), [1, 0]);
    assert_eq!(winner(25, 31), [0, 1]);
    // In doubles 23/50 is above 18/50 + 0.1.
    assert_eq!(winner(18, 23), [1, 0]);
    assert_eq!(winner(18, 24), [0, 1]);
}

#[test]
fn of_equal_blocks_each_counts_as_the_earlier_and_the_lower_uid_goes_first() {
    // Neither exceeds the other's threshold: both would hold everything.
    let tallies = table(50, &[(9, 5, &[25, 25]), (3, 5, &[26, 26])]);
    assert_eq!(points(&score(&tallies, SubsetPoints::Linear, 1.0)), [4, 0]);
    // 9 is far better in the second environment alone: 3 loses {b} and holds {a} and {a, b}.
    let tallies = table(50, &[(3, 5, &[25, 25]), (9, 5, &[25, 50])]);
    assert_eq!(points(&score(&tallies, SubsetPoints::Linear, 1.0)), [3, 1]);
    // Far better everywhere: the uid does not help.
    let tallies = table(50, &[(3, 5, &[5, 5]), (9, 5, &[45, 45])]);
    assert_eq!(points(&score(&tallies, SubsetPoints::Linear, 1.0)), [0, 4]);
}

#[test]
fn nobody_has_points_and_everybody_is_paid_evenly() {
    // The third beats the first but not the second, and the second does not beat the first.
    let tallies = table(50, &[(1, 1, &[20]), (2, 2, &[23]), (3, 3, &[26])]);
    let scores = score(&tallies, SubsetPoints::Linear, 1.0);
    assert_eq!(points(&scores), [0, 0, 0]);
    assert_eq!(weights(&scores), [1.0 / 3.0; 3]);
    assert_eq!(scores.weights_u16().iter().map(|(_, value)| *value).collect::<Vec<_>>(), [65535; 3]);
}

#[test]
fn an_environment_that_was_not_played_has_rate_zero_and_the_largest_gap() {
    let unplayed = |second: &str| {
        let tallies = [(1, "--------------------"), (2, second)].map(|(uid, outcomes)| episodes(uid, 0, outcomes));
        Tallies::new(vec![block(1, 1), block(2, 2)], vec![env_id(0)], tallies).unwrap()
    };
    // 2 of 20 is the gap itself, 3 of 20 exceeds it.
    assert_eq!(points(&score(&unplayed("11000000000000000000"), SubsetPoints::Linear, 1.0)), [1, 0]);
    assert_eq!(points(&score(&unplayed("11100000000000000000"), SubsetPoints::Linear, 1.0)), [0, 1]);
    // The gap takes the earlier miner's n, and only what counts: 1 of 2 has the largest gap whatever the length of the
    // tally.
    let tallies = [episodes(1, 0, "10------------------"), episodes(2, 0, "11111111111100000000")];
    let tallies = Tallies::new(vec![block(1, 1), block(2, 2)], vec![env_id(0)], tallies).unwrap();
    assert_eq!((tallies.rate(0, 0), tallies.counted(0, 0), tallies.outcomes(0, 0).missing()), (0.5, 2, 18));
    assert_eq!(points(&score(&tallies, SubsetPoints::Linear, 1.0)), [1, 0]);
}

#[test]
fn a_pair_without_a_tally_counts_as_missing_episodes() {
    let tallies = Tallies::new(
        vec![block(1, 1), block(2, 2)],
        vec![env_id(0), env_id(1)],
        [episodes(1, 0, "111"), episodes(1, 1, "1111")],
    )
    .unwrap();
    assert_eq!(tallies.outcomes(1, 0).to_string(), "---");
    assert_eq!(tallies.outcomes(1, 1).to_string(), "----");
    assert_eq!((tallies.rate(1, 1), tallies.mean_reward(1, 1)), (0.0, 0.0));
}

#[test]
fn the_frontier_keeps_specialists_and_drops_who_is_worse_everywhere() {
    let tallies = table(100, &[(1, 1, &[90, 10]), (2, 2, &[10, 90]), (3, 3, &[5, 5]), (4, 4, &[89, 9])]);
    let scores = score(&tallies, SubsetPoints::Linear, 1.0);
    // 4 is worse than 1 by less than the tolerance.
    assert_eq!(scores.pareto_frontier, [uid(1), uid(2), uid(4)]);
}

#[test]
fn tolerances_follow_the_spread_of_the_field_within_their_bounds() {
    assert_eq!(tolerances(&table(100, &[(1, 1, &[100, 50, 51]), (2, 2, &[0, 50, 50])])), [0.1, 0.01, 0.01]);
    assert_eq!(tolerances(&table(4, &[(1, 1, &[4]), (2, 2, &[0])])), [0.2]);
    assert_eq!(tolerances(&table(1, &[(1, 1, &[1]), (2, 2, &[1])])), [0.2]);
    assert_eq!(tolerances(&table(0, &[(1, 1, &[0])])), [0.2]);
}

#[test]
fn dominance_can_run_in_a_ring_and_leave_the_frontier_empty() {
    // Each is better than the next by more than ε = 0.01 in one environment, and within ε in the others.
    let tallies = table(1000, &[(1, 1, &[200, 195, 189]), (2, 2, &[189, 200, 195]), (3, 3, &[195, 189, 200])]);
    assert_eq!(tolerances(&tallies), [0.01; 3]);
    assert!(score(&tallies, SubsetPoints::Linear, 1.0).pareto_frontier.is_empty());
}

#[test]
fn the_temperature_sharpens_or_flattens_the_weights() {
    let tallies = table(50, &[(1, 10, &[0, 0, 0, 0]), (2, 20, &[45, 45, 45, 0])]);
    let first = |temperature| weights(&score(&tallies, SubsetPoints::Linear, temperature))[0];
    assert_eq!(format!("{:.4}", first(8.0)), "0.7311");
    assert_eq!(first(1e300), 0.5);
    assert_eq!(first(1e-300), 1.0);
}

#[test]
fn what_cannot_be_scored_is_refused_by_name() {
    let new = |miners: Vec<Miner>, tallies: Vec<Tally>| Tallies::new(miners, vec![env_id(0)], tallies).unwrap_err();
    assert_eq!(new(vec![], vec![]), Error::NoMiners);
    assert_eq!(new(vec![block(1, 1), block(1, 2)], vec![]), Error::DuplicateMiner { uid: uid(1) });
    let crowd: Vec<Miner> = (0..=1024).map(|uid| block(uid, 1)).collect();
    assert_eq!(new(crowd, vec![]), Error::TooManyMiners { count: 1025, limit: MAX_MINERS });
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let error = new(vec![block(5, 1)], vec![Tally { mean_reward: value, ..episodes(5, 0, "1") }]);
        assert!(error.to_string().starts_with("the mean reward of miner 5 in test/env-0 is not finite"), "{error}");
    }
    let (known, env) = (|| vec![block(1, 1), block(2, 1)], env_id(0));
    assert_eq!(new(known(), vec![episodes(3, 0, "1")]), Error::UnknownMiner { uid: uid(3), env_id: env.clone() });
    assert_eq!(new(known(), vec![episodes(1, 1, "1")]), Error::UnknownEnvironment { uid: uid(1), env_id: env_id(1) });
    assert_eq!(
        new(known(), vec![episodes(1, 0, "1"), episodes(1, 0, "1")]),
        Error::DuplicateTally { uid: uid(1), env_id: env.clone() }
    );
    assert_eq!(
        new(known(), vec![episodes(1, 0, "1"), episodes(2, 0, "11")]),
        Error::UnequalEpisodes { uid: uid(2), env_id: env.clone(), count: 2, expected: 1 }
    );
    assert_eq!(
        new(known(), vec![episodes(1, 0, &"1".repeat(10_001))]),
        Error::TooManyEpisodes { uid: uid(1), env_id: env.clone(), count: 10_001, limit: 10_000 }
    );
    let environments =
        |ids: Vec<usize>| Tallies::new(vec![block(1, 1)], ids.into_iter().map(env_id).collect(), []).unwrap_err();
    assert_eq!(environments(vec![]), Error::NoEnvironments);
    assert_eq!(environments(vec![0, 0]), Error::DuplicateEnvironment { env_id: env });
    assert_eq!(environments((0..65).collect()), Error::TooManyEnvironments { count: 65, limit: 64 });
}

#[test]
fn sixty_four_environments_are_counted_exactly() {
    // The second is better in all environments but one: it wins every set without that one.
    let second: Vec<u32> = (0..64).map(|environment| if environment == 7 { 10 } else { 45 }).collect();
    let tallies = table(50, &[(1, 1, &[10; 64]), (2, 2, &second)]);
    let by = |worth| points(&score(&tallies, worth, 1.0));
    assert_eq!(by(SubsetPoints::Linear), [(64 << 63) - (63 << 62), 63 << 62]);
    assert_eq!(by(SubsetPoints::Exponential), [3_u128.pow(63), (3_u128.pow(63) - 1) / 2]);
    assert_eq!(by(SubsetPoints::Equal), [1 << 63, (1 << 63) - 1]);
    let scores = score(&tallies, SubsetPoints::Linear, 1.0);
    assert!(scores.miners.iter().all(|miner| miner.standard_error.is_none()));
    assert_eq!(weights(&scores), [1.0, 0.0]);
}

#[test]
fn a_scheme_is_a_value_that_reads_back_to_the_bit() {
    let scheme = Scheme::Published1(Published1::new(SubsetPoints::Exponential, 0.1 + 0.2));
    let text = serde_json::to_string(&scheme).unwrap();
    assert_eq!(
        text,
        r#"{"scheme":"published-1","weight_scheme":"exponential","pareto_temperature":0.30000000000000004}"#
    );
    assert_eq!(serde_json::from_str::<Scheme>(&text).unwrap(), scheme);
    assert!(serde_json::from_str::<Scheme>(&text.replace("published-1", "published-2")).is_err());
    for temperature in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let rule = Published1::new(SubsetPoints::Linear, temperature);
        assert!(rule.validate().is_err(), "{temperature}");
    }
}

/// The figures of `design/scoring.md`, exactly: both miners play unpaired episodes that succeed with probability 1/2.
#[test]
fn a_clone_takes_an_environment_as_often_as_was_measured() {
    // How likely each number of successes is, and how likely a clone then beats an incumbent with that number.
    let beaten = |n: u32| -> Vec<(f64, f64)> {
        let mut likely = vec![0.5_f64.powi(i32::try_from(n).unwrap())];
        for k in 1..=n {
            likely.push(likely[likely.len() - 1] * f64::from(n - k + 1) / f64::from(k));
        }
        let wins = |incumbent: u32, clone: u32| {
            points(&score(&table(n, &[(1, 1, &[incumbent]), (2, 2, &[clone])]), SubsetPoints::Linear, 1.0))[1] == 1
        };
        (0..=n)
            .filter(|k| likely[*k as usize] > 1e-12)
            .map(|k| {
                // Winning is monotonous in the clone's successes.
                let (mut low, mut high) = (k, n + 1);
                while low < high {
                    let middle = low.midpoint(high);
                    if wins(k, middle) { high = middle } else { low = middle + 1 }
                }
                (likely[k as usize], likely[low as usize..].iter().sum())
            })
            .collect()
    };
    let somebody = |field: &[(f64, f64)], clones: i32| -> String {
        let lucky: f64 = field.iter().map(|(likely, beaten)| likely * (1.0 - (1.0 - beaten).powi(clones))).sum();
        format!("{:.1}", lucky * 100.0)
    };
    let field = beaten(50);
    assert_eq!(somebody(&field, 1), "13.6");
    assert_eq!(somebody(&field, 5), "36.8");
    assert_eq!(somebody(&field, 20), "60.3");
    assert_eq!(somebody(&field, 100), "80.3");
    assert_eq!(somebody(&beaten(500), 1), "14.8");
}
