//! What another user of this machine can do with private servers: nothing.
#![allow(clippy::unwrap_used)]

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Output},
};

use kinitro_stores::{DataDir, Postgres, Redis};
use sqlx::{Connection as _, PgConnection};

/// A command as another user; as ourselves, without any password, where we are not root and cannot become another.
fn stranger(program: &str) -> Command {
    let root = nix::unistd::geteuid().is_root();
    let mut command = Command::new(if root { "setpriv" } else { program });
    if root {
        command.args(["--reuid=nobody", "--regid=nogroup", "--clear-groups", "--", program]);
    }
    for name in ["PGPASSWORD", "PGPASSFILE", "REDISCLI_AUTH"] {
        command.env_remove(name);
    }
    command.env("HOME", "/nonexistent").current_dir("/");
    command
}

fn psql(port: u16, statement: &str) -> Output {
    let mut command = stranger("psql");
    command.args(["--no-password", "--host=127.0.0.1", "--username=kinitro", "--dbname=kinitro"]);
    command.arg(format!("--port={port}")).args(["--command", statement]).output().unwrap()
}

/// What an open connection without a password is told.
fn ask_redis(port: u16, commands: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.write_all(commands.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

#[tokio::test]
async fn another_user_of_the_machine_reaches_neither_postgres_nor_redis() {
    let folder = folder();
    let data = DataDir::lock(&folder.path().join("data")).unwrap();
    let postgres = Postgres::start(&data.path().join("postgres"), None).await.unwrap();
    let redis = Redis::start(&data.path().join("redis"), None).await.unwrap();

    let proof = folder.path().join("proof");
    let attack = psql(postgres.port(), &format!("COPY (SELECT 1) TO PROGRAM 'touch {}'", proof.display()));
    let said = String::from_utf8_lossy(&attack.stderr);
    assert!(!attack.status.success() && said.contains("no password supplied"), "{attack:?}");
    assert!(!proof.exists());
    for commands in ["PING\r\nQUIT\r\n", "CONFIG SET dir /tmp\r\nQUIT\r\n", "FLUSHALL\r\nQUIT\r\n"] {
        assert!(ask_redis(redis.port(), commands).starts_with("-NOAUTH"), "{commands:?}");
    }

    let files = [postgres.password_file(), redis.password_file(), data.path().join("redis/redis.conf")];
    for file in &files {
        assert_eq!(mode(file), 0o600, "{}", file.display());
        let read = stranger("cat").arg(file).output().unwrap();
        assert!(!read.status.success() || !nix::unistd::geteuid().is_root(), "{read:?}");
    }
    for directory in ["postgres", "redis"] {
        assert_eq!(mode(&data.path().join(directory)), 0o700, "{directory}");
    }
    // Nor does the list of processes tell.
    let secrets = [&files[0], &files[1]].map(|file| fs::read_to_string(file).unwrap().trim().to_owned());
    let processes = stranger("ps").args(["-eww", "-o", "args"]).output().unwrap();
    let processes = String::from_utf8_lossy(&processes.stdout);
    assert!(processes.contains("redis-server"), "{processes}");
    for secret in &secrets {
        assert!(secret.len() >= 32 && !processes.contains(secret.as_str()));
        assert!(!format!("{postgres:?} {redis:?}").contains(secret.as_str()));
    }
    redis.stop().await.unwrap();
    postgres.stop().await.unwrap();
}

#[tokio::test]
async fn a_directory_from_before_there_were_passwords_gets_one_and_keeps_its_data() {
    let folder = folder();
    let directory = folder.path().join("postgres");
    let postgres = Postgres::start(&directory, None).await.unwrap();
    let mut connection = PgConnection::connect(&postgres.url()).await.unwrap();
    sqlx::raw_sql("CREATE TABLE kept AS SELECT 7 AS seven; ALTER ROLE kinitro PASSWORD NULL")
        .execute(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
    let first = fs::read_to_string(postgres.password_file()).unwrap();
    postgres.stop().await.unwrap();
    // As an older version left it.
    fs::remove_file(directory.join("password")).unwrap();
    fs::remove_file(directory.join("pg_hba.conf")).unwrap();

    let postgres = Postgres::start(&directory, None).await.unwrap();
    assert_ne!(fs::read_to_string(postgres.password_file()).unwrap(), first);
    let mut connection = PgConnection::connect(&postgres.url()).await.unwrap();
    let seven: i32 = sqlx::query_scalar("SELECT seven FROM kept").fetch_one(&mut connection).await.unwrap();
    assert_eq!(seven, 7);
    assert!(!psql(postgres.port(), "SELECT 1").status.success());
}
