//! What can go wrong with a private server, and what the reader can do about it.

use std::{io, path::PathBuf};

/// A private server could not be found, started or stopped.
#[derive(Debug, thiserror::Error)]
pub enum StoresError {
    /// A program is not installed.
    #[error("{program} is not installed; install it with: {install}")]
    MissingBinary {
        /// The program looked for.
        program: &'static str,
        /// The command that installs it.
        install: &'static str,
    },
    /// The cluster on disk was made by a Postgres that is not installed.
    #[error(
        "{directory} was made by Postgres {found}, but only {installed} is installed; install postgresql-{found} or choose another data directory"
    )]
    WrongVersion {
        /// The cluster's directory.
        directory: PathBuf,
        /// The major version that made it.
        found: String,
        /// The major version at hand.
        installed: String,
    },
    /// The unprivileged user may not enter a directory on the way to the data.
    #[error(
        "user {user} runs the server but cannot enter {directory}; run `chmod o+x {directory}` or choose another data directory"
    )]
    Unreachable {
        /// The directory that forbids it.
        directory: PathBuf,
        /// The user that needs to pass.
        user: String,
    },
    /// Started by root on a machine without any unprivileged user to run the server.
    #[error(
        "the server must not run as root and none of the users {candidates} exists; create one or start as an ordinary user"
    )]
    NoUnprivilegedUser {
        /// The user names tried.
        candidates: String,
    },
    /// Another process works in this data directory.
    #[error("{directory} is in use by process {pid}, started {started}; stop it or choose another data directory")]
    Held {
        /// The locked directory.
        directory: PathBuf,
        /// The holder's process id as it wrote it down.
        pid: String,
        /// When the holder took the directory.
        started: String,
    },
    /// A server from an earlier owner still runs in this directory.
    #[error("process {pid} still serves {directory}; stop it with `kill -INT {pid}` and try again")]
    StillServed {
        /// The server's directory.
        directory: PathBuf,
        /// The server's process id.
        pid: i32,
    },
    /// A server ended while it was being started.
    #[error("{server} ended while starting ({status}); its log ends with:\n{log}")]
    StartFailed {
        /// "postgres" or "redis".
        server: &'static str,
        /// How it ended.
        status: String,
        /// The last lines of its log.
        log: String,
    },
    /// A server did not become ready in time.
    #[error("{server} on 127.0.0.1:{port} was not ready within {seconds} s; its log ends with:\n{log}")]
    NotReady {
        /// "postgres" or "redis".
        server: &'static str,
        /// Where it was to listen.
        port: u16,
        /// How long we waited.
        seconds: u64,
        /// The last lines of its log.
        log: String,
    },
    /// A running server ended although nobody had asked it to.
    #[error("{server} on 127.0.0.1:{port} ended unexpectedly ({status}); its log ends with:\n{log}")]
    Ended {
        /// "postgres" or "redis".
        server: &'static str,
        /// Where it listened.
        port: u16,
        /// How it ended.
        status: String,
        /// The last lines of its log.
        log: String,
    },
    /// A server ignored every signal.
    #[error("{server} (process {pid}) did not end, not even when killed; look for a stuck disk")]
    WillNotStop {
        /// "postgres" or "redis".
        server: &'static str,
        /// Its process id.
        pid: i32,
    },
    /// A helper program failed.
    #[error("{program} failed ({status}): {output}")]
    ProgramFailed {
        /// The program, for example "initdb".
        program: String,
        /// Its exit status.
        status: String,
        /// What it said.
        output: String,
    },
    /// The operating system refused something.
    #[error("could not {action}: {source}")]
    Io {
        /// What was being done, with the path.
        action: String,
        /// The system's reason.
        source: io::Error,
    },
    /// The calling runtime is shutting down and took the waiting task with it.
    #[error("the wait for a server was cut short: {0}")]
    Interrupted(#[from] tokio::task::JoinError),
}

impl StoresError {
    /// For `map_err`: names the action that an I/O error interrupted.
    pub(crate) fn io<E: Into<io::Error>>(action: impl Into<String>) -> impl FnOnce(E) -> Self {
        let action = action.into();
        move |source| Self::Io { action, source: source.into() }
    }
}
