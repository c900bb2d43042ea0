//! Only what scheduling issued is scored, and the newest weights are those of what it issued last.
#![allow(clippy::unwrap_used)]

mod support;

use std::path::Path;

use kinitro_proto::scoring::v1::AnnounceCycleRequest;
use kinitro_scoring::Config;
use kinitro_stores::testing;
use sqlx::{Connection as _, PgConnection, migrate::Migrator};
use support::{Service, announcement, fresh, refusal, request};
use tonic::Code;

fn refused(reason: &str) -> (Code, String) {
    (Code::FailedPrecondition, reason.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cycle_that_was_never_announced_is_refused() {
    let service = Service::start(fresh().await).await;
    service.score(&request(1, 5)).await.unwrap();
    let forged = service.client.clone().score_cycle(request(1 << 62, 1 << 40)).await;
    assert_eq!(refusal(forged), refused("CYCLE_NOT_ANNOUNCED"));
    assert_eq!(service.weights(None).await.unwrap().cycle_id, 1);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_announced_cycle_is_scored_at_its_block_and_for_the_one_who_knows_its_secret() {
    let service = Service::start(fresh().await).await;
    service.announce(&announcement(&request(2, 100))).await.unwrap();
    let score = async |change: fn(&mut kinitro_proto::scoring::v1::ScoreCycleRequest)| {
        let mut request = request(2, 100);
        change(&mut request);
        service.client.clone().score_cycle(request).await
    };
    let beyond = score(|request| request.cycle.as_mut().unwrap().block_number = 1 << 40).await;
    assert_eq!(refusal(beyond), refused("CYCLE_AT_OTHER_BLOCK"));
    assert_eq!(refusal(score(|request| request.secret = "08".repeat(32)).await), refused("CYCLE_SECRET_WRONG"));
    assert_eq!(refusal(score(|request| request.secret.clear()).await), refused("CYCLE_SECRET_WRONG"));
    assert_eq!(refusal(score(|request| request.secret = "7".to_owned()).await).0, Code::InvalidArgument);
    assert_eq!(refusal(service.weights(None).await).0, Code::NotFound);
    assert!(score(|_| {}).await.is_ok());
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_announcement_is_repeated_at_will_and_never_changed() {
    let service = Service::start(fresh().await).await;
    let first = announcement(&request(2, 100));
    for _ in 0..2 {
        service.announce(&first).await.unwrap();
    }
    for other in [
        AnnounceCycleRequest { block_number: 101, ..first.clone() },
        AnnounceCycleRequest { secret_hash: "08".repeat(32), ..first.clone() },
    ] {
        let expected = (Code::AlreadyExists, "CYCLE_ANNOUNCED_DIFFERENTLY".to_owned());
        assert_eq!(refusal(service.announce(&other).await), expected);
    }
    for (malformed, field) in [
        (AnnounceCycleRequest { cycle_id: 0, ..first.clone() }, "cycle_id"),
        (AnnounceCycleRequest { block_number: u64::MAX, ..first.clone() }, "block_number"),
        (AnnounceCycleRequest { secret_hash: "08".to_owned(), ..first.clone() }, "secret_hash"),
    ] {
        let status = service.announce(&malformed).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument);
        assert!(status.message().starts_with(field), "{}", status.message());
    }
    service.stop().await;
}

/// A database as the version before the announcements left it, with a cycle that somebody forged.
async fn earlier_database() -> Config {
    let database_url = testing::fresh_database().await;
    let folder = tempfile::tempdir().unwrap();
    let migrations = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../migrations/scoring");
    for file in ["0001_scores_and_weights.sql", "0002_burn_and_statistics.sql"] {
        std::fs::copy(migrations.join(file), folder.path().join(file)).unwrap();
    }
    let mut migrator = Migrator::new(folder.path()).await.unwrap();
    migrator.create_schema("scoring");
    migrator.dangerous_set_table_name("scoring._sqlx_migrations");
    let mut connection = PgConnection::connect(&database_url).await.unwrap();
    migrator.run(&mut connection).await.unwrap();
    for (cycle_id, block) in [(1_i64, 100_i64), (1 << 62, 1 << 40)] {
        let statement = format!(
            "INSERT INTO scoring.cycles (cycle_id, block_number, status, n_miners, n_environments, duration_seconds, env_ids, scheme,
                 scheme_parameters, request, request_sha256)
             VALUES ({cycle_id}, {block}, 'completed', 1, 1, 1, '{{test/a}}', 'published-1', '{{}}', '', decode(repeat('00', 32), 'hex'));
             INSERT INTO scoring.scores VALUES ({cycle_id}, 7, '{}', 1, 1, true);
             INSERT INTO scoring.details VALUES ({cycle_id}, 7, 0, 'test/a', 1, 1, 3, 1);
             INSERT INTO scoring.weights VALUES ({cycle_id}, 7, 1, 65535)",
            support::HOTKEYS[0]
        );
        sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(&mut connection).await.unwrap();
    }
    kinitro_scoring::migrate(&database_url).await.unwrap();
    Config { database_url, ..Config::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_scored_before_announcements_stays_and_a_forged_id_is_replaced_by_the_next_cycle() {
    let service = Service::start(earlier_database().await).await;
    let first = service.weights(Some(100)).await.unwrap();
    assert_eq!((first.cycle_id, first.episodes_planned, first.episodes_played), (1, Some(4), Some(3)));
    assert_eq!((first.played_share, first.min_played_share), (Some(0.75), None));
    assert_eq!(service.weights(None).await.unwrap().cycle_id, 1 << 62);

    service.score(&request(2, 101)).await.unwrap();
    assert_eq!(service.weights(None).await.unwrap().cycle_id, 2);
    assert_eq!(service.scores(None).await.unwrap().cycle_id, 2);
    // A retry of a cycle that the earlier version scored and whose answer was lost: nobody announced it then.
    service.announce(&announcement(&request(1, 100))).await.unwrap();
    assert_eq!(refusal(service.score(&request(1, 100)).await).0, Code::AlreadyExists, "other tallies");
    service.stop().await;
}
