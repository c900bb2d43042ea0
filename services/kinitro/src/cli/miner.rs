//! What miners do.

use std::path::PathBuf;

use clap::{ArgGroup, Args, Subcommand, ValueEnum};
use kinitro_domain::Hotkey;
use uuid::Uuid;

use super::{
    chain::{SubnetArgs, WalletArgs, hotkey},
    secret::{Never, NotAnArgument},
};

/// `kinitro miner …`.
#[derive(Debug, Subcommand)]
pub enum MinerAction {
    /// Commit a policy on the chain, in place of what the hotkey had committed.
    Commit(Box<CommitArgs>),
    /// Show what a hotkey has committed.
    ShowCommitment(ShowCommitmentArgs),
}

/// `kinitro miner commit`.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("where").required(true)))]
pub struct CommitArgs {
    /// The model repository, user/name.
    #[arg(long, value_name = "USER/NAME")]
    pub repo: String,
    /// Commit or tag of the repository. Of a whole commit hash the first 8 characters are committed.
    #[arg(long)]
    pub revision: String,
    /// Commit the whole hash. To a backend both forms are the same revision.
    #[arg(long)]
    pub full_revision: bool,
    /// The deployment that serves the policy.
    #[arg(long, short = 'd', value_name = "UUID", group = "where")]
    pub deployment_id: Option<Uuid>,
    /// The URL that serves the policy (http, https, grpc or grpcs), for local networks and hosts of one's own. Everybody can read it.
    #[arg(long, value_name = "URL", group = "where")]
    pub endpoint: Option<String>,
    #[command(flatten)]
    pub subnet: SubnetArgs,
    #[command(flatten)]
    pub wallet: WalletArgs,
    /// Seal the deployment, so that only the backend learns it.
    #[arg(long, short = 'e', conflicts_with = "endpoint")]
    pub encrypt: bool,
    /// Seal with the public key that this hotkey published (SS58). Without it and --backend-public-key the variable
    /// KINITRO_BACKEND_HOTKEY or KINITRO_BACKEND_PUBLIC_KEY says it.
    #[arg(long, short = 'b', value_name = "SS58", value_parser = hotkey, requires = "encrypt", conflicts_with_all = ["backend_public_key", "endpoint"])]
    pub backend_hotkey: Option<Hotkey>,
    /// Seal with this public key (64 hex digits).
    #[arg(long, value_name = "HEX", requires = "encrypt", conflicts_with = "endpoint")]
    pub backend_public_key: Option<String>,
    /// How to seal [default: bound].
    #[arg(long, value_enum, requires = "encrypt", conflicts_with = "endpoint")]
    pub sealed_form: Option<SealedForm>,
    /// Overwrite what the hotkey has committed, when that is a backend's public key.
    #[arg(long)]
    pub replace: bool,
    /// What was committed as JSON on stdout.
    #[arg(long)]
    pub json: bool,
}

/// The two sealed forms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SealedForm {
    /// For this subnet and hotkey alone: another miner who copies the commitment gains nothing.
    Bound,
    /// As older backends read it; a copy opens, too.
    Open,
}

/// `kinitro miner show-commitment`.
#[derive(Debug, Args)]
pub struct ShowCommitmentArgs {
    /// The hotkey (SS58); without it and --uid, the wallet's.
    #[arg(long, value_name = "SS58", value_parser = hotkey, conflicts_with = "uid")]
    pub hotkey: Option<Hotkey>,
    /// The hotkey that holds this uid of the subnet.
    #[arg(long)]
    pub uid: Option<u16>,
    #[command(flatten)]
    pub subnet: SubnetArgs,
    #[command(flatten)]
    pub wallet: WalletArgs,
    /// Open a sealed endpoint with the backend's private key.
    #[arg(long, value_name = "FILE")]
    pub private_key_file: Option<PathBuf>,
    /// Refused.
    #[arg(long, hide = true, value_parser = NotAnArgument("give --private-key-file"))]
    pub private_key: Option<Never>,
    /// As JSON on stdout.
    #[arg(long)]
    pub json: bool,
}
