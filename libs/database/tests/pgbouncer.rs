//! Behind PgBouncer: session mode is like Postgres itself, the others are refused by name.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use kinitro_database::{Database, DatabaseError, PoolSettings, Schema, connect};
use kinitro_stores::testing::{fresh_database, pgbouncer};
use sqlx::PgExecutor;

static SCORING: Schema = Schema::new("scoring", sqlx::migrate!("../../migrations/scoring"));

fn settings() -> PoolSettings {
    PoolSettings {
        application: "kinitro-test",
        max_connections: 4,
        acquire_limit: Duration::from_secs(60),
        standstill_seconds: 77,
    }
}

async fn limit_of(executor: impl PgExecutor<'_>) -> String {
    sqlx::query_scalar("SELECT current_setting('idle_in_transaction_session_timeout') WHERE $1 = 1")
        .bind(1)
        .fetch_one(executor)
        .await
        .unwrap()
}

fn name(url: &str) -> &str {
    url.rsplit_once('/').unwrap().1
}

#[tokio::test(flavor = "multi_thread")]
async fn in_session_mode_limits_statements_and_migrations_work() {
    let url = fresh_database().await;
    let bouncer = pgbouncer("session", 20).await;
    let behind = bouncer.url_of(name(&url));
    SCORING.migrate(&behind).await.unwrap();
    let direct = Database::open(&url, settings()).await.unwrap();
    let pooled = Database::open(&behind, settings()).await.unwrap();
    for database in [&direct, &pooled] {
        assert_eq!(limit_of(database.pool()).await, "77s");
        let mut tasks = tokio::task::JoinSet::new();
        for i in 0..40_i64 {
            let pool = database.pool().clone();
            tasks.spawn(async move {
                sqlx::query_scalar::<_, i64>("SELECT count(*) + $1 FROM scoring.cycles")
                    .bind(i)
                    .fetch_one(&pool)
                    .await
                    .unwrap()
            });
        }
        let mut answers = tasks.join_all().await;
        answers.sort_unstable();
        assert_eq!(answers, (0..40).collect::<Vec<i64>>());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pooler_that_shares_its_sessions_is_refused_by_name() {
    let url = fresh_database().await;
    for (mode, size) in [("transaction", 20), ("transaction", 1), ("statement", 20)] {
        let bouncer = pgbouncer(mode, size).await;
        let behind = bouncer.url_of(name(&url));
        let refusals = [
            Database::open(&behind, settings()).await.map(drop).unwrap_err(),
            connect(&behind).await.map(drop).unwrap_err(),
            SCORING.migrate(&behind).await.unwrap_err(),
        ];
        for refusal in refusals {
            assert!(matches!(refusal, DatabaseError::SharedSessions { .. }), "{mode} {size}: {refusal}");
            assert!(refusal.to_string().contains("set pool_mode = session"), "{refusal}");
        }
    }
    // Nothing was written through them, and no limit was left behind for others.
    assert_eq!(limit_of(&mut connect(&url).await.unwrap()).await, "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pooler_under_load_is_refused_and_a_full_one_in_session_mode_is_not() {
    let url = fresh_database().await;
    let bouncer = pgbouncer("transaction", 4).await;
    let behind = bouncer.url_of(name(&url));
    let options: sqlx::postgres::PgConnectOptions = behind.parse().unwrap();
    let options = options.extra_float_digits(None);
    // Others keep all but two servers busy, which is as much as leaves our two clients anything.
    let mut others = Vec::new();
    for _ in 0..2 {
        let mut other = <sqlx::PgConnection as sqlx::Connection>::connect_with(&options).await.unwrap();
        sqlx::raw_sql("BEGIN").execute(&mut other).await.unwrap();
        others.push(other);
    }
    let refusal = connect(&behind).await.map(drop).unwrap_err();
    assert!(matches!(refusal, DatabaseError::SharedSessions { .. }), "{refusal}");

    let bouncer = pgbouncer("session", 1).await;
    let behind = bouncer.url_of(name(&url));
    let pooled = Database::open(&behind, PoolSettings { max_connections: 1, ..settings() }).await.unwrap();
    assert_eq!(limit_of(pooled.pool()).await, "77s", "the only connection is ours, and works");
}
