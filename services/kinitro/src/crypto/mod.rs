//! `kinitro crypto`: the keys that seal and open endpoints.

mod generate;
mod key;
mod publish;
mod trial;

use anyhow::Result;

pub use key::from_file as private_key_of_file;
pub use publish::published;

use crate::cli::CryptoAction;

/// Runs one of the commands.
pub async fn run(action: CryptoAction) -> Result<()> {
    match action {
        CryptoAction::GenerateKeypair(args) => generate::run(&args),
        CryptoAction::PublishPublicKey(args) => publish::run(&args).await,
        CryptoAction::FetchPublicKey(args) => publish::fetch(&args).await,
        CryptoAction::ShowPublicKey(args) => {
            println!("{}", key::private(&args)?.public());
            Ok(())
        }
        CryptoAction::TestEncryption(args) => trial::run(&args),
    }
}
