//! Keys for sealed endpoints.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use kinitro_domain::Hotkey;
use uuid::Uuid;

use super::{
    chain::{SubnetArgs, WalletArgs, hotkey},
    secret::{Never, NotAnArgument},
};

/// `kinitro crypto …`.
#[derive(Debug, Subcommand)]
pub enum CryptoAction {
    /// Make an X25519 key pair, in two new files.
    GenerateKeypair(GenerateKeypairArgs),
    /// Commit the public key on the chain, so that miners can seal with `--backend-hotkey`.
    PublishPublicKey(PublishPublicKeyArgs),
    /// Show the public key that a backend committed.
    FetchPublicKey(FetchPublicKeyArgs),
    /// Show the public key of a private key.
    ShowPublicKey(PrivateKeyArgs),
    /// Seal a deployment and open it again, in both sealed forms: exit 1 when that fails.
    TestEncryption(TestEncryptionArgs),
}

/// `kinitro crypto generate-keypair`.
#[derive(Debug, Args)]
pub struct GenerateKeypairArgs {
    /// Name of the private key's file; the public key's gets `.pub`.
    #[arg(long, short = 'n', default_value = "backend", value_parser = key_name)]
    pub name: String,
    /// Where to put them [default: $XDG_CONFIG_HOME/kinitro/keys, or ~/.config/kinitro/keys].
    #[arg(long, short = 'o', value_name = "DIR")]
    pub output: Option<PathBuf>,
    /// Take the place of files that exist; the old private key is kept as NAME.previous.
    #[arg(long, short = 'f')]
    pub force: bool,
    /// Paths and public key as JSON on stdout.
    #[arg(long)]
    pub json: bool,
}

/// Where a private key is: a file, or one of the scheduler's variables.
#[derive(Debug, Args)]
pub struct PrivateKeyArgs {
    /// The private key's file. Without it KINITRO_SCHEDULER_BACKEND_PRIVATE_KEY_FILE names one, or
    /// KINITRO_SCHEDULER_BACKEND_PRIVATE_KEY holds the key.
    #[arg(long, short = 'f', value_name = "FILE")]
    pub private_key_file: Option<PathBuf>,
    /// Refused.
    #[arg(long, short = 'k', hide = true, value_parser = NotAnArgument("give --private-key-file, or set KINITRO_SCHEDULER_BACKEND_PRIVATE_KEY"))]
    pub private_key: Option<Never>,
}

/// `kinitro crypto publish-public-key`.
#[derive(Debug, Args)]
pub struct PublishPublicKeyArgs {
    #[command(flatten)]
    pub private_key: PrivateKeyArgs,
    /// The public key's file, where the private key is elsewhere.
    #[arg(long, value_name = "FILE", conflicts_with = "private_key_file")]
    pub public_key_file: Option<PathBuf>,
    #[command(flatten)]
    pub subnet: SubnetArgs,
    #[command(flatten)]
    pub wallet: WalletArgs,
    /// Overwrite what the hotkey has committed, when that is no public key.
    #[arg(long)]
    pub replace: bool,
    /// What was committed as JSON on stdout.
    #[arg(long)]
    pub json: bool,
}

/// `kinitro crypto fetch-public-key`.
#[derive(Debug, Args)]
pub struct FetchPublicKeyArgs {
    /// The backend's hotkey (SS58).
    #[arg(long, short = 'b', env = "KINITRO_BACKEND_HOTKEY", value_name = "SS58", value_parser = hotkey)]
    pub backend_hotkey: Hotkey,
    #[command(flatten)]
    pub subnet: SubnetArgs,
    /// As JSON on stdout.
    #[arg(long)]
    pub json: bool,
}

/// `kinitro crypto test-encryption`.
#[derive(Debug, Args)]
pub struct TestEncryptionArgs {
    #[command(flatten)]
    pub private_key: PrivateKeyArgs,
    /// Check that this is the private key's public key (64 hex digits).
    #[arg(long, short = 'p', value_name = "HEX")]
    pub public_key: Option<String>,
    /// What to seal [default: a random UUID].
    #[arg(long, short = 'd', value_name = "UUID")]
    pub deployment_id: Option<Uuid>,
}

const NAME_LIMIT: usize = 64;

/// The name of one visible file, which a shell takes as it is.
fn key_name(text: &str) -> Result<String, String> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    if !(1..=NAME_LIMIT).contains(&text.len()) || !text.bytes().all(allowed) || text.starts_with(['.', '-']) {
        return Err(format!(
            "a key's name must have 1 to {NAME_LIMIT} letters, digits, `.`, `_` or `-`, and begin with none of the marks"
        ));
    }
    if text.ends_with(".pub") {
        return Err("a key's name must not end with .pub, which is how public keys are called".to_owned());
    }
    Ok(text.to_owned())
}
