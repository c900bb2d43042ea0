//! The words everybody uses: identifiers, environments, seeds, verdicts, states, tallies; the one rule of which addresses a stranger
//! may make us connect to; the one of what looks like a secret; and the one of which revisions are the same.
//!
//! No I/O, nothing async, no dependency on another crate of the workspace. What a service stores or sends is built from these
//! types, so that a uid cannot be passed where a cycle is wanted and an out-of-range value cannot come into being.

mod address;
mod environment;
mod evidence;
mod ids;
mod revision;
mod secret;
mod seed;
mod state;
mod tally;
mod verdict;

pub use address::{AddressRefusal, check_address};
pub use environment::{
    ALIASES, CATALOGUE, Catalogued, DEFAULT_ENVIRONMENTS, EnvId, EnvIdError, catalogued, default_environments,
    family_environments,
};
pub use evidence::{Evidence, Required, TooLittle};
pub use ids::{BlockNumber, CycleId, ExecutorId, ExecutorIdError, Hotkey, HotkeyError, MinerUid, TaskId};
pub use revision::same_revision;
pub use secret::{NOT_SHOWN, looks_like_secret, shown_path};
pub use seed::{CycleSecret, CycleSecretError, EpisodeSeed};
pub use state::{CycleState, TaskState, UnknownState};
pub use tally::{Outcome, OutcomeError, Outcomes};
pub use verdict::{Cause, UnknownCause, UnknownVerdict, Verdict};
