//! What private servers have in common: start on a directory and a port, readiness, restart, kill, stop.

use std::{
    fmt::Debug,
    fs,
    marker::PhantomData,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use nix::sys::signal::Signal;

use crate::{
    Durability, StoresError,
    child::{Child, log_since, log_tail},
    free_port,
    password::{self, Password},
    privileges::Account,
    testing::TestDir,
};

const READY_WITHIN: Duration = Duration::from_secs(60);
const STOP_WITHIN: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(10);
const PORT_ATTEMPTS: usize = 5;

/// What makes a server the one it is.
pub trait Kind: Debug + Send + Sync + Sized + 'static {
    /// "postgres" or "redis".
    const NAME: &'static str;
    /// Who runs it when we are root; the first that exists.
    const USERS: &'static [&'static str];
    /// Ends it politely: nothing that it acknowledged is lost.
    const STOP: Signal;

    /// The server's main database, without credentials.
    fn address(port: u16) -> String;

    /// The same with credentials that may do everything.
    fn url(port: u16, password: &str) -> String;

    /// Brings the directory into a state from which the server can start.
    fn prepare(site: &Site) -> Result<(), StoresError>;

    /// The program with its settings. It runs in the site's directory.
    fn command(site: &Site) -> Result<Command, StoresError>;

    /// Whether the process `pid`, and not a foreign server on the same port, takes connections.
    fn is_ready(site: &Site, pid: i32) -> bool;

    /// Whether a start that ended with this log would work a moment later.
    fn is_passing(log: &str) -> bool {
        let _ = log;
        false
    }
}

/// Where and how a server runs.
#[derive(Debug, Clone)]
pub struct Site {
    pub(crate) directory: PathBuf,
    pub(crate) port: u16,
    pub(crate) durability: Durability,
    pub(crate) account: Account,
    pub(crate) password: Password,
}

/// A server that lives as long as this value, and never longer than this process. See [`crate::Postgres`] and
/// [`crate::Redis`].
#[derive(Debug)]
pub struct Server<K: Kind> {
    site: Site,
    child: Option<Child>,
    /// Removed after the server has been stopped.
    temporary: Option<TestDir>,
    kind: PhantomData<K>,
}

impl<K: Kind> Server<K> {
    /// Starts a durable server on `data_dir`, which is made and set up on the first start. Without a port it takes a
    /// free one. Returns when the server takes connections.
    pub async fn start(data_dir: &Path, port: Option<u16>) -> Result<Self, StoresError> {
        Self::start_with(data_dir, port, Durability::Durable).await
    }

    /// `start` with a choice of durability.
    pub async fn start_with(data_dir: &Path, port: Option<u16>, durability: Durability) -> Result<Self, StoresError> {
        let directory = data_dir.to_owned();
        tokio::task::spawn_blocking(move || Self::start_blocking(&directory, port, durability)).await?
    }

    /// `start_with` for callers without a runtime.
    pub(crate) fn start_blocking(
        directory: &Path,
        port: Option<u16>,
        durability: Durability,
    ) -> Result<Self, StoresError> {
        let account = Account::choose(K::USERS)?;
        account.prepare(directory)?;
        let shown = directory.display();
        let directory = directory.canonicalize().map_err(StoresError::io(format!("resolve {shown}")))?;
        let password = Password::of(&directory)?;
        let site = Site { directory, port: 0, durability, account, password };
        let mut server = Self { site, child: None, temporary: None, kind: PhantomData };
        if let Some(port) = port {
            server.site.port = port;
            server.launch()?;
            return Ok(server);
        }
        for attempt in 1.. {
            server.site.port = free_port().map_err(StoresError::io("find a free port"))?;
            match server.launch() {
                // Another process was quicker to bind it.
                Err(StoresError::StartFailed { log, .. })
                    if attempt < PORT_ATTEMPTS && log.contains("Address already in use") => {}
                outcome => return outcome.map(|()| server),
            }
        }
        unreachable!("the loop ends by returning")
    }

    /// Ties the life of a directory to the server's.
    pub(crate) fn keep(&mut self, directory: TestDir) {
        self.temporary = Some(directory);
    }

    /// The URL of the server's main database, with the password of the user who may do everything:
    /// `postgres://kinitro:<password>@127.0.0.1:<port>/kinitro`, `redis://:<password>@127.0.0.1:<port>/0`.
    pub fn url(&self) -> String {
        K::url(self.site.port, self.site.password.reveal())
    }

    /// The same without user and password, to be shown.
    pub fn address(&self) -> String {
        K::address(self.site.port)
    }

    /// The file with the password.
    pub fn password_file(&self) -> PathBuf {
        password::file(&self.site.directory)
    }

    pub(crate) fn password(&self) -> &str {
        self.site.password.reveal()
    }

    /// The port on 127.0.0.1; it stays the same over restarts.
    pub fn port(&self) -> u16 {
        self.site.port
    }

    /// The server's process id, `None` when it has been killed.
    pub fn pid(&self) -> Option<i32> {
        self.child.as_ref().map(Child::pid)
    }

    /// Where the server writes its log.
    pub fn log(&self) -> PathBuf {
        self.site.directory.join(format!("{}.log", K::NAME))
    }

    /// Stops the server; what it acknowledged is kept.
    pub async fn stop(mut self) -> Result<(), StoresError> {
        tokio::task::spawn_blocking(move || self.stop_blocking()).await?
    }

    /// Stops the server if it runs, and starts it again on the same directory and port.
    pub async fn restart(&mut self) -> Result<(), StoresError> {
        // The process moves through the blocking thread and back. A restart that is cancelled leaves a stopped server.
        let (site, child) = (self.site.clone(), self.child.take());
        let mut moved = Self { site, child, temporary: None, kind: PhantomData };
        let (mut moved, outcome) = tokio::task::spawn_blocking(move || {
            let outcome = moved.stop_blocking().and_then(|()| moved.launch());
            (moved, outcome)
        })
        .await?;
        self.child = moved.child.take();
        outcome
    }

    /// Kills the server as a crash would, for chaos tests; `restart` brings it back.
    pub fn kill(&mut self) {
        if let Some(child) = self.child.take()
            && let Err(error) = child.kill()
        {
            tracing::error!(%error, "the server survived being killed");
        }
    }

    /// Resolves when the server has ended, with the reason, however it was ended. A supervisor's task should wait for
    /// this or for the drain, whichever comes first, because the server is stopped after the drain.
    pub fn ended(&self) -> impl Future<Output = StoresError> + Send + use<K> {
        let ended = self.child.as_ref().map(Child::ended);
        let (port, log) = (self.site.port, self.log());
        async move {
            let status = match ended {
                Some(ended) => ended.await.to_string(),
                None => "it was not running".to_owned(),
            };
            StoresError::Ended { server: K::NAME, port, status, log: log_tail(&log) }
        }
    }

    fn stop_blocking(&mut self) -> Result<(), StoresError> {
        self.child.take().map_or(Ok(()), |child| child.stop(K::STOP, STOP_WITHIN).map(drop))
    }

    fn launch(&mut self) -> Result<(), StoresError> {
        K::prepare(&self.site)?;
        let deadline = Instant::now() + READY_WITHIN;
        loop {
            match self.launch_once(deadline) {
                Err(StoresError::StartFailed { log, .. }) if K::is_passing(&log) && Instant::now() < deadline => {
                    thread::sleep(POLL * 10);
                }
                Err(error) => return Err(error),
                Ok(child) => {
                    self.child = Some(child);
                    return Ok(());
                }
            }
        }
    }

    fn launch_once(&self, deadline: Instant) -> Result<Child, StoresError> {
        let log = self.log();
        let log_start = fs::metadata(&log).map_or(0, |meta| meta.len());
        let mut command = K::command(&self.site)?;
        command.current_dir(&self.site.directory);
        let child = Child::start(K::NAME, command, &log)?;
        loop {
            if let Some(status) = child.status() {
                let (server, status, log) = (K::NAME, status.to_string(), log_since(&log, log_start));
                return Err(StoresError::StartFailed { server, status, log });
            }
            if K::is_ready(&self.site, child.pid()) {
                return Ok(child);
            }
            if Instant::now() > deadline {
                child.kill()?;
                let (server, port, seconds) = (K::NAME, self.site.port, READY_WITHIN.as_secs());
                return Err(StoresError::NotReady { server, port, seconds, log: log_since(&log, log_start) });
            }
            thread::sleep(POLL);
        }
    }
}

impl<K: Kind> Drop for Server<K> {
    fn drop(&mut self) {
        if let Err(error) = self.stop_blocking() {
            tracing::error!(%error, "a server was left behind");
        }
    }
}
