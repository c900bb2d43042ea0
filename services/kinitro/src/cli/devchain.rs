//! The development chain.

use std::path::PathBuf;

use clap::{ArgAction, Args};
use serde::Serialize;

use super::{Listen, is_false};

/// `kinitro devchain`.
#[derive(Debug, Args)]
pub struct DevchainArgs {
    #[command(flatten)]
    pub listen: Listen,
    #[command(flatten)]
    pub flags: DevchainFlags,
}

/// Flags that are fields of the development chain's configuration.
#[derive(Debug, Default, Args, Serialize)]
pub struct DevchainFlags {
    /// The runtime version whose metadata is served: 461, or 419 for clients of before spec 439.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spec: Option<u32>,
    /// Who is registered: TOML with `netuid` and `[[neurons]]` of `uid`, `hotkey` (SS58 or //Name), `stake` (in rao) and
    /// `validator_permit` (true for who may set weights).
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed_file: Option<PathBuf>,
    /// Milliseconds between blocks; 0, with --control, for blocks on demand.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub block_ms: Option<u64>,
    /// Blocks between the best head and the finalized one.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finality_lag: Option<u32>,
    /// Serve the `dev_*` methods: advance and reorganise the chain, register hotkeys, set permits and hyperparameters, inject faults.
    #[arg(long, action = ArgAction::SetTrue)]
    #[serde(skip_serializing_if = "is_false")]
    pub control: bool,
    #[command(flatten)]
    pub subnet: SubnetFlags,
}

/// Flags that are hyperparameters of the development chain's subnet.
#[derive(Debug, Default, Args, Serialize)]
pub struct SubnetFlags {
    /// Weights must be committed sealed and are revealed later, as on the real chain.
    #[arg(long, action = ArgAction::SetTrue)]
    #[serde(skip_serializing_if = "is_false")]
    pub commit_reveal: bool,
    /// Blocks of an epoch.
    #[arg(long, value_name = "BLOCKS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tempo: Option<u16>,
    /// Blocks between two settings of weights by one hotkey.
    #[arg(long, value_name = "BLOCKS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weights_rate_limit: Option<u64>,
}
