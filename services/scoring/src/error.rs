//! What can go wrong in setting the service up.

/// Why the service did not start or its schema is not up to date.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A setting is missing or out of its range.
    #[error("scoring: {0}")]
    Config(String),
    /// The address of the database cannot be used, or the schema could not be brought up to date.
    #[error("scoring: {0}")]
    Address(#[from] kinitro_database::DatabaseError),
    /// Postgres could not be reached or refused.
    #[error("scoring: postgres: {0}; check that it runs and that database_url is right")]
    Database(#[from] sqlx::Error),
    /// There is nothing to replay.
    #[error("scoring: cycle {0} was not scored; `kinitro db status` shows the newest")]
    UnknownCycle(u64),
    /// The server could not be set up.
    #[error("scoring: {0}")]
    Chassis(#[from] kinitro_chassis::ChassisError),
}
