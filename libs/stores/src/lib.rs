//! Private Postgres and Redis servers as child processes, for `kinitro up` and for tests.
//!
//! A server belongs to the process that started it: it listens on 127.0.0.1 only, keeps everything in its own
//! directory, and ends with its owner, even when the owner is killed without a chance to clean up. Hidden contracts:
//!
//! - Postgres refuses to run as root. Started by root, both servers run as an unprivileged user who must be able to
//!   reach the data directory; a parent directory that forbids this is an error that names it.
//! - Every user of the machine can reach 127.0.0.1: each server demands a password, which is kept in `password` of its directory,
//!   readable by the owner alone. Servers from before there were passwords get one at their next start.
//! - Children get a process group of their own, so Ctrl-C in a terminal reaches only the owner, who drains first.
//! - The kernel ties "end with the parent" to the *thread* that forked. Each server therefore has a dedicated thread
//!   that starts it and waits on it for as long as it lives.

#![expect(
    clippy::disallowed_methods,
    reason = "servers are started and stopped on threads of their own, never on the runtime's"
)]

mod binaries;
mod child;
mod data_dir;
mod error;
mod password;
mod pgbouncer;
mod port;
mod postgres;
mod privileges;
mod redis;
mod server;
pub mod testing;

pub use data_dir::DataDir;
pub use error::StoresError;
pub use port::free_port;
pub use postgres::Postgres;
pub use privileges::postgres_can_reach;
pub use redis::Redis;
pub use server::Server;

/// Whether a server must survive the loss of power.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// What was acknowledged is on the disk.
    Durable,
    /// Fast and forgetful, for tests. A killed process loses nothing that Postgres acknowledged; a machine may.
    Volatile,
}
