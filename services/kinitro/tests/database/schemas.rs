//! Every service on every schema that it has ever had: it says that it is not ready and what to do, and what stood there stays.

use std::collections::BTreeMap;

use kinitro_database::{Database, PoolSettings, Schema, SchemaState};
use kinitro_stores::testing::fresh_database;
use sqlx::{
    AssertSqlSafe, Connection as _, PgConnection, SqlSafeStr as _,
    migrate::{Migration, MigrationType, Migrator},
};

use super::{as_owner, run_with, stderr};

const SCHEMAS: [&Schema; 3] = [&kinitro_ingestion::SCHEMA, &kinitro_scheduling::SCHEMA, &kinitro_scoring::SCHEMA];

/// The first `migrations` migrations of a schema: what an earlier release had.
fn earlier(schema: &Schema, migrations: usize) -> Schema {
    let migrations = schema.migrations().iter().take(migrations).cloned().collect();
    Schema::new(schema.name(), Migrator::with_migrations(migrations))
}

/// With one migration more: what a later release may have.
fn later(schema: &Schema, version: i64, description: &'static str) -> Schema {
    let sql = AssertSqlSafe(format!("CREATE TABLE {}.more_{version} (x int)", schema.name())).into_sql_str();
    let more = Migration::new(version, description.into(), MigrationType::Simple, sql, false);
    let migrations = schema.migrations().iter().cloned().chain([more]).collect();
    Schema::new(schema.name(), Migrator::with_migrations(migrations))
}

async fn open(url: &str) -> Database {
    let settings = PoolSettings {
        application: "kinitro-test",
        max_connections: 2,
        acquire_limit: std::time::Duration::from_secs(60),
        standstill_seconds: 30,
    };
    Database::open(url, settings).await.unwrap()
}

#[tokio::test]
async fn a_service_on_each_older_schema_of_its_own_says_what_is_missing_and_what_to_run() {
    let url = fresh_database().await;
    let database = open(&url).await;
    for schema in SCHEMAS {
        let name = schema.name();
        let missing = format!("the schema `{name}` is not there: run `kinitro db init`");
        assert_eq!(schema.probe(&database).await, Err(missing));
        for (applied, next) in schema.migrations().iter().enumerate().skip(1) {
            earlier(schema, applied).migrate(&url).await.unwrap();
            let said = schema.probe(&database).await.unwrap_err();
            assert!(said.starts_with(&format!(
                "the schema `{name}` is not up to date, it lacks the migration {:04}_",
                next.version
            )));
            assert!(said.ends_with("run `kinitro db init`"), "{said}");
        }
        schema.migrate(&url).await.unwrap();
        assert_eq!(schema.probe(&database).await, Ok(()));
        assert_eq!(schema.state(database.pool()).await.unwrap(), SchemaState::Ready(name));
    }
}

#[tokio::test]
async fn a_database_that_is_ahead_is_served_only_where_its_migrations_say_that_they_are_compatible() {
    let url = fresh_database().await;
    let database = open(&url).await;
    for schema in SCHEMAS {
        later(schema, 9000, "compatible note of miner").migrate(&url).await.unwrap();
        assert_eq!(schema.probe(&database).await, Ok(()));
        let ahead = SchemaState::Ahead { schema: schema.name(), newest: "9000_compatible_note_of_miner".to_owned() };
        assert_eq!(schema.state(database.pool()).await.unwrap(), ahead);
    }
    // An older release changes nothing, and goes on.
    let variables = [("KINITRO_DB_DATABASE_URL", url.as_str())];
    for action in ["init", "status"] {
        let output = run_with(&variables, &["db", action]);
        assert!(output.status.success(), "{output:?}");
    }
    as_owner(
        &url,
        "INSERT INTO scoring._sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (9001, 'other weights', true, '', 0)",
    )
    .await;
    let refused = "the schema `scoring` is ahead of this release, by the migration 9001_other_weights";
    assert!(kinitro_scoring::SCHEMA.probe(&database).await.unwrap_err().starts_with(refused));
    for action in ["init", "status"] {
        let output = run_with(&variables, &["db", action]);
        assert!(!output.status.success() && stderr(&output).contains(refused), "{output:?}");
    }
}

/// One row in every table of the first release.
const FIRST: &str = "
    INSERT INTO ingestion.heads VALUES ('0xab', 7, 90, '0xcd', '2026-01-02');
    INSERT INTO ingestion.miners VALUES ('0xab', 7, 3, '5Grw', 'active', '', 'user/policy', 'abcdef12', 'http://a', true, 70, 80, '\\x01ff');
    INSERT INTO ingestion.first_commitments VALUES ('0xab', 7, '5Grw', 'user/policy', 70, '2026-01-02');
    INSERT INTO scheduling.cycles (block_number, state, secret, episodes_per_env, env_ids, tasks_total, deadline, completed_at)
        VALUES (90, 'completed', decode(repeat('07', 32), 'hex'), 2, '{metaworld/reach-v3}', 2, '2026-01-02', '2026-01-02'),
               (99, 'running', decode(repeat('08', 32), 'hex'), 2, '{metaworld/reach-v3}', 2, '2026-01-03', NULL);
    INSERT INTO scheduling.cycle_miners VALUES (1, 3, '5Grw', 'http://a', 'user/policy', 'abcdef12', 70);
    INSERT INTO scheduling.tasks (id, cycle_id, uid, env_id, episode, seed, state, attempt, verdict, cause, score, total_reward, completed_at)
        VALUES (gen_random_uuid(), 1, 3, 'metaworld/reach-v3', 0, 4294967295, 'completed', 1, 'success', 'environment', 1, 0.1, '2026-01-02'),
               (gen_random_uuid(), 2, 3, 'metaworld/reach-v3', 0, 5, 'pending', 0, NULL, NULL, NULL, NULL, NULL);
    INSERT INTO scheduling.disagreements (task_id, cycle_id, executor_id, attempt, recorded, reported)
        SELECT id, cycle_id, 'a', 1, '{\"verdict\": \"success\"}', '{\"verdict\": \"failure\"}' FROM scheduling.tasks LIMIT 1;
    INSERT INTO scoring.cycles (cycle_id, block_number, status, n_miners, n_environments, duration_seconds, env_ids, scheme,
                                scheme_parameters, request, request_sha256)
        VALUES (1, 90, 'completed', 1, 1, 0.1, '{metaworld/reach-v3}', 'published-1', '{\"epsilon\": 0.1}', '', decode(repeat('00', 32), 'hex'));
    INSERT INTO scoring.scores VALUES (1, 3, '5Grw', 70, 340282366920938463463374607431768211455, true);
    INSERT INTO scoring.details VALUES (1, 3, 0, 'metaworld/reach-v3', 0.5, 0.1, 2, 0);
    INSERT INTO scoring.weights VALUES (1, 3, 1, 65535)";

/// Every row of every table of the services, as JSON by table.
async fn rows(url: &str) -> BTreeMap<String, Vec<serde_json::Value>> {
    let mut connection = PgConnection::connect(url).await.unwrap();
    let tables: Vec<(String,)> = sqlx::query_as(
        "SELECT schemaname || '.' || tablename FROM pg_tables
          WHERE schemaname IN ('ingestion', 'scheduling', 'scoring') AND tablename <> '_sqlx_migrations'",
    )
    .fetch_all(&mut connection)
    .await
    .unwrap();
    let mut rows = BTreeMap::new();
    for (table,) in tables {
        let statement = format!("SELECT to_jsonb(t) FROM {table} t ORDER BY to_jsonb(t)::text");
        let of_table = sqlx::query_scalar(AssertSqlSafe(statement)).fetch_all(&mut connection).await.unwrap();
        rows.insert(table, of_table);
    }
    rows
}

#[tokio::test]
async fn every_row_of_the_first_schemas_is_there_after_all_migrations() {
    let url = fresh_database().await;
    for schema in SCHEMAS {
        earlier(schema, 1).migrate(&url).await.unwrap();
    }
    as_owner(&url, FIRST).await;
    let before = rows(&url).await;
    assert!(before.len() == 11 && before.values().all(|rows| !rows.is_empty()), "{before:#?}");
    for schema in SCHEMAS {
        schema.migrate(&url).await.unwrap();
    }
    let after = rows(&url).await;
    for (table, before) in &before {
        let mut left = after[table].clone();
        for row in before {
            let kept =
                |now: &serde_json::Value| row.as_object().unwrap().iter().all(|(column, value)| now[column] == *value);
            let position = left.iter().position(kept).unwrap_or_else(|| panic!("{table} lost {row}, it has {left:#?}"));
            left.remove(position);
        }
        assert!(left.is_empty(), "{table} has rows that were not there: {left:#?}");
    }
    // A cycle that was scored before there were announcements is the newest all the same.
    assert_eq!(after["scoring.announced_cycles"][0]["cycle_id"], 1);
}
