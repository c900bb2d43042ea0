//! Who is paid when not all was played, and when no miner succeeded.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeMap;

use kinitro_domain::MinerUid;
use kinitro_proto::scoring::v1::{Cycle, MinerIdentity, ScoreCycleRequest, Tally, Weights};
use kinitro_scoring::{Config, NoSuccess, replay};
use support::{HOTKEYS, Service, evidence, fresh, request, secret};
use tonic::Code;

const ENVIRONMENTS: [&str; 4] = ["test/a", "test/b", "test/c", "test/d"];

/// A miner's uid, hotkey, and one letter an environment: `1` all of its ten episodes succeeded, `0` none did, `-` none was played.
type Played = (u32, usize, &'static str);

fn cycle(id: u64, played: &[Played]) -> ScoreCycleRequest {
    ScoreCycleRequest {
        cycle: Some(Cycle { id, block_number: 100 + id, status: "completed".to_owned(), ..Cycle::default() }),
        miners: (played.iter())
            .map(|(uid, hotkey, _)| MinerIdentity {
                uid: *uid,
                hotkey: HOTKEYS[*hotkey].to_owned(),
                first_commit_block: 5,
            })
            .collect(),
        env_ids: ENVIRONMENTS.map(str::to_owned).to_vec(),
        tallies: (played.iter())
            .flat_map(|(uid, _, letters)| {
                ENVIRONMENTS.iter().zip(letters.chars()).map(|(env_id, letter)| Tally {
                    uid: *uid,
                    env_id: (*env_id).to_owned(),
                    outcomes: letter.to_string().repeat(10),
                    mean_reward: 0.5,
                })
            })
            .collect(),
        evidence: evidence(),
        secret: secret(),
    }
}

/// At a temperature at which every miner with a point has a weight worth looking at.
async fn mild() -> Config {
    Config { pareto_temperature: 20.0, ..fresh().await }
}

async fn weights(service: &Service, request: &ScoreCycleRequest) -> Weights {
    service.score(request).await.unwrap().weights.unwrap()
}

async fn assert_replays(config: &Config, cycles: impl IntoIterator<Item = u64>) {
    for cycle_id in cycles {
        let replay = replay(&config.database_url, cycle_id).await.unwrap();
        assert_eq!(replay.difference, None, "cycle {cycle_id}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tallies_without_episodes_are_refused() {
    let service = Service::start(fresh().await).await;
    let mut unplayed = request(1, 5);
    unplayed.tallies.iter_mut().for_each(|tally| tally.outcomes = "-".repeat(50));
    let mut mostly = request(2, 5);
    mostly.tallies[0].outcomes = "1".repeat(9) + &"-".repeat(41);
    let (mut without, mut empty) = (request(3, 5), request(4, 5));
    without.tallies.clear();
    empty.tallies.iter_mut().for_each(|tally| tally.outcomes.clear());
    for (request, words) in [
        (unplayed, "tallies: 0 of 400 episodes count, and at least 360 must"),
        (mostly, "tallies: 352 of 400 episodes count"),
        (without, "tallies: 0 of 0 episodes count"),
        (empty, "tallies[0].outcomes: empty"),
    ] {
        let status = service.score(&request).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument);
        assert!(status.message().starts_with(words), "{}", status.message());
    }
    let mut unsaid = request(5, 5);
    unsaid.evidence = None;
    assert!(service.score(&unsaid).await.unwrap_err().message().starts_with("evidence: missing"));
    assert_eq!(service.weights(None).await.unwrap_err().code(), Code::NotFound);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_miner_that_could_not_be_played_keeps_its_weight_for_three_cycles_and_then_has_none() {
    let config = mild().await;
    let service = Service::start(config.clone()).await;
    let first = weights(&service, &cycle(1, &[(1, 0, "1110"), (2, 1, "1000"), (3, 2, "0001")])).await;
    assert_eq!((first.episodes_planned, first.episodes_played, first.played_share), (Some(120), Some(120), Some(1.0)));
    assert_eq!((first.min_played_share, first.not_evaluated.len()), (Some(0.9), 0));
    let kept = first.weights[&1];
    assert!(kept > 0.34 && kept < 0.9, "{kept}");

    let short = [(1, 0, "111-"), (2, 1, "1000"), (3, 2, "0001")];
    for (cycle_id, in_a_row) in [(2, 1), (3, 2), (4, 3)] {
        let weights = weights(&service, &cycle(cycle_id, &short)).await;
        assert_eq!(weights.weights[&1].to_bits(), kept.to_bits());
        assert_eq!(weights.not_evaluated, BTreeMap::from([(1, in_a_row)]));
        assert_eq!((weights.episodes_planned, weights.episodes_played), (Some(120), Some(110)));
        let sum: f64 = weights.weights.values().sum();
        assert!((sum - 1.0).abs() < 1e-12, "{sum}");
        assert!(weights.weights[&2] > 0.0 && weights.weights[&3] > 0.0, "the others share the rest");
    }
    let scores = service.scores(None).await.unwrap();
    assert_eq!((scores.points[&1].as_str(), scores.pareto_frontier.contains(&1)), ("0", false));

    let fourth = weights(&service, &cycle(5, &short)).await;
    assert_eq!((fourth.weights[&1], fourth.not_evaluated[&1]), (0.0, 4));
    let played = weights(&service, &cycle(6, &[(1, 0, "1110"), (2, 1, "1000"), (3, 2, "0001")])).await;
    assert_eq!((played.weights, played.not_evaluated.len()), (first.weights, 0));
    service.stop().await;
    assert_replays(&config, 1..=6).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_uid_that_changed_hands_inherits_nothing_and_a_hotkey_that_moved_keeps_its_weight() {
    let config = mild().await;
    let service = Service::start(config.clone()).await;
    let first = weights(&service, &cycle(1, &[(1, 0, "1110"), (2, 1, "1000"), (3, 2, "0001")])).await;
    // Another miner is at uid 1.
    let other = weights(&service, &cycle(2, &[(1, 3, "111-"), (2, 1, "1000"), (3, 2, "0001")])).await;
    assert_eq!((other.weights[&1], other.not_evaluated[&1]), (0.0, 1));
    service.stop().await;

    let config_of_move = mild().await;
    let service = Service::start(config_of_move.clone()).await;
    assert_eq!(
        weights(&service, &cycle(1, &[(1, 0, "1110"), (2, 1, "1000"), (3, 2, "0001")])).await.weights,
        first.weights
    );
    let moved = weights(&service, &cycle(2, &[(9, 0, "111-"), (2, 1, "1000"), (3, 2, "0001")])).await;
    assert_eq!((moved.weights[&9], moved.not_evaluated[&9]), (first.weights[&1], 1));
    service.stop().await;
    assert_replays(&config, 1..=2).await;
    assert_replays(&config_of_move, 1..=2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn when_no_miner_succeeded_the_weights_of_before_are_kept() {
    let config = mild().await;
    let service = Service::start(config.clone()).await;
    let hopeless = [(1, 0, "0000"), (2, 1, "0000"), (3, 2, "0000")];
    let answer = service.score(&cycle(1, &hopeless)).await.unwrap();
    assert_eq!((answer.weights, service.weights(None).await.unwrap_err().code()), (None, Code::NotFound));

    let good = weights(&service, &cycle(2, &[(1, 0, "1110"), (2, 1, "1000"), (3, 2, "0001")])).await;
    let answer = service.score(&cycle(3, &hopeless)).await.unwrap();
    let scores = answer.scores.unwrap();
    assert_eq!((answer.weights, scores.no_success.as_deref()), (None, Some("keep")));
    assert_eq!(scores.weights_kept.as_deref(), Some("no miner that was evaluated succeeded in any episode"));
    assert_eq!(service.weights(None).await.unwrap(), good);
    assert_eq!(service.weights(Some(103)).await.unwrap_err().code(), Code::NotFound);
    assert_eq!(service.scores(None).await.unwrap(), scores, "the scores are published");
    // The same answer once more.
    assert_eq!(service.score(&cycle(3, &hopeless)).await.unwrap().scores, Some(scores));

    // What a miner keeps comes from the weights that stand.
    let short = weights(&service, &cycle(4, &[(1, 0, "111-"), (2, 1, "1000"), (3, 2, "0001")])).await;
    assert_eq!(short.weights[&1], good.weights[&1]);
    service.stop().await;
    assert_replays(&config, 1..=4).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_weight_that_was_burnt_is_not_kept_by_a_miner_at_the_burn_uid() {
    let config = Config { no_success: Some(NoSuccess::Burn), burn_uid: Some(MinerUid(1)), ..mild().await };
    let service = Service::start(config.clone()).await;
    let burnt = weights(&service, &cycle(1, &[(1, 0, "0000"), (2, 1, "0000"), (3, 2, "0000")])).await;
    assert_eq!((burnt.weights[&1], burnt.burn_uid), (1.0, Some(1)));
    let short = weights(&service, &cycle(2, &[(1, 0, "111-"), (2, 1, "1000"), (3, 2, "0001")])).await;
    assert_eq!((short.weights[&1], short.not_evaluated[&1]), (0.0, 1));
    let others = short.weights[&2] + short.weights[&3];
    assert!((others - 1.0).abs() < 1e-12, "{others}");
    service.stop().await;
    assert_replays(&config, 1..=2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_setting_burns_or_pays_by_the_scheme_when_no_miner_succeeded() {
    let hopeless = [(1, 0, "0000"), (2, 1, "0000"), (3, 2, "0000")];
    let config = mild().await;
    let burning = Config { no_success: Some(NoSuccess::Burn), burn_uid: Some(MinerUid(300)), ..config.clone() };
    let service = Service::start(burning).await;
    let burnt = weights(&service, &cycle(1, &hopeless)).await;
    assert_eq!((burnt.weights[&300], burnt.burn_uid), (1.0, Some(300)));
    assert_eq!(service.scores(Some(1)).await.unwrap().no_success.as_deref(), Some("burn"));
    // Not all was played: nothing is decided, and the weights of before stand.
    let undecided = service.score(&cycle(2, &[(1, 0, "000-"), (2, 1, "0000"), (3, 2, "0000")])).await.unwrap();
    assert_eq!((undecided.weights, undecided.scores.unwrap().no_success.as_deref()), (None, Some("keep")));
    service.stop().await;

    let service = Service::start(Config { no_success: Some(NoSuccess::Published), ..config.clone() }).await;
    let paid = weights(&service, &cycle(3, &hopeless)).await;
    assert_eq!((paid.weights.len(), paid.burn_uid), (3, None));
    assert_eq!(service.scores(Some(3)).await.unwrap().no_success.as_deref(), Some("published"));
    service.stop().await;
    assert_replays(&config, 1..=3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cycle_that_does_not_suffice_with_its_slow_miners_is_judged_without_them() {
    let config = mild().await;
    let service = Service::start(config.clone()).await;
    let field: [Played; 4] = [(1, 0, "1111"), (2, 1, "1110"), (3, 2, "0111"), (4, 3, "11--")];
    let status = service.score(&cycle(1, &field)).await.unwrap_err();
    assert!(status.message().starts_with("tallies: 140 of 160 episodes count"), "{}", status.message());

    let mut slow = cycle(1, &field);
    slow.evidence.as_mut().unwrap().slow_uids = vec![4];
    let paid = weights(&service, &slow).await;
    assert_eq!((paid.episodes_planned, paid.episodes_played), (Some(120), Some(120)));
    assert_eq!((paid.weights[&4], &paid.not_evaluated), (0.0, &[(4, 1)].into()));
    assert!(paid.weights[&1] > 0.0);
    // Of a second one that falls short beside it, half of the field would be left.
    let mut two = cycle(2, &[(1, 0, "1111"), (2, 1, "1110"), (3, 2, "01--"), (4, 3, "11--")]);
    two.evidence.as_mut().unwrap().slow_uids = vec![4];
    assert_eq!(service.score(&two).await.unwrap_err().code(), Code::InvalidArgument);
    service.stop().await;
    assert_replays(&config, [1]).await;
}
