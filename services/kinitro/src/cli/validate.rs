//! The validator.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::{
    Listen,
    secret::{Never, NotAnArgument},
};

/// `kinitro validate`.
#[derive(Debug, Args)]
pub struct ValidateArgs {
    #[command(flatten)]
    pub listen: Listen,
    #[command(flatten)]
    pub flags: ValidateFlags,
    /// Refused.
    #[arg(long, hide = true, value_parser = NotAnArgument("write it into a file for --hotkey-seed-file, or set KINITRO_VALIDATOR_HOTKEY_SEED"))]
    pub hotkey_seed: Option<Never>,
}

/// Flags that are fields of the validator's configuration.
#[derive(Debug, Default, Args, Serialize)]
pub struct ValidateFlags {
    /// The backend that publishes the weights.
    #[arg(long, value_name = "URL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backend_url: Option<String>,
    /// Subnet UID.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub netuid: Option<u16>,
    /// Bittensor network: finney, test, local, or a ws(s) URL.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network: Option<String>,
    /// Wallet name.
    #[arg(long, value_name = "NAME")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wallet_name: Option<String>,
    /// Name of the hotkey in the wallet.
    #[arg(long, value_name = "NAME")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hotkey_name: Option<String>,
    /// Where wallets are.
    #[arg(long, value_name = "DIR")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wallet_path: Option<PathBuf>,
    /// A file with the hotkey's seed (64 hex digits) or mnemonic, instead of a wallet. The variable KINITRO_VALIDATOR_HOTKEY_SEED, which
    /// holds the secret itself, does the same.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["wallet_name", "hotkey_name", "wallet_path"])]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hotkey_seed_file: Option<PathBuf>,
    /// Where the validator remembers, over a restart, what it accepted and what it sent.
    #[arg(long, value_name = "DIR")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state_dir: Option<PathBuf>,
    /// Seconds between two looks at the backend and the chain.
    #[arg(long = "poll-interval", value_name = "SECONDS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub poll_interval_seconds: Option<u64>,
}
