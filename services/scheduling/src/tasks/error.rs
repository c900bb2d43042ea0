//! Why a call about tasks fails.

use kinitro_chassis::{ErrorCode, status, status_with};
use kinitro_queue::QueueError;
use tonic::Status;

use kinitro_database::is_outage;

/// Why a call about tasks fails. What is wrong with a single result is no error: it is listed in the answer.
#[derive(Debug, thiserror::Error)]
pub enum TaskError {
    /// A field of the request is malformed.
    #[error("{field} {problem}")]
    Invalid {
        /// The field's name on the wire.
        field: &'static str,
        /// What is wrong, and what would be right.
        problem: String,
    },
    /// No cycle has this id.
    #[error("there is no such cycle")]
    CycleNotFound,
    /// It needs a running cycle.
    #[error("the cycle is {state}, not running")]
    CycleNotRunning {
        /// What it is instead.
        state: String,
    },
    /// Postgres failed or was not reached.
    #[error("the database failed: {0}; check that Postgres runs and that its schema is up to date")]
    Database(#[from] sqlx::Error),
    /// Redis failed or was not reached.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// A row holds what this program never writes.
    #[error("stored data is not usable: {0}")]
    Corrupt(String),
}

impl From<TaskError> for Status {
    fn from(error: TaskError) -> Self {
        let message = error.to_string();
        match error {
            TaskError::Invalid { field, .. } => {
                status_with(ErrorCode::InvalidArgument, "INVALID_ARGUMENT", message, [("field", field.to_owned())])
            }
            TaskError::CycleNotFound => status(ErrorCode::NotFound, "CYCLE_NOT_FOUND", message),
            TaskError::CycleNotRunning { .. } => status(ErrorCode::FailedPrecondition, "CYCLE_NOT_RUNNING", message),
            TaskError::Database(cause) if is_outage(&cause) || lost_a_race(&cause) => {
                tracing::warn!(error = %cause, "postgres was not reached");
                status(ErrorCode::Unavailable, "DATABASE_UNAVAILABLE", "postgres was not reached; retry with back-off")
            }
            TaskError::Queue(cause) => {
                tracing::warn!(error = %cause, "redis was not reached");
                status(ErrorCode::Unavailable, "QUEUE_UNAVAILABLE", "redis was not reached; retry with back-off")
            }
            TaskError::Database(_) | TaskError::Corrupt(_) => {
                tracing::error!(error = message, "a call about tasks failed");
                status(ErrorCode::Internal, "INTERNAL", "scheduling failed; its log has the reason")
            }
        }
    }
}

/// Class 40: a deadlock or a serialization failure. Nothing was changed; the same call will do.
fn lost_a_race(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Database(error) if error.code().is_some_and(|code| code.starts_with("40")))
}
