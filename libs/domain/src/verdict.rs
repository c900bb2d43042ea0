//! How an episode ended, and what decided it.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// The end of an episode. Every episode has exactly one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The environment said that the task was solved. Counts for the miner.
    Success,
    /// The step limit came first, or the physics became unstable under the policy's actions. Counts.
    Failure,
    /// The policy timed out, refused, or answered something invalid. Counts as a failure, with the evidence kept.
    PolicyFault,
    /// Executor, simulator, or network on our side. Does not count: the episode is played again, within the attempt limit.
    InfrastructureFault,
}

impl Verdict {
    /// The name on the wire and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
            Self::PolicyFault => "policy_fault",
            Self::InfrastructureFault => "infrastructure_fault",
        }
    }

    /// Whether the result is the miner's and final.
    pub fn counts(self) -> bool {
        self != Self::InfrastructureFault
    }
}

/// Why a text is no [`Verdict`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown verdict: expected success, failure, policy_fault or infrastructure_fault")]
pub struct UnknownVerdict;

impl FromStr for Verdict {
    type Err = UnknownVerdict;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::Success, Self::Failure, Self::PolicyFault, Self::InfrastructureFault]
            .into_iter()
            .find(|verdict| verdict.as_str() == text)
            .ok_or(UnknownVerdict)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

macro_rules! causes {
    ($($(#[$doc:meta])* $name:ident = $text:literal => $verdict:ident),+ $(,)?) => {
        /// What decided a verdict. Each cause belongs to exactly one verdict.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Cause {
            $($(#[$doc])* $name),+
        }

        impl Cause {
            /// All causes.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The name on the wire, in metrics and in the database.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text),+
                }
            }

            /// The verdict that follows from it.
            pub fn verdict(self) -> Verdict {
                match self {
                    $(Self::$name => Verdict::$verdict),+
                }
            }
        }
    };
}

causes! {
    /// The environment reported success.
    Environment = "environment" => Success,
    /// The step limit came before success.
    StepLimit = "step_limit" => Failure,
    /// The policy's actions drove the physics to numbers that MuJoCo refuses. The same actions in the same scene do so on every
    /// executor, so playing it again would bring nothing, and not counting it would let a policy choose the scenes that count.
    PhysicsUnstable = "physics_unstable" => Failure,
    /// No answer to `/act` or `/reset`, or to a message of a stream, within the action timeout.
    ActionTimeout = "action_timeout" => PolicyFault,
    /// The policy's answers, each in time, took longer than the evaluation timeout together.
    EpisodeTimeout = "episode_timeout" => PolicyFault,
    /// Not played: the policy's answers in the episodes before had used up the time that a miner has in a cycle.
    TimeBudgetExceeded = "time_budget_exceeded" => PolicyFault,
    /// An answer with an HTTP status other than 2xx, or the end of a stream with a gRPC status other than OK.
    HttpStatus = "http_status" => PolicyFault,
    /// A redirect; none is followed.
    Redirect = "redirect" => PolicyFault,
    /// An answer that is no JSON, no message, or not of the documented shape.
    InvalidResponse = "invalid_response" => PolicyFault,
    /// An answer larger than the limit.
    ResponseTooLarge = "response_too_large" => PolicyFault,
    /// An action with the wrong number of components, or a missing member.
    ActionShape = "action_shape" => PolicyFault,
    /// An action with NaN or an infinity.
    ActionNotFinite = "action_not_finite" => PolicyFault,
    /// The connection broke after the policy had been reached in this episode.
    ConnectionClosed = "connection_closed" => PolicyFault,
    /// The committed endpoint is no URL that may be called.
    EndpointRefused = "endpoint_refused" => PolicyFault,
    /// The policy could not be reached at the start of the episode. It may be the network on our side, so the episode is tried again;
    /// when every attempt ends so although our network worked, it counts as the miner's failure.
    PolicyUnreachable = "policy_unreachable" => InfrastructureFault,
    /// The simulation reported an error.
    Simulator = "simulator" => InfrastructureFault,
    /// Images were asked for and no renderer could be had.
    Renderer = "renderer" => InfrastructureFault,
    /// The executor died, drained, or stopped sending heartbeats.
    LeaseLost = "lease_lost" => InfrastructureFault,
    /// The executor ran into an error of its own, a step that does not end included.
    Executor = "executor" => InfrastructureFault,
}

impl FromStr for Cause {
    type Err = UnknownCause;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.iter().copied().find(|cause| cause.as_str() == text).ok_or(UnknownCause)
    }
}

/// Why a text is no [`Cause`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown cause: see kinitro_domain::Cause for the list")]
pub struct UnknownCause;

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_read_back() {
        for (i, cause) in Cause::ALL.iter().enumerate() {
            assert_eq!(cause.as_str().parse(), Ok(*cause));
            assert!(Cause::ALL[..i].iter().all(|other| other.as_str() != cause.as_str()));
            assert_eq!(cause.verdict().as_str().parse(), Ok(cause.verdict()));
        }
    }
}
