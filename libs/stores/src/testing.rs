//! Servers for tests: one Postgres and one Redis a test process, started when first asked for.
//!
//! Every function panics when a server cannot be had, with the command that installs it: a test without its store has
//! failed. The shared servers end with the process (the kernel sees to it); their directories are swept by the next
//! test process that starts one, because a static value is never dropped. Nothing here is tied to the runtime of the
//! test that happened to come first.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    },
};

use nix::fcntl::{Flock, FlockArg};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

pub use crate::pgbouncer::PgBouncer;
use crate::{DataDir, Durability, Postgres, Redis, StoresError};

static POSTGRES: OnceLock<Postgres> = OnceLock::new();
static REDIS: OnceLock<Redis> = OnceLock::new();
static DATABASES: AtomicU64 = AtomicU64::new(0);

/// The URL of a new, empty database on this process's Postgres.
pub async fn fresh_database() -> String {
    let server = blocking(|| POSTGRES.get_or_init(start_postgres)).await;
    let name = format!("test_{}", DATABASES.fetch_add(1, Ordering::Relaxed));
    let created = async {
        let mut connection = PgConnection::connect(&server.url_of("postgres")).await?;
        connection.execute(AssertSqlSafe(format!("CREATE DATABASE {name} TEMPLATE template0"))).await?;
        connection.close().await
    };
    if let Err(error) = created.await {
        panic!("could not create database {name} on {}: {error}", server.url());
    }
    server.url_of(&name)
}

/// The URL of this process's Redis. Tests share it: use a random key prefix.
pub async fn redis_url() -> String {
    blocking(|| REDIS.get_or_init(start_redis)).await.url()
}

/// A Postgres for a test that restarts or kills it. Its directory goes with it.
pub async fn private_postgres() -> Postgres {
    blocking(start_postgres).await
}

/// A Redis for a test that restarts, flushes or kills it. Its directory goes with it.
pub async fn private_redis() -> Redis {
    blocking(start_redis).await
}

/// A PgBouncer before this process's Postgres, in a pool mode (`session`, `transaction`, `statement`), with so many connections to each
/// database at most. What follows the last `/` of [`fresh_database`] is the name of a database.
pub async fn pgbouncer(pool_mode: &'static str, pool_size: u32) -> PgBouncer {
    blocking(move || {
        let postgres = POSTGRES.get_or_init(start_postgres);
        PgBouncer::start(postgres, pool_mode, pool_size)
            .unwrap_or_else(|error| panic!("tests need a pgbouncer: {error}"))
    })
    .await
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(value) => value,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

fn start_postgres() -> Postgres {
    let start = || {
        let directory = TestDir::new()?;
        let mut server = Postgres::start_blocking(&directory.path().join("postgres"), None, Durability::Volatile)?;
        server.keep(directory);
        Ok::<_, StoresError>(server)
    };
    start().unwrap_or_else(|error| panic!("tests need a private Postgres: {error}"))
}

fn start_redis() -> Redis {
    let start = || {
        let directory = TestDir::new()?;
        let mut server = Redis::start_blocking(&directory.path().join("redis"), None, Durability::Volatile)?;
        server.keep(directory);
        Ok::<_, StoresError>(server)
    };
    start().unwrap_or_else(|error| panic!("tests need a private Redis: {error}"))
}

/// A locked directory for one server of one test process, removed when dropped, or swept later when the process ended
/// without dropping it.
#[derive(Debug)]
pub(crate) struct TestDir {
    lock: Option<DataDir>,
    path: PathBuf,
}

impl TestDir {
    pub(crate) fn new() -> Result<Self, StoresError> {
        let base = std::env::temp_dir().join(format!("kinitro-tests-{}", nix::unistd::geteuid()));
        fs::create_dir_all(&base).map_err(StoresError::io(format!("create {}", base.display())))?;
        fs::set_permissions(&base, fs::Permissions::from_mode(0o755))
            .map_err(StoresError::io(format!("open {} to the servers", base.display())))?;
        // Held over creation and sweep, so that nobody sweeps a directory between its creation and its lock.
        let sweep = base.join("sweep.lock");
        let file = fs::File::create(&sweep).map_err(StoresError::io(format!("open {}", sweep.display())))?;
        let _sweep = Flock::lock(file, FlockArg::LockExclusive)
            .map_err(|(_, errno)| StoresError::io(format!("lock {}", sweep.display()))(errno))?;
        sweep_abandoned(&base);
        let path = tempfile::Builder::new()
            .prefix("server-")
            .permissions(fs::Permissions::from_mode(0o755))
            .tempdir_in(&base)
            .map_err(StoresError::io(format!("create a directory in {}", base.display())))?
            .keep();
        Ok(Self { lock: Some(DataDir::lock(&path)?), path })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for TestDir {
    fn drop(&mut self) {
        self.lock = None;
        remove(&self.path);
    }
}

fn sweep_abandoned(base: &Path) {
    let Ok(entries) = fs::read_dir(base) else { return };
    for path in entries.flatten().map(|entry| entry.path()).filter(|path| path.is_dir()) {
        if DataDir::lock(&path).is_ok() {
            remove(&path);
        }
    }
}

/// What a dying server still holds open now, the next sweep removes.
fn remove(path: &Path) {
    if let Err(error) = fs::remove_dir_all(path) {
        tracing::debug!(path = %path.display(), %error, "a test directory is left to the next sweep");
    }
}
