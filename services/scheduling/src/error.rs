//! What can go wrong: while the service is set up, and while it answers.

use kinitro_chassis::{ErrorCode, status, status_with};
use kinitro_database::is_outage;
use kinitro_domain::CycleId;
use tonic::Status;

use crate::tasks::TaskError;

/// Why scheduling could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A setting is wrong.
    #[error("scheduling cannot start with these settings: {0}")]
    Config(String),
    /// The address of the database cannot be used, or the schema could not be brought up to date.
    #[error("scheduling: {0}")]
    Database(#[from] kinitro_database::DatabaseError),
    /// The work queue could not be set up.
    #[error(transparent)]
    Queue(#[from] kinitro_queue::QueueError),
    /// The server or a client could not be set up.
    #[error(transparent)]
    Chassis(#[from] kinitro_chassis::ChassisError),
}

/// Why a call about cycles is refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CycleError {
    #[error("cycle {0} is still open; wait for its end or cancel it")]
    CycleRunning(CycleId),
    #[error("another cycle was started at this moment; ask for it with GetCycle")]
    StartedElsewhere,
    #[error("the last cycle started less than an interval ago")]
    NotDue,
    #[error("no miner can be evaluated: of {registered} registered none is active; see ListMiners for the reasons")]
    NoMiners { registered: usize },
    #[error("env_families and env_ids leave no environment; widen one of them")]
    NoEnvironments,
    #[error("{field} {problem}")]
    Invalid { field: &'static str, problem: String },
    #[error("ingestion was not reached: {0}; check ingestion_url and that ingestion has read a block")]
    IngestionUnavailable(String),
    #[error("ingestion's list of miners cannot be evaluated: {0}")]
    MinersInconsistent(String),
    #[error("there is no such cycle")]
    NotFound,
    #[error("cycle {id} is {state}: it has ended")]
    NotRunning { id: CycleId, state: String },
    #[error(
        "cycle {id} is `{state}`, a state that this version of scheduling does not know: it leaves the cycle alone and starts none beside it; \
         bring all replicas to the newest version"
    )]
    UnknownState { id: CycleId, state: String },
    #[error("cycle {0} is being scored at this moment; try again in a minute unless it is completed then")]
    BeingScored(CycleId),
    #[error("cycle {0} is scored and its weights stand: it will end as soon as scheduling has heard of that")]
    Scored(CycleId),
    #[error("scoring did not say whether it has scored the cycle: {0}; check scoring_url and that scoring runs")]
    ScoringUnavailable(String),
    #[error(transparent)]
    Tasks(#[from] TaskError),
    #[error("the database failed: {0}")]
    Database(#[from] sqlx::Error),
    #[error("nothing was heard of postgres, scoring or ingestion for {0:?}; check the network to them")]
    Hangs(std::time::Duration),
    #[error("stored data is not usable: {0}")]
    Corrupt(String),
}

impl CycleError {
    /// A short name for logs and metrics.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::CycleRunning(_) | Self::StartedElsewhere | Self::NotDue => "CYCLE_RUNNING",
            Self::NoMiners { .. } => "NO_MINERS",
            Self::NoEnvironments => "NO_ENVIRONMENTS",
            Self::Invalid { .. } => "INVALID_ARGUMENT",
            Self::IngestionUnavailable(_) => "INGESTION_UNAVAILABLE",
            Self::MinersInconsistent(_) => "MINERS_INCONSISTENT",
            Self::NotFound => "CYCLE_NOT_FOUND",
            Self::NotRunning { .. } => "CYCLE_NOT_RUNNING",
            Self::UnknownState { .. } => "CYCLE_STATE_UNKNOWN",
            Self::BeingScored(_) => "CYCLE_BEING_SCORED",
            Self::Scored(_) => "CYCLE_SCORED",
            Self::ScoringUnavailable(_) => "SCORING_UNAVAILABLE",
            Self::Tasks(_) => "TASKS",
            Self::Hangs(_) => "HANGS",
            Self::Database(error) if is_outage(error) => "DATABASE_UNAVAILABLE",
            Self::Database(_) | Self::Corrupt(_) => "INTERNAL",
        }
    }
}

impl From<CycleError> for Status {
    fn from(error: CycleError) -> Self {
        let code = match error {
            CycleError::Tasks(error) => return error.into(),
            CycleError::CycleRunning(_)
            | CycleError::StartedElsewhere
            | CycleError::NotDue
            | CycleError::NoMiners { .. }
            | CycleError::NoEnvironments
            | CycleError::NotRunning { .. }
            | CycleError::UnknownState { .. }
            | CycleError::BeingScored(_)
            | CycleError::Scored(_) => ErrorCode::FailedPrecondition,
            CycleError::Invalid { field, .. } => {
                let named = [("field", field.to_owned())];
                return status_with(ErrorCode::InvalidArgument, error.reason(), error.to_string(), named);
            }
            CycleError::IngestionUnavailable(ref cause) => {
                tracing::warn!(error = cause, "ingestion was not reached");
                let message = "ingestion was not reached, or has read no block yet; retry with back-off";
                return status(ErrorCode::Unavailable, error.reason(), message);
            }
            CycleError::ScoringUnavailable(ref cause) => {
                tracing::warn!(error = cause, "scoring did not say whether it has a cycle");
                let message =
                    "scoring was not reached, so nobody knows whether it has scored the cycle; retry with back-off";
                return status(ErrorCode::Unavailable, error.reason(), message);
            }
            CycleError::Hangs(_) => ErrorCode::Unavailable,
            CycleError::NotFound => ErrorCode::NotFound,
            CycleError::Database(ref cause) if is_outage(cause) => {
                tracing::warn!(%error, "postgres was not reached");
                return status(
                    ErrorCode::Unavailable,
                    "DATABASE_UNAVAILABLE",
                    "postgres was not reached; retry with back-off",
                );
            }
            CycleError::MinersInconsistent(_) => ErrorCode::Internal,
            CycleError::Database(_) | CycleError::Corrupt(_) => {
                tracing::error!(%error, "a call about cycles failed");
                return status(ErrorCode::Internal, "INTERNAL", "scheduling failed; its log has the reason");
            }
        };
        status(code, error.reason(), error.to_string())
    }
}
