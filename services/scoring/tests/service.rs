//! The service over gRPC, on a real Postgres.
#![allow(clippy::unwrap_used)]

mod support;

use std::{collections::BTreeMap, time::Duration};

use kinitro_chassis::ErrorInfo;
use kinitro_proto::scoring::v1::{MinerIdentity, ScoreCycleRequest, Tally};
use kinitro_scoring::Config;
use kinitro_stores::testing;
use prost_types::value::Kind;
use support::{HOTKEYS, Service, announcement, fresh, refusal, request};
use tonic::Code;

#[tokio::test(flavor = "multi_thread")]
async fn a_cycle_becomes_scores_and_weights() {
    let service = Service::start(fresh().await).await;
    let request = request(3, 1000);
    let answer = service.score(&request).await.unwrap();
    let (scores, weights) = (answer.scores.unwrap(), answer.weights.unwrap());

    assert_eq!((scores.cycle_id, scores.block, scores.scheme.as_str()), (3, 1000, "published-1"));
    assert_eq!(scores.points, BTreeMap::from([(7, "20".to_owned()), (42, "12".to_owned())]));
    assert_eq!(scores.pareto_frontier, [42]);
    assert_eq!(scores.cycle, request.cycle);
    let rate = |uid: u32, env_id: &str| match scores.scores[&uid].fields[env_id].kind {
        Some(Kind::NumberValue(rate)) => rate,
        _ => panic!("a rate is a number"),
    };
    assert_eq!(rate(42, "metaworld/push-v3"), 44.0 / 49.0);
    assert_eq!(rate(42, "metaworld/assembly-v3"), 0.0);
    assert_eq!(scores.scores[&7].fields.len(), 4);

    let order: Vec<(u32, &str)> = scores.details.iter().map(|detail| (detail.uid, detail.env_id.as_str())).collect();
    let expected: Vec<(u32, &str)> =
        [7, 42].into_iter().flat_map(|uid| request.env_ids.iter().map(move |env_id| (uid, env_id.as_str()))).collect();
    assert_eq!(order, expected);
    let detail = &scores.details[4];
    assert_eq!((detail.hotkey.as_str(), detail.episodes_completed, detail.episodes_failed), (HOTKEYS[1], 49, 1));
    assert_eq!(detail.success_rate.to_bits(), (44.0_f64 / 49.0).to_bits());
    assert_eq!(detail.mean_reward.to_bits(), (0.1 + 0.2 + 42.0_f64 / 3.0).to_bits());

    // 1 / (1 + e^-8), to the bit.
    assert_eq!(weights.weights, BTreeMap::from([(7, 0.9996646498695336), (42, 0.00033535013046647816)]));
    assert_eq!((weights.block, weights.block_number, weights.cycle_id), (1000, 1000, 3));
    assert_eq!((weights.timestamp, weights.created_at), (scores.created_at, scores.created_at));
    let chain = weights.weights_u16.unwrap();
    assert_eq!((chain.uids, chain.values), (vec![7, 42], vec![65535, 22]));
    let hotkeys: Vec<_> = weights.hotkeys.iter().map(|(uid, hotkey)| (*uid, hotkey.as_str())).collect();
    assert_eq!((hotkeys, weights.burn_uid), (vec![(7, HOTKEYS[0]), (42, HOTKEYS[1])], None));
    let metadata = weights.metadata.unwrap();
    assert_eq!((metadata.n_miners_evaluated, metadata.n_environments), (2, 4));
    assert_eq!(metadata.evaluation_duration_seconds.to_bits(), (120.1_f64 + 0.2).to_bits());
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_miner_without_weight_stays_in_the_weights_and_leaves_the_chain_weights() {
    let config = Config { pareto_temperature: 0.001, ..fresh().await };
    let service = Service::start(config).await;
    let weights = service.score(&request(1, 5)).await.unwrap().weights.unwrap();
    assert_eq!(weights.weights, BTreeMap::from([(7, 1.0), (42, 0.0)]));
    assert_eq!(weights.weights_u16.unwrap().uids, [7]);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn scoring_a_cycle_again_returns_what_was_stored() {
    let config = fresh().await;
    let service = Service::start(config.clone()).await;
    let first = service.score(&request(1, 5)).await.unwrap();
    assert_eq!(service.score(&request(1, 5)).await.unwrap(), first);
    service.stop().await;

    // In another order, with other times, and under another configuration.
    let service = Service::start(Config { pareto_temperature: 100.0, ..config }).await;
    let mut again = request(1, 5);
    again.miners.reverse();
    again.tallies.reverse();
    again.cycle.as_mut().unwrap().duration_seconds = 999.0;
    assert_eq!(service.score(&again).await.unwrap(), first);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cycle_with_other_tallies_is_refused_and_the_first_stays() {
    let service = Service::start(fresh().await).await;
    let first = service.score(&request(1, 5)).await.unwrap();
    let mut other = request(1, 5);
    other.tallies[0].outcomes.replace_range(0..1, "0");
    assert_eq!(refusal(service.score(&other).await), (Code::AlreadyExists, "CYCLE_SCORED_DIFFERENTLY".to_owned()));
    assert_eq!(refusal(service.score(&request(1, 6)).await).0, Code::AlreadyExists);
    assert_eq!(service.scores(Some(1)).await.unwrap(), first.scores.unwrap());
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn weights_are_found_by_block_and_the_newest_cycle_wins() {
    let service = Service::start(fresh().await).await;
    let not_found = (Code::NotFound, "WEIGHTS_NOT_FOUND".to_owned());
    assert_eq!(refusal(service.weights(None).await), not_found);
    assert_eq!(refusal(service.scores(None).await), (Code::NotFound, "SCORES_NOT_FOUND".to_owned()));

    let mut by_cycle = Vec::new();
    for (cycle_id, block) in [(1, 100), (2, 200), (3, 300), (4, 200)] {
        service.announce(&announcement(&request(cycle_id, block))).await.unwrap();
    }
    // Cycle 3 is scored last and is not the newest.
    for (cycle_id, block) in [(1, 100), (2, 200), (4, 200), (3, 300)] {
        by_cycle.push(service.score(&request(cycle_id, block)).await.unwrap());
    }
    let cycle_at = async |block| service.weights(block).await.map(|weights| weights.cycle_id).unwrap();
    assert_eq!(cycle_at(Some(100)).await, 1);
    assert_eq!(cycle_at(Some(200)).await, 4);
    assert_eq!(cycle_at(Some(300)).await, 3);
    assert_eq!(cycle_at(None).await, 4);
    assert_eq!(Some(service.weights(Some(100)).await.unwrap()), by_cycle[0].weights);
    assert_eq!(service.scores(None).await.unwrap().cycle_id, 4);
    assert_eq!(Some(service.scores(Some(2)).await.unwrap()), by_cycle[1].scores);

    for block in [0, 150, u64::MAX] {
        assert_eq!(refusal(service.weights(Some(block)).await), not_found);
        assert_eq!(refusal(service.scores(Some(block)).await), (Code::NotFound, "SCORES_NOT_FOUND".to_owned()));
    }
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_at_once_for_one_cycle_score_it_once() {
    let config = fresh().await;
    let replicas = [Service::start(config.clone()).await, Service::start(config).await];
    replicas[0].announce(&announcement(&request(1, 5))).await.unwrap();
    let calls: Vec<_> = (0..16)
        .map(|call| {
            let (mut client, other) = (replicas[call % 2].client.clone(), call % 4 == 3);
            let mut request = request(1, 5);
            if other {
                request.tallies[0].mean_reward = 99.0;
            }
            tokio::spawn(async move { (other, client.score_cycle(request).await.map(|answer| answer.into_inner())) })
        })
        .collect();
    let mut answers = Vec::new();
    for call in calls {
        answers.push(call.await.unwrap());
    }
    // Whichever input came first, everybody who sent it has the same answer and everybody else is refused.
    let stored = replicas[0].weights(None).await.unwrap();
    let details = replicas[0].scores(None).await.unwrap().details;
    let other_stored = details.iter().any(|detail| detail.mean_reward == 99.0);
    for (other, answer) in answers {
        if other == other_stored {
            assert_eq!(answer.unwrap().weights.unwrap(), stored);
        } else {
            assert_eq!(refusal(answer), (Code::AlreadyExists, "CYCLE_SCORED_DIFFERENTLY".to_owned()));
        }
    }
    for replica in replicas {
        replica.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cycle_of_several_megabytes_is_scored() {
    let service = Service::start(fresh().await).await;
    let mut large = request(1, 5);
    large.env_ids = (0..20).map(|index| format!("metaworld/task-{index}")).collect();
    large.miners = (0..256)
        .map(|uid| {
            let hotkey = format!("{}{}", &HOTKEYS[0][..45], 111 + uid).replace('0', "A");
            MinerIdentity { uid, hotkey, first_commit_block: u64::from(uid % 100) }
        })
        .collect();
    let pairs = large.miners.iter().flat_map(|miner| large.env_ids.iter().map(|env_id| (miner.uid, env_id.clone())));
    large.tallies = pairs
        .enumerate()
        .map(|(index, (uid, env_id))| Tally {
            uid,
            env_id,
            outcomes: format!("{:0<1000}", "1".repeat(index * 7919 % 1000)),
            mean_reward: 0.5,
        })
        .collect();
    assert!(prost::Message::encoded_len(&large) > 5 << 20);
    let answer = service.score(&large).await.unwrap();
    let scores = answer.scores.unwrap();
    assert_eq!((scores.details.len(), scores.scores.len()), (256 * 20, 256));
    let sum: f64 = answer.weights.unwrap().weights.values().sum();
    assert!((sum - 1.0).abs() < 1e-12);
    assert_eq!(service.scores(None).await.unwrap(), scores);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_request_is_refused_by_field_and_stores_nothing() {
    let service = Service::start(fresh().await).await;
    let mut malformed = request(1, 5);
    malformed.tallies[2].mean_reward = f64::NAN;
    let status = service.score(&malformed).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(status.message().starts_with("tallies[2].mean_reward: "), "{}", status.message());
    assert_eq!(ErrorInfo::from_status(&status).unwrap().metadata["field"], "tallies[2].mean_reward");

    let mut crowded = request(1, 5);
    crowded.env_ids.extend((0..61).map(|index| format!("metaworld/more-{index}")));
    let status = service.score(&crowded).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(status.message().starts_with("env_ids: 65 environments"), "{}", status.message());
    assert_eq!(refusal(service.weights(None).await).0, Code::NotFound);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_survives_a_restart_of_the_service_and_of_postgres() {
    let mut postgres = testing::private_postgres().await;
    let config = Config { database_url: postgres.url(), ..Config::default() };
    kinitro_scoring::migrate(&config.database_url).await.unwrap();
    let service = Service::start(config.clone()).await;
    let before = service.score(&request(1, 5)).await.unwrap();
    service.stop().await;
    postgres.restart().await.unwrap();

    kinitro_scoring::migrate(&config.database_url).await.unwrap();
    let service = Service::start(config).await;
    assert_eq!(Some(service.weights(Some(5)).await.unwrap()), before.weights);
    assert_eq!(Some(service.scores(None).await.unwrap()), before.scores);
    assert_eq!(service.score(&request(1, 5)).await.unwrap(), before);

    // It says so while Postgres is away, and goes on by itself when it is back.
    postgres.kill();
    // Its children notice a moment later.
    let away = async {
        loop {
            match service.weights(None).await {
                Ok(_) => tokio::time::sleep(Duration::from_millis(10)).await,
                refused => return refused,
            }
        }
    };
    let refused = tokio::time::timeout(Duration::from_secs(60), away).await.unwrap();
    assert_eq!(refusal(refused), (Code::Unavailable, "DATABASE_UNAVAILABLE".to_owned()));
    assert_eq!(refusal(service.score(&request(2, 6)).await).0, Code::Unavailable);
    postgres.restart().await.unwrap();
    let recovered = async {
        while service.score(&request(2, 6)).await.is_err() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), recovered).await.unwrap();
    assert_eq!(service.weights(None).await.unwrap().cycle_id, 2);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_comes_up_before_its_tables() {
    let config = Config { database_url: testing::fresh_database().await, ..Config::default() };
    let service = Service::start(config.clone()).await;
    assert_eq!(refusal(service.weights(None).await), (Code::Unavailable, "DATABASE_UNAVAILABLE".to_owned()));
    // Several processes may migrate at once.
    let (first, second) =
        tokio::join!(kinitro_scoring::migrate(&config.database_url), kinitro_scoring::migrate(&config.database_url));
    assert!(first.is_ok() && second.is_ok(), "{first:?} {second:?}");
    assert!(service.score(&request(1, 5)).await.is_ok());
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_published_cannot_be_changed_or_deleted() {
    let config = fresh().await;
    let service = Service::start(config.clone()).await;
    service.score(&request(1, 5)).await.unwrap();
    service.stop().await;
    let pool = sqlx::PgPool::connect(&config.database_url).await.unwrap();
    for statement in [
        "UPDATE scoring.weights SET weight = 0",
        "DELETE FROM scoring.weights",
        "DELETE FROM scoring.details",
        "TRUNCATE scoring.cycles CASCADE",
        "UPDATE scoring.cycles SET created_at = now()",
        "DELETE FROM scoring.scores",
    ] {
        let error = sqlx::query(statement).execute(&pool).await.unwrap_err().to_string();
        assert!(error.contains("are kept as they are"), "{statement}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_exact_input_and_the_scheme_are_stored_with_a_cycle() {
    let config = Config { pareto_temperature: 0.1 + 0.2, ..fresh().await };
    let service = Service::start(config.clone()).await;
    let request = request(1, 5);
    service.score(&request).await.unwrap();
    service.stop().await;

    let pool = sqlx::PgPool::connect(&config.database_url).await.unwrap();
    let (parameters, stored): (String, Vec<u8>) =
        sqlx::query_as("SELECT scheme_parameters::text, request FROM scoring.cycles").fetch_one(&pool).await.unwrap();
    assert_eq!(
        parameters,
        r#"{"scheme":"published-1","weight_scheme":"linear","pareto_temperature":0.30000000000000004}"#
    );
    let stored: ScoreCycleRequest = prost::Message::decode(stored.as_slice()).unwrap();
    let mut canonical = request;
    canonical.secret.clear();
    canonical.miners.reverse();
    canonical.tallies.rotate_left(4);
    assert_eq!(stored, canonical);
}
