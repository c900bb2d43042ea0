//! The states of tasks and cycles, and their names in the database and on the wire.

use std::{fmt, str::FromStr};

/// Why a text names no state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown {kind} state `{text}`")]
pub struct UnknownState {
    kind: &'static str,
    text: String,
}

macro_rules! states {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $($(#[$variant_doc:meta])* $variant:ident = $text:literal),+ $(,)?) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$variant_doc])* $variant),+
        }

        impl $name {
            /// All states.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The name in the database and on the wire.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text),+
                }
            }
        }

        impl FromStr for $name {
            type Err = UnknownState;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::ALL
                    .iter()
                    .copied()
                    .find(|state| state.as_str() == text)
                    .ok_or_else(|| UnknownState { kind: $kind, text: text.to_owned() })
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

states! {
    /// Where a task is.
    TaskState, "task",
    /// Waits for an executor.
    Pending = "pending",
    /// Leased by an executor.
    Assigned = "assigned",
    /// Has a result that counts.
    Completed = "completed",
    /// Used its attempts (a dead letter), or was open when its cycle was closed.
    Failed = "failed",
}

impl TaskState {
    /// Whether a completion can still be recorded.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Pending | Self::Assigned)
    }
}

states! {
    /// Where a cycle is.
    CycleState, "cycle",
    /// Its tasks are being played.
    Running = "running",
    /// Closed for results; its tallies are being scored.
    Scoring = "scoring",
    /// Scored, every task completed or a dead letter.
    Completed = "completed",
    /// Scored after the cycle timeout, with a reported gap.
    TimedOut = "timed_out",
    /// Ended without being scored, because too little was played: the weights of before stand.
    Unscored = "unscored",
    /// Ended by an operator, not scored.
    Cancelled = "cancelled",
}

impl CycleState {
    /// Whether nothing about it changes any more.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Completed | Self::TimedOut | Self::Unscored | Self::Cancelled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_read_back_from_their_names() {
        for state in TaskState::ALL {
            assert_eq!(state.as_str().parse(), Ok(*state));
        }
        for state in CycleState::ALL {
            assert_eq!(state.as_str().parse(), Ok(*state));
        }
        assert!("lost".parse::<TaskState>().is_err());
    }
}
