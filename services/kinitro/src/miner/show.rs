//! `kinitro miner show-commitment`: the bytes on the finalized chain, and what they mean.

use std::fmt::Display;

use anyhow::{Result, bail};
use kinitro_chain::{BlockRef, ChainClient, RawCommitment, account_of};
use kinitro_commitment::{Commitment, CommitmentError, Opening, PublishedKey, WrittenCommitment, WrittenEndpoint};
use kinitro_crypto::{Binding, PrivateKey};
use kinitro_domain::{BlockNumber, Hotkey, MinerUid};
use serde::Serialize;

use crate::{
    cli::{ShowCommitmentArgs, SubnetArgs},
    commitment, crypto, wallet,
};

/// What is shown. Absent is what does not apply, or is hidden.
#[derive(Debug, Serialize)]
struct Shown {
    hotkey: Hotkey,
    /// Absent when the hotkey is not registered.
    uid: Option<MinerUid>,
    netuid: u16,
    network: String,
    read_at_block: BlockNumber,
    /// As text; what is not printable is escaped.
    commitment: Option<String>,
    bytes: Option<usize>,
    /// When it was committed.
    block: Option<BlockNumber>,
    repo: Option<String>,
    revision: Option<String>,
    /// Plain, or opened with the key that was given.
    endpoint: Option<String>,
    sealed: Option<bool>,
    sealed_form: Option<&'static str>,
    /// What an operator's hotkey publishes.
    public_key: Option<String>,
    /// Why it cannot be read, or not opened.
    reason: Option<String>,
}

/// Runs it.
pub async fn run(args: &ShowCommitmentArgs) -> Result<()> {
    let key = args.private_key_file.as_deref().map(crypto::private_key_of_file).transpose()?;
    let chain = ChainClient::new(&args.subnet.network)?;
    let head = chain.finalized_head().await?;
    let (hotkey, uid) = who(args, &chain, head).await?;
    let SubnetArgs { netuid, network } = &args.subnet;
    let mut shown = Shown {
        uid,
        netuid: *netuid,
        network: network.clone(),
        read_at_block: head.number,
        commitment: None,
        bytes: None,
        block: None,
        repo: None,
        revision: None,
        endpoint: None,
        sealed: None,
        sealed_form: None,
        public_key: None,
        reason: None,
        hotkey,
    };
    if let Some(found) = chain.commitment_at(head.hash, *netuid, &shown.hotkey).await? {
        shown.read(found, key.as_ref())?;
    }
    if args.json {
        println!("{}", serde_json::to_string_pretty(&shown)?);
    } else {
        shown.print();
    }
    Ok(())
}

async fn who(args: &ShowCommitmentArgs, chain: &ChainClient, head: BlockRef) -> Result<(Hotkey, Option<MinerUid>)> {
    let SubnetArgs { netuid, network } = &args.subnet;
    if let Some(uid) = args.uid {
        let neurons = chain.neurons_at(head.hash, *netuid).await?;
        let Some(neuron) = neurons.into_iter().find(|neuron| neuron.uid == MinerUid(uid)) else {
            bail!("subnet {netuid} of {network} has no uid {uid}: check --uid, --netuid and --network");
        };
        return Ok((neuron.hotkey, Some(neuron.uid)));
    }
    let hotkey = match &args.hotkey {
        Some(hotkey) => hotkey.clone(),
        None => wallet::hotkey(&args.wallet)?,
    };
    let registered = chain.validator_at(head.hash, *netuid, &hotkey).await?;
    Ok((hotkey, registered.map(|registered| registered.uid)))
}

impl Shown {
    fn read(&mut self, found: RawCommitment, key: Option<&PrivateKey>) -> Result<()> {
        self.block = found.block;
        let data = match found.data {
            Ok(data) => data,
            Err(malformed) => {
                self.reason = Some(malformed.to_string());
                return Ok(());
            }
        };
        self.bytes = Some(data.len());
        self.commitment = Some(commitment::printable(&data));
        if let Ok(PublishedKey(key)) = PublishedKey::parse(&data) {
            self.public_key = Some(key.to_string());
            return Ok(());
        }
        let written = match WrittenCommitment::read(&data) {
            Ok(written) => written,
            Err(error) => {
                self.fail(&error);
                return Ok(());
            }
        };
        self.sealed_form = match &written.endpoint {
            WrittenEndpoint::Plain(_) => None,
            WrittenEndpoint::Sealed(_) => Some("open"),
            WrittenEndpoint::Bound(_) => Some("bound"),
        };
        self.sealed = Some(self.sealed_form.is_some());
        let binding = Binding { netuid: self.netuid, hotkey: account_of(&self.hotkey)? };
        let opening = key.map(|key| Opening { keys: std::slice::from_ref(key), binding });
        match written.open(opening.as_ref()) {
            Ok(Commitment { repo, revision, endpoint, .. }) => {
                (self.repo, self.revision, self.endpoint) = (Some(repo), Some(revision), Some(endpoint.to_string()));
            }
            // Nothing is wrong with it; no key was given.
            Err(CommitmentError::Sealed { repo, revision }) => {
                (self.repo, self.revision) = (Some(repo), Some(revision));
            }
            Err(error) => self.fail(&error),
        }
        Ok(())
    }

    fn fail(&mut self, error: &CommitmentError) {
        self.reason = Some(error.to_string());
        if let Some((repo, revision)) = error.policy() {
            (self.repo, self.revision) = (Some(repo.to_owned()), Some(revision.to_owned()));
        }
    }

    fn print(&self) {
        let line = |name: &str, value: &dyn Display| println!("{name:<12} {value}");
        line("hotkey", &self.hotkey);
        match self.uid {
            Some(uid) => line("uid", &uid),
            None => line("uid", &format!("none: not registered on subnet {} of {}", self.netuid, self.network)),
        }
        match (&self.commitment, self.block) {
            (None, None) => line("commitment", &"none"),
            (commitment, block) => {
                if let Some(commitment) = commitment {
                    line("commitment", commitment);
                }
                if let Some(bytes) = self.bytes {
                    line("bytes", &bytes);
                }
                if let Some(block) = block {
                    line("block", &block);
                }
            }
        }
        for (name, value) in [("repository", &self.repo), ("revision", &self.revision)] {
            if let Some(value) = value {
                line(name, value);
            }
        }
        match (&self.endpoint, self.sealed_form) {
            (Some(endpoint), None) => line("endpoint", endpoint),
            (Some(endpoint), Some(form)) => line("endpoint", &format!("{endpoint} (sealed, {form} form; opened)")),
            (None, Some(form)) => line("endpoint", &format!("sealed, {form} form")),
            (None, None) => {}
        }
        if let Some(key) = &self.public_key {
            line("public key", &format!("{key} (of a backend; no policy)"));
        }
        if let Some(reason) = &self.reason {
            line("reason", reason);
        }
        eprintln!("as of the finalized block {}", self.read_at_block);
    }
}
