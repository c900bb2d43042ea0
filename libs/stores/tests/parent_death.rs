//! Nothing survives the sudden death of the process that started it.
//!
//! The test runs itself a second time as the parent, waits until the servers are up, and kills it without warning. The
//! usual harness cannot be re-executed like that without a test that passes by doing nothing, so this file has a
//! `main` of its own.
#![allow(clippy::unwrap_used)]

use std::{
    env, fs,
    io::{BufRead, BufReader},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use kinitro_stores::testing;

const AS_PARENT: &str = "as-the-parent-that-is-killed";

fn main() {
    if env::args().nth(1).as_deref() == Some(AS_PARENT) {
        be_the_parent();
    } else {
        nothing_survives_a_sigkill_of_the_parent();
        println!("test nothing_survives_a_sigkill_of_the_parent ... ok");
    }
}

fn be_the_parent() -> ! {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (postgres, redis) =
        runtime.block_on(async { tokio::join!(testing::private_postgres(), testing::private_redis()) });
    println!("{} {}", postgres.pid().unwrap(), postgres.port());
    println!("{} {}", redis.pid().unwrap(), redis.port());
    println!("{}", postgres.log().parent().unwrap().display());
    loop {
        thread::park();
    }
}

fn nothing_survives_a_sigkill_of_the_parent() {
    let mut parent = Command::new(env::current_exe().unwrap()).arg(AS_PARENT).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(parent.stdout.take().unwrap()).lines().map(Result::unwrap);
    let servers: Vec<(i32, u16)> = (0..2)
        .map(|_| {
            let line = lines.next().expect("the parent reports its servers");
            let (pid, port) = line.split_once(' ').unwrap();
            (pid.parse().unwrap(), port.parse().unwrap())
        })
        .collect();
    let directory = PathBuf::from(lines.next().expect("the parent reports its directory"));
    let family = processes_that_mention(&directory);
    assert!(!family.is_empty(), "the servers are visible before the kill");
    for (_, port) in &servers {
        TcpStream::connect(("127.0.0.1", *port)).expect("the servers answer before the kill");
    }

    parent.kill().unwrap();
    parent.wait().unwrap();
    wait_until("every server process is gone", || servers.iter().all(|(pid, _)| has_ended(*pid)));
    wait_until("their own children are gone, too", || processes_that_mention(&directory).is_empty());
    for (_, port) in &servers {
        assert!(TcpStream::connect(("127.0.0.1", *port)).is_err(), "nobody listens on {port}");
    }

    // The next test process that starts a server sweeps what the dead one left on the disk.
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let server = runtime.block_on(testing::private_redis());
    assert!(!directory.exists(), "{} was not swept", directory.display());
    drop(server);
}

/// Gone, or a zombie that only its new parent has not collected yet.
fn has_ended(pid: i32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat"))
        .map_or(true, |stat| stat.rsplit_once(')').is_some_and(|(_, rest)| rest.trim_start().starts_with('Z')))
}

/// Processes that work in the directory.
fn processes_that_mention(directory: &Path) -> Vec<PathBuf> {
    fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .map(|entry| entry.path())
        .filter(|process| fs::read_link(process.join("cwd")).is_ok_and(|cwd| cwd.starts_with(directory)))
        .collect()
}

fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !condition() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        #[expect(clippy::disallowed_methods, reason = "these tests have no runtime to hold up")]
        thread::sleep(Duration::from_millis(20));
    }
}
