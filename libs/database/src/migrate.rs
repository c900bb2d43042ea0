//! Bringing a schema up to date with no more rights than that needs.

use std::borrow::Cow;

use sqlx::{
    AssertSqlSafe, PgConnection, SqlSafeStr as _,
    migrate::{MigrateError, Migrator},
};

use crate::{Address, DatabaseError, connect, session::close};

/// Brings a service's schema up to date. Safe while others do the same. The right to create schemas is needed only where this one is
/// missing: Postgres asks for it even where `CREATE SCHEMA IF NOT EXISTS` has nothing to do, so that statement is left out then.
pub async fn migrate(
    address: impl Into<Address>,
    schema: &'static str,
    migrator: Migrator,
) -> Result<(), DatabaseError> {
    let mut connection = connect(address).await?;
    let outcome = run(&mut connection, schema, migrator).await;
    close(connection).await;
    outcome.map_err(|source| DatabaseError::Migrate { schema, source })
}

async fn run(connection: &mut PgConnection, schema: &'static str, mut migrator: Migrator) -> Result<(), MigrateError> {
    let there: bool = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM pg_namespace WHERE nspname = $1)")
        .bind(schema)
        .fetch_one(&mut *connection)
        .await?;
    if !there {
        migrator.create_schema(schema);
    }
    let statement = format!("CREATE SCHEMA IF NOT EXISTS {schema};");
    let mut migrations = migrator.migrations.into_owned();
    for migration in &mut migrations {
        // By now the schema is there; the checksum stays that of the file.
        if migration.sql.as_str().contains(&statement) {
            migration.sql = AssertSqlSafe(migration.sql.as_str().replace(&statement, "")).into_sql_str();
        }
    }
    migrator.migrations = Cow::Owned(migrations);
    migrator.dangerous_set_table_name(format!("{schema}._sqlx_migrations"));
    migrator.run(connection).await
}
