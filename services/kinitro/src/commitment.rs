//! A hotkey's one commitment on a subnet: what stands there now, and putting other bytes in its place.
//!
//! Whoever could not be told by the chain in time is told before anything is signed: a subnet that is not there, a hotkey that is not
//! registered. What was put is in a finalized block and was read back when [`put`] returns.

use std::convert::Infallible;

use anyhow::{Context as _, Result, bail};
use kinitro_chain::{Call, ChainClient, RawCommitment, Receipt, Signer, Wait};
use kinitro_domain::Hotkey;

use crate::cli::SubnetArgs;

/// What the hotkey has committed as of the newest block, after a check that it may commit at all.
pub async fn standing(chain: &ChainClient, subnet: &SubnetArgs, hotkey: &Hotkey) -> Result<Option<RawCommitment>> {
    let SubnetArgs { netuid, network } = subnet;
    let head = chain.best_head().await?;
    if chain.subnet_at(head.hash, *netuid).await?.is_none() {
        bail!("{network} has no subnet {netuid}: check --netuid and --network");
    }
    if chain.validator_at(head.hash, *netuid, hotkey).await?.is_none() {
        bail!(
            "the hotkey {hotkey} is not registered on subnet {netuid} of {network}: register it there first \
             (`btcli subnet register --netuid {netuid}`), or check the wallet, --netuid and --network"
        );
    }
    Ok(chain.commitment_at(head.hash, *netuid, hotkey).await?)
}

/// Committed bytes as text: ASCII as it is, everything that does not print as `\x` and two hex digits.
pub fn printable(data: &[u8]) -> String {
    let mut text = String::with_capacity(data.len());
    for byte in data {
        match byte {
            b' '..=b'~' => text.push(char::from(*byte)),
            _ => text += &format!("\\x{byte:02x}"),
        }
    }
    text
}

/// Commits the bytes for the signer's hotkey; returns when a finalized block has them.
pub async fn put(chain: &ChainClient, subnet: &SubnetArgs, signer: &Signer, data: &[u8]) -> Result<Receipt> {
    let (netuid, hotkey) = (subnet.netuid, signer.hotkey());
    let call = Call::SetCommitment { netuid, data: data.to_vec() };
    eprintln!("committing {} bytes for {hotkey} on subnet {netuid} of {}", data.len(), subnet.network);
    let receipt = chain.execute(signer, &call, Wait::Finality, |_| Ok::<_, Infallible>(())).await?;
    eprintln!("it is in the finalized block {}", receipt.block.number);
    chain.read_back(&receipt, &hotkey, &call).await.with_context(|| {
        format!(
            "does somebody else use this hotkey? look with `kinitro miner show-commitment --hotkey {hotkey} --netuid {netuid} \
             --network {}`",
            subnet.network
        )
    })?;
    Ok(receipt)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_does_not_print_is_escaped() {
        let quoted = r#"{"m":"user/it's","r":"a\b"}"#;
        assert_eq!(printable(quoted.as_bytes()), quoted);
        assert_eq!(printable(b"a\x1b[2J\n\xff\x00"), r"a\x1b[2J\x0a\xff\x00");
    }
}
