//! A real Redis: started, stopped, killed, started again.
#![allow(clippy::unwrap_used)]

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::TcpStream,
    os::unix::fs::PermissionsExt,
};

use kinitro_stores::{Redis, StoresError, testing};

/// One command, one line of an answer; two lines when the answer is a bulk string.
fn ask(server: &Redis, command: &str) -> std::io::Result<String> {
    let password = fs::read_to_string(server.password_file())?;
    let mut stream = TcpStream::connect(("127.0.0.1", server.port()))?;
    stream.write_all(format!("AUTH {}\r\n{command}\r\n", password.trim()).as_bytes())?;
    let mut lines = BufReader::new(stream).lines();
    assert_eq!(lines.next().unwrap()?, "+OK");
    let first = lines.next().unwrap()?;
    if first.starts_with('$') && first != "$-1" { lines.next().unwrap() } else { Ok(first) }
}

#[tokio::test]
async fn a_durable_server_keeps_what_it_acknowledged_through_a_kill() {
    let directory = tempfile::Builder::new().permissions(fs::Permissions::from_mode(0o755)).tempdir().unwrap();
    let mut server = Redis::start(&directory.path().join("redis"), None).await.unwrap();
    let port = server.port();
    assert_eq!(server.address(), format!("redis://127.0.0.1:{port}/0"));
    assert_eq!(ask(&server, "SET word here").unwrap(), "+OK");
    server.kill();
    assert!(ask(&server, "PING").is_err(), "nobody may answer after the kill");
    server.restart().await.unwrap();
    assert_eq!(server.port(), port);
    assert_eq!(ask(&server, "GET word").unwrap(), "here");
    server.stop().await.unwrap();
    let server = Redis::start(&directory.path().join("redis"), Some(port)).await.unwrap();
    assert_eq!(ask(&server, "GET word").unwrap(), "here");
}

#[tokio::test]
async fn a_volatile_server_forgets_everything_at_a_restart() {
    let mut server = testing::private_redis().await;
    assert_eq!(ask(&server, "SET word here").unwrap(), "+OK");
    server.restart().await.unwrap();
    assert_eq!(ask(&server, "GET word").unwrap(), "$-1");
}

#[tokio::test]
async fn a_taken_port_is_an_error_that_shows_the_servers_own_words() {
    let directory = tempfile::Builder::new().permissions(fs::Permissions::from_mode(0o755)).tempdir().unwrap();
    let taken = testing::private_redis().await;
    let error = Redis::start(&directory.path().join("redis"), Some(taken.port())).await.unwrap_err();
    assert!(matches!(error, StoresError::StartFailed { server: "redis", .. }), "{error}");
    assert!(error.to_string().contains("in use"), "{error}");
    assert_eq!(ask(&taken, "PING").unwrap(), "+PONG");
}

#[tokio::test]
async fn all_tests_of_a_process_share_one_server() {
    assert_eq!(testing::redis_url().await, testing::redis_url().await);
}

#[tokio::test]
async fn a_server_that_ends_by_itself_is_reported() {
    let server = testing::private_redis().await;
    let ended = server.ended();
    let pid = nix::unistd::Pid::from_raw(server.pid().unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).unwrap();
    let error = ended.await;
    assert!(matches!(error, StoresError::Ended { server: "redis", .. }), "{error}");
}
