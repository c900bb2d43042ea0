//! Which subnet, and which key signs: what every command that writes on the chain asks for.

use std::path::PathBuf;

use clap::Args;
use kinitro_domain::Hotkey;

use super::secret::{Never, NotAnArgument};

/// A subnet of a network.
#[derive(Debug, Args)]
pub struct SubnetArgs {
    /// Subnet UID.
    #[arg(long, env = "KINITRO_NETUID")]
    pub netuid: u16,
    /// Bittensor network: finney, test, local, or a ws(s) URL.
    #[arg(long, env = "KINITRO_NETWORK", default_value = "finney")]
    pub network: String,
}

/// A hotkey: a Bittensor wallet, or its bare secret where there is no wallet.
#[derive(Debug, Args)]
pub struct WalletArgs {
    /// Wallet name [default: KINITRO_WALLET_NAME, or default].
    #[arg(long, value_name = "NAME")]
    pub wallet_name: Option<String>,
    /// Name of the hotkey in the wallet [default: KINITRO_HOTKEY_NAME, or default].
    #[arg(long, value_name = "NAME")]
    pub hotkey_name: Option<String>,
    /// Where wallets are [default: ~/.bittensor/wallets].
    #[arg(long, value_name = "DIR")]
    pub wallet_path: Option<PathBuf>,
    /// A file with the hotkey's seed (64 hex digits) or mnemonic, instead of a wallet. The variable KINITRO_HOTKEY_SEED, which holds
    /// the secret itself, does the same.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["wallet_name", "hotkey_name", "wallet_path"])]
    pub hotkey_seed_file: Option<PathBuf>,
    /// Refused.
    #[arg(long, hide = true, value_parser = NotAnArgument("write it into a file for --hotkey-seed-file, or set KINITRO_HOTKEY_SEED"))]
    pub hotkey_seed: Option<Never>,
}

/// An address with a valid checksum.
pub fn hotkey(text: &str) -> Result<Hotkey, String> {
    let hotkey = Hotkey::try_from(text.to_owned()).map_err(|error| error.to_string())?;
    kinitro_chain::account_of(&hotkey).map_err(|error| error.to_string())?;
    Ok(hotkey)
}
