//! `kinitro crypto test-encryption`: both sealed forms there and back, and a copy that must not open.

use anyhow::{Context as _, Result, ensure};
use kinitro_crypto::{Binding, CryptoError, PublicKey, open, open_bound, seal, seal_bound};
use uuid::Uuid;

use super::key;
use crate::cli::TestEncryptionArgs;

/// Runs it.
pub fn run(args: &TestEncryptionArgs) -> Result<()> {
    let key = key::private(&args.private_key)?;
    let public = key.public();
    if let Some(given) = &args.public_key {
        let given = PublicKey::from_hex(given.trim()).context("--public-key cannot be used")?;
        ensure!(given == public, "--public-key is {given}, but the private key's public key is {public}");
    }
    let deployment = args.deployment_id.unwrap_or_else(Uuid::new_v4);
    println!("public key  {public}\ndeployment  {deployment}");

    let sealed = seal(&deployment, &public).context("sealing in the open form")?;
    let opened = open(&sealed, &key).context("opening the open form")?;
    ensure!(opened == deployment, "the open form came back as {opened}");
    println!("open form   {sealed}  opens again");

    // Any subnet and hotkey do; nothing is committed here.
    let binding = Binding { netuid: 1, hotkey: [1; 32] };
    let sealed = seal_bound(&deployment, &public, &binding).context("sealing in the bound form")?;
    let opened = open_bound(&sealed, &key, &binding).context("opening the bound form")?;
    ensure!(opened == deployment, "the bound form came back as {opened}");
    let copied = open_bound(&sealed, &key, &Binding { hotkey: [2; 32], ..binding });
    ensure!(
        matches!(copied, Err(CryptoError::WrongKeyOrBinding)),
        "the bound form opened for a hotkey that it was not sealed for"
    );
    println!("bound form  {sealed}  opens again, and not under another hotkey");
    Ok(())
}
