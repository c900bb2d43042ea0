//! What `guarded-1` and the statistics add to the answers.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeMap;

use kinitro_domain::MinerUid;
use kinitro_proto::scoring::v1::{Dominance, PairedDifference};
use kinitro_scoring::Config;
use sqlx::Connection as _;
use support::{Service, fresh, request};

async fn guarded() -> Config {
    Config { scheme: "guarded-1".to_owned(), burn_uid: Some(MinerUid(300)), ..fresh().await }
}

#[tokio::test(flavor = "multi_thread")]
async fn under_guarded_1_the_squatter_is_paid_nothing() {
    let config = Config { floors: BTreeMap::from([("metaworld/push-v3".parse().unwrap(), 0.02)]), ..guarded().await };
    let service = Service::start(config.clone()).await;
    let answer = service.score(&request(1, 5)).await.unwrap();
    let (scores, weights) = (answer.scores.unwrap(), answer.weights.unwrap());
    assert_eq!(scores.points, BTreeMap::from([(7, "0".to_owned()), (42, "12".to_owned())]));
    assert_eq!(weights.weights, BTreeMap::from([(7, 0.0), (42, 1.0)]));
    assert_eq!((scores.scheme.as_str(), weights.scheme.as_str(), scores.burn_uid), ("guarded-1", "guarded-1", None));
    service.stop().await;

    let mut connection = sqlx::PgConnection::connect(&config.database_url).await.unwrap();
    let parameters: String = sqlx::query_scalar("SELECT scheme_parameters::text FROM scoring.cycles")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert_eq!(
        parameters,
        r#"{"scheme":"guarded-1","weight_scheme":"linear","pareto_temperature":1.0,"floors":{"metaworld/push-v3":0.02},"burn_uid":300}"#
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn weight_that_nobody_earned_goes_to_the_burn_uid() {
    let service = Service::start(guarded().await).await;
    let mut hopeless = request(1, 5);
    hopeless.tallies.iter_mut().for_each(|tally| tally.outcomes = "0".repeat(50));
    let answer = service.score(&hopeless).await.unwrap();
    let (scores, weights) = (answer.scores.unwrap(), answer.weights.unwrap());
    assert_eq!(weights.weights, BTreeMap::from([(7, 0.0), (42, 0.0), (300, 1.0)]));
    assert_eq!((weights.burn_uid, weights.hotkeys.keys().copied().collect::<Vec<_>>()), (Some(300), vec![7, 42]));
    let chain = weights.weights_u16.unwrap();
    assert_eq!((chain.uids, chain.values), (vec![300], vec![65535]));
    // It is no miner.
    assert_eq!(weights.metadata.unwrap().n_miners_evaluated, 2);
    assert_eq!(scores.burn_uid, Some(300));
    assert_eq!(scores.points.keys().copied().collect::<Vec<_>>(), [7, 42]);
    assert_eq!(service.scores(Some(1)).await.unwrap(), scores);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn statistics_stand_beside_the_scores() {
    let config = fresh().await;
    let service = Service::start(config.clone()).await;
    let scores = service.score(&request(1, 5)).await.unwrap().scores.unwrap();

    // 44 of 49.
    let detail = &scores.details[4];
    assert_eq!(format!("{:.4} {:.4}", detail.success_rate_lower, detail.success_rate_upper), "0.7824 0.9556");
    assert_eq!(scores.details[0].success_rate_lower, 0.0);

    let statistics = scores.statistics.unwrap();
    let [comparison] = &statistics.comparisons[..] else { panic!("{statistics:?}") };
    // The squatter is ahead in rank.
    assert_eq!((comparison.ahead, comparison.behind), (7, 42));
    assert!(comparison.neighbours_in_rank && comparison.neighbours_in_commit_order);
    let overall = comparison.overall.clone().unwrap();
    assert_eq!((overall.episodes, overall.only_ahead, overall.only_behind), (4 * 49, 0, 3 * 44));
    assert_eq!((overall.more_episodes, overall.env_id.as_str()), (Some(0), ""));
    let expected = PairedDifference {
        env_id: "metaworld/push-v3".to_owned(),
        episodes: 49,
        only_ahead: 0,
        only_behind: 44,
        difference: -44.0 / 49.0,
        p_value: comparison.environments[0].p_value,
        more_episodes: Some(0),
    };
    assert_eq!(comparison.environments[0], expected);
    assert!((expected.p_value / 2.0_f64.powi(-43) - 1.0).abs() < 1e-12);
    // Where they are equal, there is nothing to find.
    assert_eq!((comparison.environments[3].p_value, comparison.environments[3].more_episodes), (1.0, None));
    assert_eq!(statistics.dominance, [Dominance { uid: 42, dominates: vec![7] }]);

    // What was scored before there were any has none, and is shown all the same.
    let mut connection = sqlx::PgConnection::connect(&config.database_url).await.unwrap();
    let earlier = "ALTER TABLE scoring.cycles DISABLE TRIGGER kept; UPDATE scoring.cycles SET statistics = NULL";
    sqlx::raw_sql(earlier).execute(&mut connection).await.unwrap();
    assert_eq!(service.scores(Some(1)).await.unwrap().statistics, None);
    service.stop().await;
}
