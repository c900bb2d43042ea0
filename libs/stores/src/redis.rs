//! A private Redis.
//!
//! Durable servers keep an append-only file. Readiness is asked of the server itself, which also tells its process
//! id, so a foreign server on the same port cannot be mistaken for ours.

use std::{
    io::{self, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    process::Command,
    time::Duration,
};

use nix::sys::signal::Signal;

use crate::{
    Durability, StoresError, binaries,
    password::write_private,
    server::{Kind, Server, Site},
};

const ANSWER_WITHIN: Duration = Duration::from_secs(1);
const ANSWER_BYTES: u64 = 64 << 10;
/// What must not stand in an argument.
const SETTINGS: &str = "redis.conf";

/// A private Redis server. Its directory holds the append-only file and `redis.log`.
pub type Redis = Server<RedisKind>;

/// What makes a server a Redis.
#[derive(Debug)]
pub struct RedisKind;

impl Kind for RedisKind {
    const NAME: &'static str = "redis";
    const USERS: &'static [&'static str] = &["redis", "nobody"];
    const STOP: Signal = Signal::SIGTERM;

    fn address(port: u16) -> String {
        format!("redis://127.0.0.1:{port}/0")
    }

    fn url(port: u16, password: &str) -> String {
        format!("redis://:{password}@127.0.0.1:{port}/0")
    }

    fn prepare(site: &Site) -> Result<(), StoresError> {
        site.password.keep(&site.directory)?;
        let path = site.directory.join(SETTINGS);
        write_private(&path, &format!("requirepass {}\n", site.password.reveal()))?;
        site.account.give(&path)
    }

    fn command(site: &Site) -> Result<Command, StoresError> {
        // What Redis acknowledged it has handed to the kernel, so a kill loses nothing that a polite signal would keep.
        let mut command = site.account.command(&binaries::redis_server()?, Some("KILL"))?;
        let append = if site.durability == Durability::Durable { "yes" } else { "no" };
        command
            .arg(SETTINGS)
            .args(["--bind", "127.0.0.1", "--port", &site.port.to_string(), "--daemonize", "no"])
            .args(["--appendonly", append, "--save", "", "--dir"])
            .arg(&site.directory);
        Ok(command)
    }

    fn is_ready(site: &Site, pid: i32) -> bool {
        answers(site, pid).unwrap_or(false)
    }
}

/// Whether the server on the site's port is the process `pid` and has loaded its data.
fn answers(site: &Site, pid: i32) -> io::Result<bool> {
    let mut stream = TcpStream::connect_timeout(&SocketAddr::from((Ipv4Addr::LOCALHOST, site.port)), ANSWER_WITHIN)?;
    stream.set_read_timeout(Some(ANSWER_WITHIN))?;
    stream.set_write_timeout(Some(ANSWER_WITHIN))?;
    // Redis closes the connection after QUIT, which ends the answer. PING is refused while data is loading.
    let asked = format!("AUTH {}\r\nINFO server\r\nPING\r\nQUIT\r\n", site.password.reveal());
    stream.write_all(asked.as_bytes())?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES).read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer);
    let own = format!("process_id:{pid}");
    Ok(answer.lines().any(|line| line == own) && answer.lines().any(|line| line == "+PONG"))
}
