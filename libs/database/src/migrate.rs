//! Bringing a schema up to date with no more rights than that needs.

use sqlx::{
    AssertSqlSafe, PgConnection, SqlSafeStr as _,
    migrate::{MigrateError, Migrator},
};

/// Applies what is missing. Safe while others do the same. The right to create schemas is needed only where this one is missing:
/// Postgres asks for it even where `CREATE SCHEMA IF NOT EXISTS` has nothing to do, so that statement is left out then.
pub(crate) async fn run(
    connection: &mut PgConnection,
    schema: &'static str,
    migrator: &Migrator,
) -> Result<(), MigrateError> {
    let there: bool = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM pg_namespace WHERE nspname = $1)")
        .bind(schema)
        .fetch_one(&mut *connection)
        .await?;
    let statement = format!("CREATE SCHEMA IF NOT EXISTS {schema};");
    let mut migrations = migrator.migrations.clone().into_owned();
    for migration in &mut migrations {
        // By now the schema is there; the checksum stays that of the file.
        if migration.sql.as_str().contains(&statement) {
            migration.sql = AssertSqlSafe(migration.sql.as_str().replace(&statement, "")).into_sql_str();
        }
    }
    let mut migrator = Migrator::with_migrations(migrations);
    if !there {
        migrator.create_schema(schema);
    }
    migrator.dangerous_set_table_name(format!("{schema}._sqlx_migrations"));
    migrator.run(connection).await
}
