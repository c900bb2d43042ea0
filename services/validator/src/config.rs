//! The settings of the validator: section `[validator]`, variables `KINITRO_VALIDATOR_*`.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use kinitro_chain::Wallet;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use url::Url;

use crate::Error;

/// Whose weights, on which subnet, signed by which hotkey.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The backend that publishes the weights, `http(s)://host[:port][/path]`. Needed.
    pub backend_url: String,
    /// `finney`, `test`, `local`, or the ws(s) URL of a node.
    pub network: String,
    /// The subnet. Needed; 0, the root network, takes no weights.
    pub netuid: u16,
    /// The mechanism of the subnet whose weights are set; a subnet has at least mechanism 0.
    pub mechanism: u8,
    /// The wallet below `wallet_path`.
    pub wallet_name: String,
    /// The hotkey of that wallet.
    pub hotkey_name: String,
    /// Where the wallets lie; a leading `~` is the home folder.
    pub wallet_path: PathBuf,
    /// The hotkey's secret in place of a wallet: a mnemonic phrase, or a seed of 64 hex digits. Never a flag.
    pub hotkey_seed: Option<String>,
    /// A file that holds it, for example a mounted secret.
    pub hotkey_seed_file: Option<PathBuf>,
    /// How often the backend is asked and the chain looked at.
    pub poll_interval_seconds: u64,
    /// The longest that one answer of the backend may take, its body included.
    pub request_timeout_seconds: u64,
    /// Weights that were computed at a block further back than this are not set; 7200 blocks are a day.
    pub max_weights_age_blocks: u64,
    /// Unchanged weights are set again after so many blocks; by default half of the subnet's activity cutoff.
    pub refresh_blocks: Option<u64>,
    /// The version key that is sent with the weights; by default the one that the subnet asks for.
    pub version_key: Option<u64>,
    /// Where the memory lies that a restart needs; by default `$XDG_STATE_HOME/kinitro/validator`.
    pub state_dir: Option<PathBuf>,
    /// The address of `/health` and `/metrics`; empty for neither.
    pub listen: String,
    /// `/health` turns to 503 when something kept the weights from being set for so long.
    pub unhealthy_after_seconds: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            backend_url: String::new(),
            network: "finney".to_owned(),
            netuid: 0,
            mechanism: 0,
            wallet_name: "default".to_owned(),
            hotkey_name: "default".to_owned(),
            wallet_path: PathBuf::from("~/.bittensor/wallets"),
            hotkey_seed: None,
            hotkey_seed_file: None,
            poll_interval_seconds: 60,
            request_timeout_seconds: 10,
            max_weights_age_blocks: 7200,
            refresh_blocks: None,
            version_key: None,
            state_dir: None,
            listen: "127.0.0.1:9101".to_owned(),
            unhealthy_after_seconds: 1800,
        }
    }
}

/// Shows everything but the secret.
impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("backend_url", &self.backend_url)
            .field("network", &self.network)
            .field("netuid", &self.netuid)
            .field("mechanism", &self.mechanism)
            .field("wallet_name", &self.wallet_name)
            .field("hotkey_name", &self.hotkey_name)
            .field("wallet_path", &self.wallet_path)
            .field("hotkey_seed", &self.hotkey_seed.as_ref().map(|_| "***"))
            .field("hotkey_seed_file", &self.hotkey_seed_file)
            .field("state_dir", &self.state_dir)
            .field("listen", &self.listen)
            .finish_non_exhaustive()
    }
}

impl Config {
    /// Whether the settings make sense together. The message names the field, what is wrong, and what to do.
    ///
    /// # Errors
    /// The first field at fault.
    pub fn validate(&self) -> Result<(), String> {
        self.weights_url()?;
        if self.netuid == 0 {
            return Err("netuid is not set: give the number of the subnet, e.g. --netuid 26".to_owned());
        }
        if self.hotkey_seed.is_some() && self.hotkey_seed_file.is_some() {
            return Err("hotkey_seed and hotkey_seed_file are both set: keep one of them".to_owned());
        }
        if self.hotkey_seed.is_none() && self.hotkey_seed_file.is_none() {
            self.wallet().check().map_err(|error| format!("wallet_name or hotkey_name cannot be used: {error}"))?;
        }
        for (field, seconds, most) in [
            ("poll_interval_seconds", self.poll_interval_seconds, 3600),
            ("request_timeout_seconds", self.request_timeout_seconds, 300),
            ("unhealthy_after_seconds", self.unhealthy_after_seconds, 7 * 86400),
        ] {
            if !(1..=most).contains(&seconds) {
                return Err(format!("{field} is {seconds}: set it to 1 to {most}"));
            }
        }
        if self.max_weights_age_blocks == 0 {
            return Err("max_weights_age_blocks is 0, so no weights would ever be young enough: \
                        set it to the blocks of some evaluations, e.g. 7200 for a day"
                .to_owned());
        }
        if self.refresh_blocks == Some(0) {
            return Err("refresh_blocks is 0: leave it out for half of the subnet's activity cutoff, or set it to \
                        some thousand blocks"
                .to_owned());
        }
        Ok(())
    }

    /// The wallet that the hotkey is in, when no seed is given.
    pub(crate) fn wallet(&self) -> Wallet {
        let (path, name, hotkey) = (self.wallet_path.clone(), self.wallet_name.clone(), self.hotkey_name.clone());
        Wallet { path, name, hotkey }
    }

    /// Where the newest weights are.
    pub(crate) fn weights_url(&self) -> Result<Url, String> {
        let given = self.backend_url.trim();
        if given.is_empty() {
            return Err(
                "backend_url is not set: give the address of the backend, e.g. https://backend.example".to_owned()
            );
        }
        // A URL that cannot be parsed may hold a password anywhere, so it is not quoted.
        let mut url = Url::parse(given).map_err(|error| {
            format!("backend_url is no URL ({error}): write it as https://host or http://host:port")
        })?;
        if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
            return Err("backend_url must begin with https:// or http:// and name a host".to_owned());
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("backend_url holds a user name or a password: remove it, weights are public".to_owned());
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err("backend_url has a `?` or a `#`: leave away what follows the path".to_owned());
        }
        let path = format!("{}/v1/weights/latest", url.path().trim_end_matches('/'));
        url.set_path(&path);
        Ok(url)
    }

    /// The folder of the validator's memory.
    pub(crate) fn state_folder(&self) -> Result<PathBuf, String> {
        if let Some(folder) = &self.state_dir {
            return expanded(folder);
        }
        let base = match std::env::var_os("XDG_STATE_HOME").map(PathBuf::from).filter(|path| path.is_absolute()) {
            Some(base) => base,
            None => expanded(Path::new("~/.local/state"))?,
        };
        Ok(base.join("kinitro/validator"))
    }

    /// Binds the address of `/health` and `/metrics`; none when `listen` is empty.
    ///
    /// # Errors
    /// [`Error::Listen`].
    pub async fn listener(&self) -> Result<Option<TcpListener>, Error> {
        let address = self.listen.trim();
        if address.is_empty() {
            return Ok(None);
        }
        let bound = match address.parse() {
            Ok(address) => kinitro_chassis::listen(address),
            // A name.
            Err(_) => TcpListener::bind(address).await,
        };
        bound.map(Some).map_err(|source| Error::Listen { address: address.to_owned(), source })
    }
}

/// The path with a leading `~` replaced by the home folder.
fn expanded(path: &Path) -> Result<PathBuf, String> {
    let Ok(below_home) = path.strip_prefix("~") else { return Ok(path.to_owned()) };
    match std::env::var_os("HOME").filter(|home| !home.is_empty()) {
        Some(home) => Ok(PathBuf::from(home).join(below_home)),
        None => Err(format!("{} needs the variable HOME, which is not set: give a whole path", path.display())),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn valid() -> Config {
        Config { backend_url: "https://backend.example".to_owned(), netuid: 26, ..Config::default() }
    }

    #[test]
    fn what_is_left_out_has_a_default_but_the_backend_and_the_subnet() {
        assert_eq!(valid().validate(), Ok(()));
        assert!(Config::default().validate().unwrap_err().contains("backend_url is not set"));
        assert!(Config { netuid: 0, ..valid() }.validate().unwrap_err().contains("netuid is not set"));
    }

    #[test]
    fn a_setting_that_cannot_work_is_refused_by_name() {
        let seeds =
            Config { hotkey_seed: Some("hunter2".to_owned()), hotkey_seed_file: Some(PathBuf::from("/x")), ..valid() };
        for (config, field) in [
            (seeds, "hotkey_seed_file"),
            (Config { hotkey_name: "../other".to_owned(), ..valid() }, "hotkey_name"),
            (Config { wallet_name: String::new(), ..valid() }, "wallet_name"),
            (Config { poll_interval_seconds: 0, ..valid() }, "poll_interval_seconds"),
            (Config { request_timeout_seconds: 0, ..valid() }, "request_timeout_seconds"),
            (Config { unhealthy_after_seconds: 0, ..valid() }, "unhealthy_after_seconds"),
            (Config { max_weights_age_blocks: 0, ..valid() }, "max_weights_age_blocks"),
            (Config { refresh_blocks: Some(0), ..valid() }, "refresh_blocks"),
        ] {
            let refused = config.validate().expect_err(field);
            assert!(refused.contains(field) && !refused.contains("hunter2"), "{refused}");
        }
    }

    #[test]
    fn the_backend_has_one_address_in_every_spelling() {
        for given in ["https://b.example/base", "https://b.example/base/", " https://b.example:443/base "] {
            let config = Config { backend_url: given.to_owned(), ..valid() };
            assert_eq!(config.weights_url().unwrap().as_str(), "https://b.example/base/v1/weights/latest");
        }
        for given in [
            "backend.example",
            "ftp://b.example",
            "https://",
            "https://u:hunter2@b.example",
            "https://b.example/?a=b",
            "https://b.example/#a",
        ] {
            let refused = Config { backend_url: given.to_owned(), ..valid() }.validate().expect_err(given);
            assert!(refused.contains("backend_url") && !refused.contains("hunter2"), "{refused}");
        }
    }

    #[test]
    fn the_secret_is_not_shown() {
        let config = Config { hotkey_seed: Some("hunter2".to_owned()), ..valid() };
        let shown = format!("{config:?}");
        assert!(!shown.contains("hunter2") && shown.contains("***"), "{shown}");
    }
}
