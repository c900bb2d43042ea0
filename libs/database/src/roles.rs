//! One role a schema, so that a service can neither touch another one's tables nor change its own.
//!
//! The owner of the schemas migrates them. A service's role logs in and reads and writes the rows of its schema; it owns nothing and is
//! no superuser, so `COPY … TO PROGRAM`, other schemas and the list of migrations are out of its reach.

use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use crate::{Address, DatabaseError, address::shown, connect, session::close};

/// Of the advisory lock under which roles change: concurrent changes of one role are an error in Postgres.
const LOCK: i64 = 0x6b69_6e69_726f_6c65;

/// The role of the service that owns a schema.
pub fn role_of(schema: &str) -> String {
    format!("kinitro_{schema}")
}

/// Gives each schema's role what it may do. Where a password is given the role is made first, or gets that password; one without a
/// password that does not exist is left out. The user must own the schemas, and be allowed to create roles where passwords are given.
pub async fn give_roles(address: impl Into<Address>, schemas: &[(&str, Option<&str>)]) -> Result<(), DatabaseError> {
    let address = address.into();
    let shown = shown(&address.options()?);
    let mut connection = connect(address).await?;
    let outcome = give(&mut connection, schemas).await;
    close(connection).await;
    match outcome {
        Ok(None) => Ok(()),
        Ok(Some(role)) => Err(DatabaseError::Superuser { role }),
        Err(source) => Err(DatabaseError::Postgres { address: shown, source }),
    }
}

/// All or nothing; answers the role that is a superuser, if one is.
async fn give(connection: &mut PgConnection, schemas: &[(&str, Option<&str>)]) -> Result<Option<String>, sqlx::Error> {
    let mut transaction = connection.begin().await?;
    sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(LOCK).execute(&mut *transaction).await?;
    for (schema, password) in schemas {
        let role = role_of(schema);
        let superuser: Option<bool> = sqlx::query_scalar("SELECT rolsuper FROM pg_roles WHERE rolname = $1")
            .bind(&role)
            .fetch_optional(&mut *transaction)
            .await?;
        match (superuser, password) {
            (Some(true), _) => return Ok(Some(role)),
            (None, None) => continue,
            (Some(false), None) => {}
            (existing, Some(password)) => {
                let verb = if existing.is_some() { "ALTER" } else { "CREATE" };
                let statement: String = sqlx::query_scalar("SELECT format($1 || ' ROLE %I LOGIN PASSWORD %L', $2, $3)")
                    .bind(verb)
                    .bind(&role)
                    .bind(password)
                    .fetch_one(&mut *transaction)
                    .await?;
                sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut *transaction).await?;
            }
        }
        let rights = format!(
            "GRANT USAGE ON SCHEMA {schema} TO {role};
             GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO {role};
             REVOKE INSERT, UPDATE, DELETE ON {schema}._sqlx_migrations FROM {role};
             GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA {schema} TO {role}"
        );
        sqlx::raw_sql(AssertSqlSafe(rights)).execute(&mut *transaction).await?;
    }
    transaction.commit().await?;
    Ok(None)
}
