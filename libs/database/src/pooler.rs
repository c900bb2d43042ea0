//! Telling a pooler that shares its sessions from everything else.
//!
//! Postgres itself, and PgBouncer in session mode, give each client one server process until it leaves. Where two clients are seen on
//! the same process, or one client on two, the sessions are shared: statements prepared, limits set and locks taken by one client are
//! then another one's. Idle servers are handed out again at once, last used first, so a pooler without other load is found out by the
//! first comparison; with other load the comparisons are repeated.

use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection as _, PgConnection, postgres::PgConnectOptions};

use crate::{
    DatabaseError,
    address::shown,
    session::{close, open},
};

const ROUNDS: usize = 3;
/// A pooler whose servers are all taken lets the second client wait: that is no sign of shared sessions.
const LIMIT: Duration = Duration::from_secs(2);

/// Refuses the database when its sessions are seen to be shared, and tells whether that could be seen. `first` is a connection to it
/// that is not in a transaction.
pub(crate) async fn refuse_shared(first: &mut PgConnection, options: &PgConnectOptions) -> Result<bool, DatabaseError> {
    let mut second = match open(options, LIMIT).await {
        Ok(second) => second,
        Err(error) => {
            tracing::debug!(%error, "no second connection to see whether sessions are shared");
            return Ok(false);
        }
    };
    let compared = tokio::time::timeout(LIMIT * 2, compare(first, &mut second)).await;
    let address = shown(options);
    match compared {
        Ok(Ok(Seen::Own)) => {
            close(second).await;
            Ok(true)
        }
        // It may be in the middle of an answer, so it is dropped without a word.
        Ok(Ok(Seen::Nothing)) => Ok(false),
        Ok(Ok(Seen::Shared)) => Err(DatabaseError::SharedSessions { address }),
        Ok(Err(error)) if is_statement_mode(&error) => Err(DatabaseError::SharedSessions { address }),
        Ok(Err(source)) => Err(DatabaseError::Postgres { address, source }),
        Err(_) => Err(DatabaseError::NoAnswer { address, limit: LIMIT * 2 }),
    }
}

enum Seen {
    /// A server process was seen in two hands.
    Shared,
    /// Each had its own.
    Own,
    /// There was no second one to compare with.
    Nothing,
}

async fn compare(first: &mut PgConnection, second: &mut PgConnection) -> Result<Seen, sqlx::Error> {
    let own = process(first).await?;
    for _ in 0..ROUNDS {
        // In a transaction a pooler must leave the server with the client.
        let Ok(held) = tokio::time::timeout(LIMIT, second.begin()).await else { return Ok(Seen::Nothing) };
        let mut held = held?;
        let shared = process(&mut held).await? == own || process(first).await? != own;
        held.rollback().await?;
        if shared {
            return Ok(Seen::Shared);
        }
    }
    Ok(Seen::Own)
}

/// The server process, by the simple protocol: in statement mode no other is safe.
async fn process(connection: &mut PgConnection) -> Result<i32, sqlx::Error> {
    use sqlx::Row as _;
    let row = sqlx::raw_sql(AssertSqlSafe("SELECT pg_backend_pid()")).fetch_one(connection).await?;
    row.try_get(0)
}

/// PgBouncer's refusal of a transaction where every statement gets another server.
fn is_statement_mode(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Database(refusal) if refusal.message().contains("pooling mode"))
}
