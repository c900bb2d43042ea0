//! The settings of ingestion: section `[ingestion]`, variables `KINITRO_SCHEDULER_*` (the guide's names, from when the scheduler
//! read the chain itself).

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Which chain, which subnet, which keys.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The Postgres database; also in SQLAlchemy's spelling, `postgresql+asyncpg://`.
    pub database_url: String,
    /// `finney`, `test`, `local`, or the ws(s) URL of a node.
    pub network: String,
    /// The subnet.
    pub netuid: u16,
    /// The X25519 private key that opens sealed endpoints, 64 hex digits.
    pub backend_private_key: Option<String>,
    /// A file that holds it.
    pub backend_private_key_file: Option<PathBuf>,
    /// Without a new finalized block for so many seconds, the service reports the chain as lost.
    pub chain_stale_seconds: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            database_url: "postgres://kinitro@127.0.0.1:5432/kinitro".to_owned(),
            network: "finney".to_owned(),
            netuid: 1,
            backend_private_key: None,
            backend_private_key_file: None,
            chain_stale_seconds: 300,
        }
    }
}

impl Config {
    /// Whether the settings make sense together. The message names the field, what is wrong, and what to do.
    pub fn validate(&self) -> Result<(), String> {
        if self.backend_private_key.is_some() && self.backend_private_key_file.is_some() {
            return Err("backend_private_key and backend_private_key_file are both set: keep one of them".to_owned());
        }
        if self.chain_stale_seconds == 0 {
            return Err("chain_stale_seconds is 0: set it to at least the time between two blocks, e.g. 300".to_owned());
        }
        Ok(())
    }
}
