//! The pool of a service.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use sqlx::{PgPool, postgres::PgPoolOptions};

use crate::{
    Address, DatabaseError, SchemaState,
    address::shown,
    pooler,
    session::{close, limit, open},
};

/// How long a start waits to learn what is at the address. A database that is away is no reason not to start.
const START_LIMIT: Duration = Duration::from_secs(3);

/// What a service wants of its pool.
#[derive(Debug, Clone)]
pub struct PoolSettings {
    /// Who it is, as Postgres shows it.
    pub application: &'static str,
    /// The most connections.
    pub max_connections: u32,
    /// How long a call waits for one.
    pub acquire_limit: Duration,
    /// After how many seconds Postgres ends a transaction in which this process does nothing: one that is stopped, or whose machine is
    /// suspended, must not keep rows locked.
    pub standstill_seconds: u32,
}

/// Postgres as a service uses it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Database {
    pool: PgPool,
    address: Arc<str>,
    refusal: Arc<Mutex<Option<String>>>,
    noted: Arc<Mutex<Option<SchemaState>>>,
}

impl Database {
    /// A pool that connects when it is first used. The database need not be there yet; where it is, and shares its sessions, this is
    /// an error. One that comes later and does is refused by every call, and [`explain`](Self::explain) says so.
    pub async fn open(address: impl Into<Address>, settings: PoolSettings) -> Result<Self, DatabaseError> {
        let options = address.into().options()?.application_name(settings.application);
        let whole = Arc::new(AtomicBool::new(false));
        if let Ok(mut connection) = open(&options, START_LIMIT).await {
            match pooler::refuse_shared(&mut connection, &options).await {
                Ok(seen) => whole.store(seen, Ordering::Relaxed),
                Err(error @ DatabaseError::SharedSessions { .. }) => return Err(error),
                Err(error) => tracing::debug!(%error, "postgres is there and does not answer as it should"),
            }
            close(connection).await;
        }
        let refusal = Arc::new(Mutex::new(None));
        let (checked, session, noted) =
            (options.clone(), Arc::new(session(settings.standstill_seconds)), refusal.clone());
        let pool = PgPoolOptions::new()
            .max_connections(settings.max_connections)
            .acquire_timeout(settings.acquire_limit)
            .after_connect(move |connection, _| {
                let (options, session) = (checked.clone(), session.clone());
                let (whole, noted) = (whole.clone(), noted.clone());
                Box::pin(async move {
                    let begun = async {
                        if !whole.load(Ordering::Relaxed) {
                            let seen = pooler::refuse_shared(connection, &options).await.map_err(configuration)?;
                            whole.store(seen, Ordering::Relaxed);
                        }
                        limit(connection, &session).await
                    };
                    let outcome = begun.await;
                    *noted.lock().unwrap_or_else(PoisonError::into_inner) =
                        outcome.as_ref().err().map(ToString::to_string);
                    outcome
                })
            })
            .connect_lazy_with(options.clone());
        Ok(Self { pool, address: shown(&options).into(), refusal, noted: Arc::default() })
    }

    /// The pool.
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// Host and port, or the directory of the socket.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Logs that the tables are ahead, once.
    pub(crate) fn note_once(&self, state: &SchemaState) {
        let before = self.noted.lock().unwrap_or_else(PoisonError::into_inner).replace(state.clone());
        if before.as_ref() != Some(state) && matches!(state, SchemaState::Ahead { .. }) {
            tracing::warn!("{state}");
        }
    }

    /// An error of the pool in words, with the address, and with the reason why no session could begin, which the pool itself does not
    /// tell.
    pub fn explain(&self, error: &sqlx::Error) -> String {
        let refusal = self.refusal.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match (error, refusal) {
            (sqlx::Error::PoolTimedOut, Some(refusal)) => refusal,
            _ => format!("postgres at {}: {error}", self.address),
        }
    }
}

/// Of every session, `SET` when it begins: so that the locks of a process that stands still, or whose machine is gone, come free.
fn session(standstill_seconds: u32) -> Vec<(&'static str, String)> {
    vec![
        ("idle_in_transaction_session_timeout", format!("{standstill_seconds}s")),
        ("tcp_keepalives_idle", "30".to_owned()),
        ("tcp_keepalives_interval", "10".to_owned()),
        ("tcp_keepalives_count", "3".to_owned()),
    ]
}

fn configuration(error: DatabaseError) -> sqlx::Error {
    match error {
        DatabaseError::Postgres { source, .. } => source,
        error => sqlx::Error::Configuration(Box::new(error)),
    }
}
