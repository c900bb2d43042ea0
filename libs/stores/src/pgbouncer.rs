//! A PgBouncer in front of a private Postgres, for tests: operators run one, and it keeps sessions in two ways.

use std::{
    fs,
    net::TcpStream,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use nix::sys::signal::Signal;

use crate::{
    Postgres, StoresError, binaries,
    child::{Child, log_tail},
    free_port,
    privileges::Account,
    testing::TestDir,
};

const NAME: &str = "pgbouncer";
const READY_WITHIN: Duration = Duration::from_secs(60);

/// A running PgBouncer. It lives as long as this value.
#[derive(Debug)]
pub struct PgBouncer {
    port: u16,
    child: Child,
    _directory: TestDir,
}

impl PgBouncer {
    pub(crate) fn start(postgres: &Postgres, pool_mode: &str, pool_size: u32) -> Result<Self, StoresError> {
        let directory = TestDir::new()?;
        let account = Account::choose(&["postgres", "nobody"])?;
        let home = directory.path().join(NAME);
        account.prepare(&home)?;
        let port = free_port().map_err(StoresError::io("find a free port"))?;
        let settings = home.join("pgbouncer.ini");
        fs::write(&settings, settings_of(postgres, port, pool_mode, pool_size))
            .and_then(|()| fs::set_permissions(&settings, fs::Permissions::from_mode(0o644)))
            .map_err(StoresError::io(format!("write {}", settings.display())))?;
        let log = home.join("pgbouncer.log");
        let mut command = account.command(&binaries::pgbouncer()?, Some("KILL"))?;
        command.arg(&settings).current_dir(&home);
        let child = Child::start(NAME, command, &log)?;
        ready(&child, port, &log)?;
        Ok(Self { port, child, _directory: directory })
    }

    /// The URL of a database behind it. It asks for no password: it is there for as long as a test.
    pub fn url_of(&self, database: &str) -> String {
        format!("postgres://kinitro@127.0.0.1:{}/{database}", self.port)
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        if let Err(error) = self.child.stop(Signal::SIGTERM, Duration::from_secs(5)) {
            tracing::error!(%error, "pgbouncer was left behind");
        }
    }
}

fn settings_of(postgres: &Postgres, port: u16, pool_mode: &str, pool_size: u32) -> String {
    format!(
        "[databases]\n* = host=127.0.0.1 port={} user=kinitro password={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
         auth_type = any\npool_mode = {pool_mode}\ndefault_pool_size = {pool_size}\nunix_socket_dir =\nlogfile =\npidfile =\n",
        postgres.port(),
        postgres.password(),
    )
}

fn ready(child: &Child, port: u16, log: &Path) -> Result<(), StoresError> {
    let deadline = Instant::now() + READY_WITHIN;
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        if let Some(status) = child.status() {
            return Err(StoresError::StartFailed { server: NAME, status: status.to_string(), log: log_tail(log) });
        }
        if Instant::now() > deadline {
            let seconds = READY_WITHIN.as_secs();
            return Err(StoresError::NotReady { server: NAME, port, seconds, log: log_tail(log) });
        }
        thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}
