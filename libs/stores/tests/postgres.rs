//! A real Postgres: started, stopped, killed, started again.
#![allow(clippy::unwrap_used)]

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use kinitro_stores::{Durability, Postgres, StoresError, free_port, testing};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, Row};

/// A directory that the unprivileged user of the server can reach.
fn open_directory() -> tempfile::TempDir {
    tempfile::Builder::new().permissions(fs::Permissions::from_mode(0o755)).tempdir().unwrap()
}

async fn start(directory: &Path, port: Option<u16>) -> Result<Postgres, StoresError> {
    Postgres::start_with(&directory.join("postgres"), port, Durability::Volatile).await
}

async fn ask(url: &str, question: &'static str) -> String {
    let mut connection = PgConnection::connect(url).await.unwrap();
    let row = connection.fetch_one(question).await.unwrap();
    connection.close().await.unwrap();
    row.get(0)
}

async fn run(url: &str, statement: &str) {
    let mut connection = PgConnection::connect(url).await.unwrap();
    connection.execute(AssertSqlSafe(statement.to_owned())).await.unwrap();
    connection.close().await.unwrap();
}

#[tokio::test]
async fn the_first_start_makes_a_database_and_later_ones_keep_its_rows() {
    let directory = open_directory();
    let port = free_port().unwrap();
    let server = Postgres::start(&directory.path().join("postgres"), Some(port)).await.unwrap();
    assert_eq!(server.address(), format!("postgres://127.0.0.1:{port}/kinitro"));
    assert_eq!(ask(&server.url(), "SHOW fsync").await, "on");
    assert_eq!(ask(&server.url(), "SHOW server_encoding").await, "UTF8");
    assert_eq!(ask(&server.url(), "SHOW listen_addresses").await, "127.0.0.1");
    run(&server.url(), "CREATE TABLE kept (word text); INSERT INTO kept VALUES ('here')").await;
    server.stop().await.unwrap();

    let server = Postgres::start(&directory.path().join("postgres"), Some(port)).await.unwrap();
    assert_eq!(ask(&server.url(), "SELECT word FROM kept").await, "here");
}

#[tokio::test]
async fn a_killed_server_comes_back_on_the_same_port_with_what_was_committed() {
    let mut server = testing::private_postgres().await;
    let (url, port, first) = (server.url(), server.port(), server.pid());
    run(&url, "CREATE TABLE kept (word text); INSERT INTO kept VALUES ('here')").await;
    server.kill();
    assert!(PgConnection::connect(&url).await.is_err(), "nobody may answer after the kill");
    server.restart().await.unwrap();
    assert_eq!(server.port(), port);
    assert_ne!(server.pid(), first);
    assert_eq!(ask(&url, "SELECT word FROM kept").await, "here");
}

#[tokio::test]
async fn a_restart_ends_sessions_and_keeps_rows() {
    let mut server = testing::private_postgres().await;
    let url = server.url();
    run(&url, "CREATE TABLE kept (word text); INSERT INTO kept VALUES ('here')").await;
    let mut idle = PgConnection::connect(&url).await.unwrap();
    server.restart().await.unwrap();
    assert!(idle.execute("SELECT 1").await.is_err());
    assert_eq!(ask(&url, "SELECT word FROM kept").await, "here");
}

#[tokio::test]
async fn a_directory_left_by_a_killed_server_can_be_started_by_somebody_else() {
    let directory = open_directory();
    let mut server = start(directory.path(), None).await.unwrap();
    let port = server.port();
    server.kill();
    drop(server);
    assert!(directory.path().join("postgres/cluster/postmaster.pid").exists(), "the kill must leave a stale file");
    let server = start(directory.path(), Some(port)).await.unwrap();
    assert_eq!(ask(&server.url(), "SELECT 'alive'").await, "alive");
}

#[tokio::test]
async fn a_stale_pid_file_that_names_another_program_blocks_nobody() {
    let directory = open_directory();
    start(directory.path(), None).await.unwrap().stop().await.unwrap();
    let file = directory.path().join("postgres/cluster/postmaster.pid");
    fs::write(&file, format!("{}\n", std::process::id())).unwrap();
    let server = start(directory.path(), None).await.unwrap();
    assert_eq!(ask(&server.url(), "SELECT 'alive'").await, "alive");
}

#[tokio::test]
async fn an_interrupted_first_start_leaves_nothing_half_made() {
    let directory = open_directory();
    let unfinished = directory.path().join("postgres/cluster.new");
    fs::create_dir_all(&unfinished).unwrap();
    fs::write(unfinished.join("PG_VERSION"), "15\n").unwrap();
    let server = start(directory.path(), None).await.unwrap();
    assert_eq!(ask(&server.url(), "SELECT 'alive'").await, "alive");
    assert!(!unfinished.exists());
}

#[tokio::test]
async fn a_taken_port_is_an_error_that_shows_the_servers_own_words() {
    let directory = open_directory();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let error = start(directory.path(), Some(port)).await.unwrap_err();
    assert!(matches!(error, StoresError::StartFailed { server: "postgres", .. }), "{error}");
    assert!(error.to_string().contains("Address already in use"), "{error}");
}

#[tokio::test]
async fn a_directory_that_cannot_be_entered_is_named() {
    let directory = tempfile::Builder::new().permissions(fs::Permissions::from_mode(0o700)).tempdir().unwrap();
    let started = start(directory.path(), None).await;
    if !nix::unistd::geteuid().is_root() {
        // An ordinary user runs the server himself, and his own directory is open to him.
        started.unwrap();
        return;
    }
    let error = started.unwrap_err();
    assert!(
        matches!(&error, StoresError::Unreachable { directory: named, .. } if named == directory.path()),
        "{error}"
    );
    assert!(error.to_string().contains(&format!("chmod o+x {}", directory.path().display())), "{error}");
}

#[tokio::test]
async fn a_cluster_of_another_version_is_refused_by_name() {
    let directory = open_directory();
    start(directory.path(), None).await.unwrap().stop().await.unwrap();
    fs::write(directory.path().join("postgres/cluster/PG_VERSION"), "7\n").unwrap();
    let error = start(directory.path(), None).await.unwrap_err();
    assert!(matches!(&error, StoresError::WrongVersion { found, .. } if found == "7"), "{error}");
}

#[tokio::test]
async fn a_server_that_ends_by_itself_is_reported_with_its_log() {
    let server = testing::private_postgres().await;
    let ended = server.ended();
    let pid = nix::unistd::Pid::from_raw(server.pid().unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).unwrap();
    let error = ended.await.to_string();
    assert!(error.contains("postgres") && error.contains("shutting down"), "{error}");
}

#[tokio::test]
async fn every_test_gets_an_empty_database_of_its_own() {
    let (first, second) = tokio::join!(testing::fresh_database(), testing::fresh_database());
    assert_ne!(first, second);
    run(&first, "CREATE TABLE mine (word text)").await;
    let tables = "SELECT count(*)::text FROM pg_tables WHERE schemaname = 'public'";
    assert_eq!(ask(&first, tables).await, "1");
    assert_eq!(ask(&second, tables).await, "0");
}

#[test]
fn the_shared_server_outlives_the_runtime_that_started_it() {
    let urls: Vec<String> = (0..2)
        .map(|_| {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            runtime.block_on(async {
                let url = testing::fresh_database().await;
                assert_eq!(ask(&url, "SELECT 'alive'").await, "alive");
                url
            })
        })
        .collect();
    assert_eq!(urls[0].rsplit_once('/').unwrap().0, urls[1].rsplit_once('/').unwrap().0);
}

#[tokio::test]
async fn a_private_servers_directory_goes_with_it() {
    let server = testing::private_postgres().await;
    let log = server.log();
    assert!(log.exists());
    server.stop().await.unwrap();
    assert!(!log.exists());
}
