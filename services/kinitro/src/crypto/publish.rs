//! The operator's public key on the chain: `kinitro crypto publish-public-key` and `fetch-public-key`.

use std::fmt::Display;

use anyhow::{Context as _, Result, bail};
use kinitro_chain::{BlockRef, ChainClient};
use kinitro_commitment::PublishedKey;
use kinitro_crypto::PublicKey;
use kinitro_domain::{BlockNumber, Hotkey};
use serde_json::json;

use super::key;
use crate::{
    cli::{FetchPublicKeyArgs, PublishPublicKeyArgs, SubnetArgs},
    commitment, wallet,
};

/// A key as the finalized chain has it.
pub struct Found {
    pub key: PublicKey,
    /// When it was committed.
    block: Option<BlockNumber>,
    /// When it was read.
    head: BlockRef,
}

/// `kinitro crypto publish-public-key`.
pub async fn run(args: &PublishPublicKeyArgs) -> Result<()> {
    let key = match &args.public_key_file {
        Some(path) => PublicKey::read_file(path).context("`kinitro crypto generate-keypair` makes key files")?,
        None => key::private(&args.private_key)?.public(),
    };
    let signer = wallet::signer(&args.wallet)?;
    let hotkey = signer.hotkey();
    let chain = ChainClient::new(&args.subnet.network)?;
    let standing = commitment::standing(&chain, &args.subnet, &hotkey).await?;
    if let Some(standing) = standing {
        check_standing(&hotkey, &standing.data, &key, args.replace)?;
    }
    let receipt = commitment::put(&chain, &args.subnet, &signer, &PublishedKey(key).write()).await?;
    let SubnetArgs { netuid, network } = &args.subnet;
    if args.json {
        let shown = json!({
            "hotkey": hotkey,
            "netuid": netuid,
            "network": network,
            "public_key": key.to_string(),
            "block": receipt.block.number,
            "block_hash": receipt.block.hash,
            "transaction": receipt.transaction,
        });
        println!("{shown:#}");
        return Ok(());
    }
    println!("published    {key}");
    println!("hotkey       {hotkey}");
    println!("subnet       {netuid} of {network}");
    println!("block        {} {}, finalized and read back", receipt.block.number, receipt.block.hash);
    println!("transaction  {}", receipt.transaction);
    eprintln!("\nminers seal with it now:\n  kinitro miner commit … --encrypt --backend-hotkey {hotkey}");
    Ok(())
}

/// Whether the key may take the place of what the hotkey has committed.
fn check_standing(
    hotkey: &Hotkey,
    standing: &Result<Vec<u8>, impl Display>,
    key: &PublicKey,
    replace: bool,
) -> Result<()> {
    let other = match standing {
        Ok(data) => match PublishedKey::parse(data) {
            Ok(PublishedKey(old)) if old == *key => {
                eprintln!("{hotkey} has published this key already; publishing it again");
                return Ok(());
            }
            Ok(PublishedKey(old)) => {
                eprintln!(
                    "{hotkey} has published {old}, which this replaces: keep its private key as \
                     KINITRO_SCHEDULER_BACKEND_PREVIOUS_PRIVATE_KEY_FILE until the miners have committed again"
                );
                return Ok(());
            }
            Err(_) => commitment::printable(data),
        },
        Err(malformed) => malformed.to_string(),
    };
    if replace {
        eprintln!("replacing what {hotkey} has committed: {other}");
        return Ok(());
    }
    bail!(
        "{hotkey} has committed something else, which this would overwrite: {other}; publish with another hotkey, or add --replace"
    )
}

/// `kinitro crypto fetch-public-key`.
pub async fn fetch(args: &FetchPublicKeyArgs) -> Result<()> {
    let chain = ChainClient::new(&args.subnet.network)?;
    let found = published(&chain, &args.subnet, &args.backend_hotkey).await?;
    if args.json {
        let shown = json!({
            "hotkey": args.backend_hotkey,
            "netuid": args.subnet.netuid,
            "network": args.subnet.network,
            "public_key": found.key.to_string(),
            "block": found.block,
            "read_at_block": found.head.number,
        });
        println!("{shown:#}");
    } else {
        println!("{}", found.key);
        if let Some(block) = found.block {
            eprintln!("published in block {block}, read at the finalized block {}", found.head.number);
        }
    }
    Ok(())
}

/// The key that a hotkey published, as of the finalized head: one that a reorganisation could still undo is none yet.
pub async fn published(chain: &ChainClient, subnet: &SubnetArgs, backend: &Hotkey) -> Result<Found> {
    let SubnetArgs { netuid, network } = subnet;
    let head = chain.finalized_head().await?;
    let Some(standing) = chain.commitment_at(head.hash, *netuid, backend).await? else {
        bail!(
            "{backend} has published no public key on subnet {netuid} of {network}, as of the finalized block {}: check the hotkey, \
             --netuid and --network, or ask the operator for the key (--backend-public-key)",
            head.number
        );
    };
    let unusable = || format!("what {backend} committed on subnet {netuid} of {network} cannot be used");
    let data = standing.data.with_context(unusable)?;
    let PublishedKey(key) = PublishedKey::parse(&data).with_context(unusable)?;
    Ok(Found { key, block: standing.block, head })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use kinitro_chain::Signer;
    use kinitro_crypto::PrivateKey;

    use super::*;

    #[test]
    fn only_another_published_key_is_replaced_without_being_told() {
        let hotkey = Signer::from_uri("//Alice").unwrap().hotkey();
        let (key, old) = (PrivateKey::generate().public(), PrivateKey::generate().public());
        let checked = |data: Result<Vec<u8>, &str>, replace| {
            check_standing(&hotkey, &data, &key, replace).map_err(|error| error.to_string())
        };
        assert_eq!(checked(Ok(PublishedKey(key).write().to_vec()), false), Ok(()));
        assert_eq!(checked(Ok(PublishedKey(old).write().to_vec()), false), Ok(()));
        let others =
            [(Ok(b"user/policy:v1:http://h".to_vec()), "user/policy"), (Err("it has two fields"), "two fields")];
        for (data, said) in others {
            let refused = checked(data.clone(), false).unwrap_err();
            assert!(refused.contains(said) && refused.contains("--replace"), "{refused}");
            assert_eq!(checked(data, true), Ok(()));
        }
    }
}
