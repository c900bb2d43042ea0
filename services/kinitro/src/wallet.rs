//! The hotkey that signs: a Bittensor wallet's, or a bare secret from a file or a variable, for containers.
//!
//! Flags go before the variable. The secret is never printed and never an argument.

use std::{env, path::Path};

use anyhow::{Context as _, Result, anyhow, bail};
use kinitro_chain::{ChainError, Signer, Wallet};
use kinitro_domain::{Hotkey, shown_path};
use zeroize::Zeroizing;

use crate::cli::WalletArgs;

/// The variable that holds a hotkey's secret.
const SEED: &str = "KINITRO_HOTKEY_SEED";
/// Names of wallets and hotkeys that nobody named.
const DEFAULT: &str = "default";

enum Source<'a> {
    File(&'a Path),
    Variable(Zeroizing<String>),
    Wallet(Wallet),
}

/// The key pair that signs.
pub fn signer(args: &WalletArgs) -> Result<Signer> {
    match source(args)? {
        Source::File(path) => Signer::from_file(path)
            .with_context(|| format!("{} must hold a seed of 64 hex digits or a mnemonic", shown_path(path))),
        Source::Variable(secret) => {
            Signer::from_secret(&secret).with_context(|| format!("the variable {SEED} cannot be used"))
        }
        Source::Wallet(wallet) => wallet.signer().map_err(|error| elsewhere(&error)),
    }
}

/// Its address; of a wallet, without reading the secret.
pub fn hotkey(args: &WalletArgs) -> Result<Hotkey> {
    match source(args)? {
        Source::Wallet(wallet) => wallet.hotkey().map_err(|error| elsewhere(&error)),
        _ => Ok(signer(args)?.hotkey()),
    }
}

fn elsewhere(error: &ChainError) -> anyhow::Error {
    anyhow!(
        "{error}; --wallet-name, --hotkey-name and --wallet-path choose another one, --hotkey-seed-file or {SEED} a bare secret"
    )
}

fn source(args: &WalletArgs) -> Result<Source<'_>> {
    if let Some(path) = &args.hotkey_seed_file {
        return Ok(Source::File(path));
    }
    let named = args.wallet_name.is_some() || args.hotkey_name.is_some() || args.wallet_path.is_some();
    if !named && let Some(secret) = env::var_os(SEED).filter(|secret| !secret.is_empty()) {
        // What is no text must not be quoted either.
        let Ok(secret) = secret.into_string() else { bail!("the variable {SEED} is no text") };
        return Ok(Source::Variable(Zeroizing::new(secret)));
    }
    let name = |given: &Option<String>, variable: &str| {
        let said = || env::var(variable).ok().filter(|name| !name.is_empty());
        given.clone().or_else(said).unwrap_or_else(|| DEFAULT.to_owned())
    };
    let mut wallet =
        Wallet::new(name(&args.wallet_name, "KINITRO_WALLET_NAME"), name(&args.hotkey_name, "KINITRO_HOTKEY_NAME"));
    if let Some(path) = &args.wallet_path {
        wallet.path.clone_from(path);
    }
    Ok(Source::Wallet(wallet))
}
