//! What is done when no miner succeeded in any episode.

use kinitro_domain::MinerUid;
use serde::{Deserialize, Serialize};

/// The setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoSuccess {
    /// The cycle publishes no weights: those of before stand.
    Keep,
    /// The whole weight goes to `burn_uid`.
    Burn,
    /// Whatever the scheme says: `published-1` pays every miner by its place in the order of commitments.
    Published,
}

impl NoSuccess {
    /// As it is stored and published.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Keep => "keep",
            Self::Burn => "burn",
            Self::Published => "published",
        }
    }
}

/// The setting with what it needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WithoutSuccess {
    Keep,
    Burn(MinerUid),
    Published,
}

impl WithoutSuccess {
    pub fn name(self) -> NoSuccess {
        match self {
            Self::Keep => NoSuccess::Keep,
            Self::Burn(_) => NoSuccess::Burn,
            Self::Published => NoSuccess::Published,
        }
    }

    /// As a cycle recorded it.
    pub fn recorded(name: &str, burn_uid: Option<MinerUid>) -> Option<Self> {
        match (name, burn_uid) {
            ("keep", _) => Some(Self::Keep),
            ("burn", Some(burn_uid)) => Some(Self::Burn(burn_uid)),
            ("published", _) => Some(Self::Published),
            _ => None,
        }
    }
}
