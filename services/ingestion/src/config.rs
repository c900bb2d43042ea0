//! The settings of ingestion: section `[ingestion]`, variables `KINITRO_SCHEDULER_*` (the guide's names, from when the scheduler
//! read the chain itself).

use std::{fmt, path::PathBuf};

use kinitro_database::Address;
use serde::{Deserialize, Serialize};

/// Which chain, which subnet, which keys. `Debug` shows no secret.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The Postgres database; also in SQLAlchemy's spelling, `postgresql+asyncpg://`.
    pub database_url: String,
    /// Who asks the database, in place of the URL's user.
    pub database_user: Option<String>,
    /// The password, as it is, in place of the URL's.
    pub database_password: Option<String>,
    /// A file that holds the password.
    pub database_password_file: Option<PathBuf>,
    /// `finney`, `test`, `local`, or the ws(s) URL of a node.
    pub network: String,
    /// The subnet.
    pub netuid: u16,
    /// The X25519 private key that opens sealed endpoints, 64 hex digits.
    pub backend_private_key: Option<String>,
    /// A file that holds it.
    pub backend_private_key_file: Option<PathBuf>,
    /// The private key before it, while there are miners that sealed for that one.
    pub backend_previous_private_key: Option<String>,
    /// A file that holds it.
    pub backend_previous_private_key_file: Option<PathBuf>,
    /// Take endpoints at private and loopback addresses: for development, and for operators who run policies in their
    /// own network. The executor has a setting of the same name.
    pub allow_private_endpoints: bool,
    /// Without a new finalized block for so many seconds, the service reports the chain as lost.
    pub chain_stale_seconds: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            database_url: "postgres://kinitro@127.0.0.1:5432/kinitro".to_owned(),
            database_user: None,
            database_password: None,
            database_password_file: None,
            network: "finney".to_owned(),
            netuid: 1,
            backend_private_key: None,
            backend_private_key_file: None,
            backend_previous_private_key: None,
            backend_previous_private_key_file: None,
            allow_private_endpoints: false,
            chain_stale_seconds: 300,
        }
    }
}

impl Config {
    /// Where the database is, and who asks.
    pub(crate) fn database(&self) -> Address {
        Address::new(&self.database_url).with(
            self.database_user.clone(),
            self.database_password.clone(),
            self.database_password_file.clone(),
        )
    }

    /// Whether the settings make sense together. The message names the field, what is wrong, and what to do.
    pub fn validate(&self) -> Result<(), String> {
        self.database().check().map_err(|problem| format!("database_url cannot be used: {problem}"))?;
        if self.backend_private_key.is_some() && self.backend_private_key_file.is_some() {
            return Err("backend_private_key and backend_private_key_file are both set: keep one of them".to_owned());
        }
        let previous = [self.backend_previous_private_key.is_some(), self.backend_previous_private_key_file.is_some()];
        if previous == [true, true] {
            let both =
                "backend_previous_private_key and backend_previous_private_key_file are both set: keep one of them";
            return Err(both.to_owned());
        }
        if previous.contains(&true) && self.backend_private_key.is_none() && self.backend_private_key_file.is_none() {
            return Err(
                "a previous private key is set and no current one: set backend_private_key_file, or move it there"
                    .to_owned(),
            );
        }
        if self.chain_stale_seconds == 0 {
            return Err("chain_stale_seconds is 0: set it to at least the time between two blocks, e.g. 300".to_owned());
        }
        Ok(())
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config").field("network", &self.network).field("netuid", &self.netuid).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_contradict_each_other_are_refused() {
        let (key, file) = (Some("00".repeat(32)), Some(PathBuf::from("key")));
        let current = Config { backend_private_key: key.clone(), ..Config::default() };
        for (config, why) in [
            (Config { backend_private_key_file: file.clone(), ..current.clone() }, "are both set"),
            (
                Config {
                    backend_previous_private_key: key.clone(),
                    backend_previous_private_key_file: file.clone(),
                    ..current.clone()
                },
                "are both set",
            ),
            (Config { backend_previous_private_key: key, ..Config::default() }, "no current one"),
            (Config { backend_previous_private_key_file: file.clone(), ..Config::default() }, "no current one"),
        ] {
            let refused = config.validate().expect_err("a contradiction");
            assert!(refused.contains(why), "{refused}");
            assert!(!format!("{config:?}").contains("0000"), "{config:?}");
        }
        assert_eq!(Config { backend_previous_private_key_file: file, ..current }.validate(), Ok(()));
    }
}
