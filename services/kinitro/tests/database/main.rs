//! The database commands on databases as operators have them: few rights, odd passwords, IPv6, a pooler, a role a service.
#![allow(clippy::unwrap_used)]

mod schemas;
#[path = "../support/mod.rs"]
mod support;

use std::{fs, path::Path, process::Output};

use kinitro_stores::testing::{fresh_database, pgbouncer};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use support::up::kinitro;

fn run_with(variables: &[(&str, &str)], arguments: &[&str]) -> Output {
    kinitro(Path::new("/"), arguments).envs(variables.iter().copied()).output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

async fn as_owner(url: &str, statements: &str) {
    let mut connection = PgConnection::connect(url).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(statements.to_owned())).execute(&mut connection).await.unwrap();
}

/// The same database as another user.
fn as_user(url: &str, user: &str, password: &str) -> String {
    format!("postgres://{user}:{password}@{}", url.rsplit_once('@').unwrap().1)
}

/// A name that no other test on this server has.
fn name(what: &str) -> String {
    format!("{what}_{}", uuid::Uuid::new_v4().simple())
}

#[tokio::test]
async fn init_needs_no_right_to_create_schemas_where_they_are() {
    let url = fresh_database().await;
    let user = name("owner");
    as_owner(&url, &format!("CREATE ROLE {user} LOGIN PASSWORD 'secret'")).await;
    let own = as_user(&url, &user, "secret");
    let init = || run_with(&[("KINITRO_SCHEDULER_DATABASE_URL", &own)], &["db", "init"]);
    assert!(stderr(&init()).contains("right to create schemas"), "{:?}", init());
    for schema in ["ingestion", "scheduling", "scoring"] {
        as_owner(&url, &format!("CREATE SCHEMA {schema} AUTHORIZATION {user}")).await;
    }
    // The tables are made, and then are there.
    for _ in 0..2 {
        assert!(init().status.success(), "{:?}", init());
    }
}

#[tokio::test]
async fn a_service_has_its_own_rows_and_nothing_else() {
    let url = fresh_database().await;
    let passwords = [
        ("KINITRO_DB_DATABASE_URL", url.as_str()),
        ("KINITRO_DB_INGESTION_PASSWORD", "one"),
        ("KINITRO_DB_SCHEDULING_PASSWORD", "t/w?o#"),
        ("KINITRO_DB_SCORING_PASSWORD", "three"),
    ];
    // Twice, because that is what a restart does; then without passwords, which keeps the roles.
    for variables in [&passwords[..], &passwords[..], &passwords[..1]] {
        let output = run_with(variables, &["db", "init"]);
        assert!(output.status.success(), "{output:?}");
    }
    let scoring = as_user(&url, "kinitro_scoring", "three");
    let mut connection = PgConnection::connect(&scoring).await.unwrap();
    for allowed in ["SELECT count(*) FROM scoring.cycles", "SELECT * FROM scoring._sqlx_migrations"] {
        sqlx::raw_sql(AssertSqlSafe(allowed))
            .execute(&mut connection)
            .await
            .unwrap_or_else(|error| panic!("{allowed}: {error}"));
    }
    for forbidden in [
        "SELECT count(*) FROM scheduling.tasks",
        "DELETE FROM ingestion.miners",
        "DROP TABLE scoring.weights",
        "DELETE FROM scoring._sqlx_migrations",
        "CREATE TABLE scoring.mine (x int)",
        "COPY (SELECT 1) TO PROGRAM 'id'",
        "COPY (SELECT 1) TO '/tmp/kinitro-test-copy'",
        "CREATE ROLE another SUPERUSER",
        "SET ROLE kinitro_scheduling",
    ] {
        let error = sqlx::raw_sql(AssertSqlSafe(forbidden)).execute(&mut connection).await.unwrap_err();
        let code = error.as_database_error().and_then(|error| error.code().map(|code| code.into_owned()));
        assert_eq!(code.as_deref(), Some("42501"), "{forbidden}: {error}");
    }
    let scheduling = as_user(&url, "kinitro_scheduling", "t%2Fw%3Fo%23");
    as_owner(&scheduling, "DELETE FROM scheduling.evaluated_miners; SELECT nextval('scheduling.cycles_id_seq')").await;
    // A role that may do everything is none for a service.
    as_owner(&url, "ALTER ROLE kinitro_ingestion SUPERUSER").await;
    let output = run_with(&passwords, &["db", "init"]);
    assert!(!output.status.success() && stderr(&output).contains("kinitro_ingestion is a superuser"), "{output:?}");
    as_owner(&url, "ALTER ROLE kinitro_ingestion NOSUPERUSER").await;
}

#[tokio::test]
async fn the_file_names_the_database_and_a_password_of_odd_characters_stands_beside_the_url() {
    let url = fresh_database().await;
    let user = name("odd");
    as_owner(&url, &format!("CREATE ROLE {user} LOGIN SUPERUSER PASSWORD 'a/b#c?d%e@f'")).await;
    let server = url.rsplit_once('@').unwrap().1;
    let folder = tempfile::tempdir().unwrap();
    let (file, secret) = (folder.path().join("kinitro.toml"), folder.path().join("password"));
    fs::write(&secret, "a/b#c?d%e@f\n").unwrap();
    let file_flag = file.to_str().unwrap();
    fs::write(
        &file,
        format!(
            "[scheduling]\ndatabase_url = 'postgres://{server}'\ndatabase_user = '{user}'\ndatabase_password_file = '{}'\n",
            secret.display()
        ),
    )
    .unwrap();
    for action in ["create", "init", "status"] {
        let output = run_with(&[], &["--config", file_flag, "db", action]);
        assert!(output.status.success(), "{action}: {output:?}");
    }
    // The section of its own goes before.
    fs::write(
        &file,
        format!("{}[db]\ndatabase_url = 'postgres://127.0.0.1:1/none'\n", fs::read_to_string(&file).unwrap()),
    )
    .unwrap();
    let output = run_with(&[], &["--config", file_flag, "db", "status"]);
    assert!(!output.status.success() && stderr(&output).contains("127.0.0.1:1"), "{output:?}");

    let output = run_with(&[], &["db", "status", "--database-url", &format!("postgres://{user}:a/b#c?d%e@f@{server}")]);
    let message = stderr(&output);
    assert!(!output.status.success() && message.contains("percent-encode"), "{message}");
    assert!(!message.contains("a/b"), "{message}");
}

#[tokio::test]
async fn a_password_in_an_argument_is_warned_of_and_not_repeated() {
    let url = fresh_database().await;
    let password = url.split(['/', '@', ':']).nth(4).unwrap().to_owned();
    let output = run_with(&[], &["db", "init", "--database-url", &url]);
    let message = stderr(&output);
    assert!(output.status.success(), "{message}");
    assert!(
        message.contains("--database-url can be read by every user") && message.contains("_PASSWORD_FILE"),
        "{message}"
    );
    assert!(!password.is_empty() && !message.contains(&password), "{message}");
    let output = run_with(&[("KINITRO_SCHEDULER_DATABASE_URL", &url)], &["db", "init"]);
    assert!(!stderr(&output).contains("every user"), "{output:?}");
}

#[tokio::test]
async fn an_address_that_does_not_answer_is_named() {
    // It listens and says nothing.
    let listener = std::net::TcpListener::bind("[::1]:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let output = run_with(&[], &["db", "status", "--database-url", &format!("postgres://kinitro@{address}/kinitro")]);
    let message = stderr(&output);
    assert!(
        !output.status.success() && message.contains(&format!("no answer from postgres at {address}")),
        "{message}"
    );
}

#[tokio::test]
async fn behind_pgbouncer_commands_and_services_work_in_session_mode_and_refuse_the_others() {
    let url = fresh_database().await;
    let database = url.rsplit_once('/').unwrap().1;
    let bouncer = pgbouncer("session", 20).await;
    let behind = bouncer.url_of(database);
    for action in ["create", "init", "status"] {
        let output = run_with(&[("KINITRO_SCHEDULER_DATABASE_URL", &behind)], &["db", action]);
        assert!(output.status.success(), "{action}: {output:?}");
    }
    let bouncer = pgbouncer("transaction", 20).await;
    let behind = bouncer.url_of(database);
    for arguments in [
        &["db", "init"][..],
        &["ingestion", "--port", "0"],
        &["scheduling", "--port", "0"],
        &["scoring", "--port", "0"],
    ] {
        let variables = [
            ("KINITRO_SCHEDULER_DATABASE_URL", behind.as_str()),
            ("KINITRO_SCHEDULER_NETWORK", "ws://127.0.0.1:1"),
            ("KINITRO_SCHEDULER_NETUID", "1"),
        ];
        let output = run_with(&variables, arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {output:?}");
        assert!(stderr(&output).contains("set pool_mode = session"), "{arguments:?}: {}", stderr(&output));
    }
}
