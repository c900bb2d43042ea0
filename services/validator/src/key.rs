//! The hotkey's key: from a wallet, or from a secret that a container is given.

use kinitro_chain::Signer;
use zeroize::Zeroizing;

use crate::{Config, Error};

/// Takes the secret out of the settings, so that it lives no longer than needed.
pub fn signer(config: &mut Config) -> Result<Signer, Error> {
    if let Some(secret) = config.hotkey_seed.take().map(Zeroizing::new) {
        return Ok(Signer::from_secret(&secret)?);
    }
    if let Some(path) = &config.hotkey_seed_file {
        return Ok(Signer::from_file(path)?);
    }
    Ok(config.wallet().signer()?)
}
