//! The tables of a service: which migrations make them, and whether a database has them.
//!
//! A service is ready when the migrations in its binary are those that the database has applied. Nothing is remembered about single
//! tables or columns: the list that `sqlx` keeps in the schema (`_sqlx_migrations`) is compared with the binary's own.
//!
//! A database may be *ahead*: a newer release migrated it. A migration whose file name begins with `compatible_` after its number (for
//! example `0010_compatible_note_of_miner.sql`) says that the release before it may go on to serve: it adds what older statements do not
//! touch and need not fill. Any other newer migration stops older services.

use std::collections::BTreeMap;

use sqlx::{
    AssertSqlSafe, PgConnection, PgExecutor,
    migrate::{Migration, Migrator},
};

use crate::{Address, Database, DatabaseError, connect, migrate, session::close};

/// How the description of a backward compatible migration begins. In a file name `_` stands for a space.
const COMPATIBLE: &str = "compatible ";
/// SQLSTATEs: no such table, no such schema.
const NOT_THERE: [&str; 2] = ["42P01", "3F000"];

/// The tables of one service.
#[derive(Debug)]
pub struct Schema {
    name: &'static str,
    migrator: Migrator,
}

/// How the tables of a database stand to those that a binary needs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SchemaState {
    /// The same.
    #[error("the schema `{0}` is up to date")]
    Ready(&'static str),
    /// Newer ones, with which the binary can work.
    #[error(
        "the schema `{schema}` is ahead of this release, by the migration {newest}; it is backward compatible, so this release goes on to serve"
    )]
    Ahead {
        /// The schema.
        schema: &'static str,
        /// Number and description of the newest migration.
        newest: String,
    },
    /// Newer ones, with which the binary cannot work.
    #[error(
        "the schema `{schema}` is ahead of this release, by the migration {first}, which is not backward compatible: run the release that \
         applied it"
    )]
    TooNew {
        /// The schema.
        schema: &'static str,
        /// Number and description of the first migration that is not compatible.
        first: String,
    },
    /// Older ones.
    #[error("the schema `{schema}` is not up to date, it lacks the migration {first}: run `kinitro db init`")]
    Behind {
        /// The schema.
        schema: &'static str,
        /// Number and description of the first migration that is missing.
        first: String,
    },
    /// None.
    #[error("the schema `{0}` is not there: run `kinitro db init`")]
    Missing(&'static str),
    /// Made by another file than the binary has under that number.
    #[error(
        "the schema `{schema}` was made by another version of the migration {first}: this is the database of another build, or the file was \
         changed after it was applied"
    )]
    Changed {
        /// The schema.
        schema: &'static str,
        /// Number and description of the first migration that differs.
        first: String,
    },
}

impl SchemaState {
    /// Whether a service can work with these tables.
    pub fn serves(&self) -> bool {
        matches!(self, Self::Ready(_) | Self::Ahead { .. })
    }
}

/// A migration that a database has applied.
struct Applied {
    description: String,
    checksum: Vec<u8>,
}

impl Schema {
    /// The schema of that name, made by these migrations.
    pub const fn new(name: &'static str, migrator: Migrator) -> Self {
        Self { name, migrator }
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// What makes the tables, in order.
    pub fn migrations(&self) -> &[Migration] {
        &self.migrator.migrations
    }

    /// Brings the tables up to date. Safe at any time and by several processes at once. Where a newer release was here first, nothing is
    /// done if that is compatible, and otherwise it is an error.
    pub async fn migrate(&self, address: impl Into<Address>) -> Result<(), DatabaseError> {
        let mut connection = connect(address).await?;
        let outcome = self.migrate_on(&mut connection).await;
        close(connection).await;
        outcome
    }

    async fn migrate_on(&self, connection: &mut PgConnection) -> Result<(), DatabaseError> {
        let failed = |source| DatabaseError::Migrate { schema: self.name, source };
        let applied = applied_by(self.name, &mut *connection).await.map_err(|error| failed(error.into()))?;
        match self.compare(applied.as_ref()) {
            state @ SchemaState::TooNew { .. } => Err(DatabaseError::Schema(state)),
            SchemaState::Ahead { newest, .. } => {
                tracing::warn!(schema = self.name, newest, "a newer release has migrated the schema: nothing is done");
                Ok(())
            }
            _ => migrate::run(connection, self.name, &self.migrator).await.map_err(failed),
        }
    }

    /// How the tables that a database has stand to these.
    pub async fn state(&self, executor: impl PgExecutor<'_>) -> Result<SchemaState, sqlx::Error> {
        Ok(self.compare(applied_by(self.name, executor).await?.as_ref()))
    }

    /// Whether the service can work with the database now, and why not. For health.
    pub async fn probe(&self, database: &Database) -> Result<(), String> {
        match self.state(database.pool()).await {
            Ok(state) if state.serves() => {
                database.note_once(&state);
                Ok(())
            }
            Ok(state) => Err(state.to_string()),
            Err(error) => Err(database.explain(&error)),
        }
    }

    fn compare(&self, applied: Option<&BTreeMap<i64, Applied>>) -> SchemaState {
        let schema = self.name;
        let Some(applied) = applied.filter(|applied| !applied.is_empty()) else { return SchemaState::Missing(schema) };
        for migration in self.migrator.iter() {
            let first = named(migration.version, &migration.description);
            match applied.get(&migration.version) {
                None => return SchemaState::Behind { schema, first },
                Some(other) if *other.checksum != *migration.checksum => return SchemaState::Changed { schema, first },
                Some(_) => {}
            }
        }
        let unknown = || applied.iter().filter(|(version, _)| !self.migrator.version_exists(**version));
        if let Some((version, first)) = unknown().find(|(_, applied)| !applied.description.starts_with(COMPATIBLE)) {
            return SchemaState::TooNew { schema, first: named(*version, &first.description) };
        }
        match unknown().next_back() {
            Some((version, newest)) => SchemaState::Ahead { schema, newest: named(*version, &newest.description) },
            None => SchemaState::Ready(schema),
        }
    }
}

/// As its file is called, without the ending.
fn named(version: i64, description: &str) -> String {
    format!("{version:04}_{}", description.replace(' ', "_"))
}

/// The migrations that a database has applied, by number; absent when it has no list of them.
async fn applied_by(
    schema: &str,
    executor: impl PgExecutor<'_>,
) -> Result<Option<BTreeMap<i64, Applied>>, sqlx::Error> {
    let statement =
        format!("SELECT version, description, checksum FROM {schema}._sqlx_migrations WHERE success ORDER BY version");
    let rows: Vec<(i64, String, Vec<u8>)> = match sqlx::query_as(AssertSqlSafe(statement)).fetch_all(executor).await {
        Ok(rows) => rows,
        Err(sqlx::Error::Database(error)) if error.code().is_some_and(|code| NOT_THERE.contains(&code.as_ref())) => {
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    let applied = |(version, description, checksum)| (version, Applied { description, checksum });
    Ok(Some(rows.into_iter().map(applied).collect()))
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use sqlx::{SqlSafeStr as _, migrate::MigrationType};

    use super::*;

    fn schema(descriptions: &[&'static str]) -> Schema {
        let migration = |(version, description): (i64, &&'static str)| {
            Migration::new(
                version,
                Cow::Borrowed(*description),
                MigrationType::Simple,
                "SELECT 1".into_sql_str(),
                false,
            )
        };
        Schema::new("test", Migrator::with_migrations((1..).zip(descriptions).map(migration).collect()))
    }

    /// What a binary with these migrations says to a database that has been given those.
    fn state(binary: &[&'static str], database: &[&'static str]) -> SchemaState {
        let of_database = schema(database);
        let applied = of_database.migrator.iter().map(|migration| {
            let (description, checksum) = (migration.description.clone().into_owned(), migration.checksum.to_vec());
            (migration.version, Applied { description, checksum })
        });
        schema(binary).compare(Some(&applied.collect()))
    }

    #[test]
    fn a_schema_is_ready_when_the_database_has_what_the_binary_has() {
        assert_eq!(state(&["a", "b"], &["a", "b"]), SchemaState::Ready("test"));
        assert_eq!(state(&["a", "b"], &[]), SchemaState::Missing("test"));
        assert_eq!(schema(&["a"]).compare(None), SchemaState::Missing("test"));
        let behind = state(&["a", "b", "c d"], &["a", "b"]);
        assert_eq!(behind, SchemaState::Behind { schema: "test", first: "0003_c_d".to_owned() });
        assert!(behind.to_string().ends_with("run `kinitro db init`") && !behind.serves());
    }

    #[test]
    fn a_newer_schema_serves_an_older_binary_only_when_each_migration_says_so() {
        let ahead = state(&["a"], &["a", "compatible b", "compatible c"]);
        assert_eq!(ahead, SchemaState::Ahead { schema: "test", newest: "0003_compatible_c".to_owned() });
        assert!(ahead.serves());
        let too_new = state(&["a"], &["a", "compatible b", "c", "compatible d"]);
        assert_eq!(too_new, SchemaState::TooNew { schema: "test", first: "0003_c".to_owned() });
        assert!(!too_new.serves());
    }

    #[test]
    fn a_migration_that_was_changed_after_it_was_applied_is_named() {
        let mut applied = BTreeMap::new();
        applied.insert(1, Applied { description: "a".to_owned(), checksum: vec![1, 2, 3] });
        let changed = schema(&["a"]).compare(Some(&applied));
        assert_eq!(changed, SchemaState::Changed { schema: "test", first: "0001_a".to_owned() });
        assert!(!changed.serves());
    }
}
