//! Where the parts of a deployment listen: what was asked for, or nothing.
#![allow(clippy::unwrap_used)]

mod support;

use std::{
    io::{BufRead as _, BufReader},
    net::TcpListener,
    path::Path,
    process::{Child, Stdio},
};

use nix::sys::signal::Signal;
use sqlx::{Connection as _, PgConnection};
use support::{
    ALONE, client, eventually,
    up::{Up, body, folder, kinitro},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_is_asked_for_and_taken_is_an_error_that_names_the_flag() {
    let _alone = ALONE.lock().await;
    let folder = folder();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    for flag in ["--chain-port", "--scheduling-port"] {
        let arguments = ["up", "--data-dir", ".kinitro", "--port", "0", "--no-executor", flag, &port];
        let output = kinitro(folder.path(), &arguments).output().unwrap();
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0), "{message}");
        assert!(message.contains(flag) && message.contains(&port), "{message}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_parts_of_up_listen_where_they_are_told_and_no_service_is_a_superuser() {
    let _alone = ALONE.lock().await;
    let folder = folder();
    let flags = ["--ingestion-port", "--scheduling-port", "--scoring-port", "--postgres-port", "--redis-port"];
    // All held at once, so that they differ.
    let held: Vec<_> = flags.iter().map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    let ports: Vec<String> = held.iter().map(|held| held.local_addr().unwrap().port().to_string()).collect();
    drop(held);
    let arguments: Vec<&str> = flags.iter().zip(&ports).flat_map(|(flag, port)| [*flag, port.as_str()]).collect();
    let mut up = Up::start(folder.path(), &[&arguments[..], &["--no-executor"]].concat()).await;
    for (name, port) in ["ingestion", "scheduling", "scoring", "postgres", "redis"].iter().zip(&ports) {
        assert!(up.url(name).contains(&format!(":{port}")), "{name} at {port}: {}", up.screen);
    }
    assert_eq!(body(&format!("{}/health", up.url("gateway"))).await["status"], "healthy");

    let password = std::fs::read_to_string(folder.path().join(".kinitro/postgres/password")).unwrap();
    assert!(!up.screen.contains(password.trim()) && up.screen.contains(".kinitro/postgres/password"), "{}", up.screen);
    let owner = up.url("postgres").replace("postgres://", &format!("postgres://kinitro:{}@", password.trim()));
    let mut connection = PgConnection::connect(&owner).await.unwrap();
    let sessions: Vec<(String, bool)> = sqlx::query_as(
        "SELECT DISTINCT rolname::text, rolsuper FROM pg_stat_activity JOIN pg_roles ON usesysid = pg_roles.oid
          WHERE application_name LIKE 'kinitro-%' ORDER BY 1",
    )
    .fetch_all(&mut connection)
    .await
    .unwrap();
    let roles = ["kinitro_ingestion", "kinitro_scheduling", "kinitro_scoring"];
    assert_eq!(sessions, roles.map(|role| (role.to_owned(), false)));
    up.signal(Signal::SIGINT);
    assert_eq!(up.ended().await.code(), Some(0));
}

/// A process that is killed with the test, and where its log says that it listens.
fn listening(arguments: &[&str]) -> (Killed, String) {
    let mut command = kinitro(Path::new("/"), arguments);
    command.env("KINITRO_EXECUTOR_SCHEDULING_URL", "http://127.0.0.1:1");
    // Without it a service listens on loopback only.
    command.env("KINITRO_MESH_TOKEN", "the-token-of-this-test").stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = Killed(command.spawn().unwrap());
    let mut lines = BufReader::new(child.0.stderr.take().unwrap()).lines();
    let mut log = String::new();
    loop {
        let line = lines.next().unwrap_or_else(|| panic!("it ended: {log}")).unwrap();
        let record: serde_json::Value = serde_json::from_str(&line).unwrap_or_default();
        if record["message"] == "listening" {
            // Reads on, so that the process never waits for us.
            std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
            return (child, record["address"].as_str().unwrap().to_owned());
        }
        log += &(line + "\n");
    }
}

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // Already gone is as good.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_executor_on_the_machine_takes_a_free_port() {
    let (_first, one) = listening(&["execution"]);
    let (_second, other) = listening(&["execution"]);
    assert_ne!(one, other);
    let taken = kinitro(Path::new("/"), &["execution", "--port", one.rsplit_once(':').unwrap().1])
        .env("KINITRO_EXECUTOR_SCHEDULING_URL", "http://127.0.0.1:1")
        .output()
        .unwrap();
    assert_eq!(taken.status.code(), Some(1), "one that is asked for is used or refused");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_at_the_unspecified_address_of_ipv6_answers_over_both_families() {
    let (_service, address) = listening(&["execution", "--host", "::", "--port", "0"]);
    let port = address.rsplit_once(':').unwrap().1.to_owned();
    let families = ["127.0.0.1", "[::1]"].map(|host| format!("http://{host}:{port}/metrics"));
    for url in families {
        eventually("it answers", || async {
            client().get(&url).send().await.map(drop).map_err(|error| format!("{url}: {error}"))
        })
        .await;
    }
}
