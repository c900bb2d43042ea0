//! One connection, and what every session begins with.

use std::time::Duration;

use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection, postgres::PgConnectOptions};

use crate::{Address, DatabaseError, address::shown, pooler};

/// For a connection, with authentication.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// A connection of its own, for commands. Refused behind a pooler that shares its sessions.
pub async fn connect(address: impl Into<Address>) -> Result<PgConnection, DatabaseError> {
    let options = address.into().options()?;
    let mut connection = open(&options, CONNECT_LIMIT).await?;
    pooler::refuse_shared(&mut connection, &options).await?;
    Ok(connection)
}

pub(crate) async fn open(options: &PgConnectOptions, limit: Duration) -> Result<PgConnection, DatabaseError> {
    match tokio::time::timeout(limit, options.connect()).await {
        Ok(Ok(connection)) => Ok(connection),
        Ok(Err(source)) => Err(DatabaseError::Postgres { address: shown(options), source }),
        Err(_) => Err(DatabaseError::NoAnswer { address: shown(options), limit }),
    }
}

/// Ends it politely; one that is broken has ended.
pub(crate) async fn close(connection: PgConnection) {
    if let Err(error) = connection.close().await {
        tracing::debug!(%error, "a connection to postgres was not closed in peace");
    }
}

/// Sets limits for the whole session. Names and values are ours, never a caller's.
pub(crate) async fn limit(connection: &mut PgConnection, limits: &[(&'static str, String)]) -> Result<(), sqlx::Error> {
    let statements: Vec<String> = limits.iter().map(|(name, value)| format!("SET {name} = '{value}'")).collect();
    if statements.is_empty() {
        return Ok(());
    }
    sqlx::raw_sql(AssertSqlSafe(statements.join(";"))).execute(connection).await.map(drop)
}
