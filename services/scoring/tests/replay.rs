//! A stored cycle comes out again to the bit, and what was tampered with is found.
#![allow(clippy::unwrap_used)]

mod support;

use kinitro_domain::MinerUid;
use kinitro_scoring::{Config, replay};
use kinitro_stores::testing;
use sqlx::Connection as _;
use support::{Service, fresh, request};

#[tokio::test(flavor = "multi_thread")]
async fn a_stored_cycle_comes_out_to_the_bit_after_a_restart() {
    let mut postgres = testing::private_postgres().await;
    let database_url = postgres.url();
    kinitro_scoring::migrate(&database_url).await.unwrap();
    // One cycle for each scheme, with a temperature of many digits, and one that burns.
    let published = Config { database_url: database_url.clone(), pareto_temperature: 0.1 + 0.2, ..Config::default() };
    let guarded = Config { scheme: "guarded-1".to_owned(), burn_uid: Some(MinerUid(300)), ..published.clone() };
    let mut hopeless = request(3, 7);
    hopeless.tallies.iter_mut().for_each(|tally| tally.outcomes = "0".repeat(50));
    for (config, requests) in [(published, vec![request(1, 5)]), (guarded, vec![request(2, 6), hopeless])] {
        let service = Service::start(config).await;
        for request in requests {
            service.score(&request).await.unwrap();
        }
        service.stop().await;
    }
    postgres.restart().await.unwrap();

    for (cycle_id, scheme) in [(1, "published-1"), (2, "guarded-1"), (3, "guarded-1")] {
        let replay = replay(&database_url, cycle_id).await.unwrap();
        assert_eq!((replay.difference, replay.scheme.as_str()), (None, scheme));
        assert_eq!((replay.cycle_id, replay.miners, replay.environments), (cycle_id, 2, 4));
    }
    let unknown = replay(&database_url, 4).await.unwrap_err();
    assert!(unknown.to_string().contains("cycle 4 was not scored"), "{unknown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_was_tampered_with_is_named() {
    let config = fresh().await;
    let service = Service::start(config.clone()).await;
    for cycle_id in 1..=8 {
        service.score(&request(cycle_id, 5)).await.unwrap();
    }
    service.stop().await;
    let mut connection = sqlx::PgConnection::connect(&config.database_url).await.unwrap();
    for table in ["cycles", "scores", "details", "weights"] {
        let statement = format!("ALTER TABLE scoring.{table} DISABLE TRIGGER kept");
        sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(&mut connection).await.unwrap();
    }
    let tampered = [
        // One outcome of the stored request, from 0 to 1: it is still a valid request.
        (
            "UPDATE scoring.cycles SET request = overlay(request placing '\\x31' from position('\\x3030'::bytea in request)) WHERE cycle_id = 1",
            "the fingerprint (SHA-256) of the stored request",
        ),
        ("UPDATE scoring.scores SET points = 21 WHERE cycle_id = 2 AND uid = 7", "the points of miner 7"),
        // One bit of a weight.
        (
            "UPDATE scoring.weights SET weight = weight + 5.421010862427522e-20 WHERE cycle_id = 3 AND uid = 42",
            "the weight of uid 42",
        ),
        ("UPDATE scoring.weights SET scaled = 23 WHERE cycle_id = 4 AND uid = 42", "the weight of uid 42"),
        (
            "UPDATE scoring.cycles SET scheme_parameters = replace(scheme_parameters::text, '1.0', '2.0')::json WHERE cycle_id = 5",
            "the weight of uid 7",
        ),
        ("DELETE FROM scoring.weights WHERE cycle_id = 6 AND uid = 7", "the weight of uid 42"),
        (
            "UPDATE scoring.details SET mean_reward = 0 WHERE cycle_id = 7 AND uid = 42 AND position = 2",
            "the results of miner 42 in environment 2",
        ),
        ("UPDATE scoring.cycles SET scheme = 'published-2' WHERE cycle_id = 8", "the scheme"),
    ];
    for (cycle_id, (statement, what)) in (1..).zip(tampered) {
        assert_eq!(replay(&config.database_url, cycle_id).await.unwrap().difference, None);
        let changed = sqlx::query(statement).execute(&mut connection).await.unwrap();
        assert_eq!(changed.rows_affected(), 1, "{statement}");
        let difference = replay(&config.database_url, cycle_id).await.unwrap().difference.unwrap();
        assert_eq!(difference.what, what, "{difference:?}");
        assert_ne!(difference.stored, difference.recomputed);
    }
}
