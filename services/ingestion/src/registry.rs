//! From what stands on the chain to what each miner's policy is. Pure.

use std::collections::BTreeMap;

use kinitro_chain::{Neuron, RawCommitment, account_of};
use kinitro_commitment::{Commitment, CommitmentError, EndpointError, Opened, Opening, parse_commitment};
use kinitro_crypto::{Binding, PrivateKey};
use kinitro_domain::{BlockNumber, MinerUid};

use crate::{
    duplicates::{Claim, latecomers},
    first::{FirstCommitments, PolicyKey},
    snapshot::{Miner, Status},
};

/// What an operator decides.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    /// The subnet, which bound endpoints are bound to.
    pub netuid: u16,
    /// What opens sealed endpoints: the current key, then those before it.
    pub keys: Vec<PrivateKey>,
    /// Take endpoints at private and loopback addresses too.
    pub allow_private_endpoints: bool,
}

/// What one block says.
pub struct Assessed {
    /// In order of uid.
    pub miners: Vec<Miner>,
    /// First commitments that were not known before.
    pub new_policies: Vec<(PolicyKey, BlockNumber)>,
    /// How the sealed endpoints were opened, one for each that was.
    pub opened: Vec<Opened>,
}

impl Assessed {
    /// How many miners still seal for a key that is not the current one.
    pub fn with_previous_key(&self) -> usize {
        self.opened.iter().filter(|opened| opened.key > 0).count()
    }
}

/// Joins the neurons that are registered at a block with what their hotkeys committed. Commitments of hotkeys that are not
/// registered are left out. Priorities come from `first`, or from the commitment itself when it is new; so does the right to an
/// endpoint that several have committed.
pub fn assess(
    block: BlockNumber,
    neurons: Vec<Neuron>,
    commitments: Vec<RawCommitment>,
    rules: &Rules,
    first: &FirstCommitments,
) -> Assessed {
    let mut by_hotkey: BTreeMap<_, _> =
        commitments.into_iter().map(|commitment| (commitment.hotkey.clone(), commitment)).collect();
    let mut assessment =
        Assessment { block, rules, first, claims: Vec::new(), new_policies: Vec::new(), opened: Vec::new() };
    let mut miners: Vec<Miner> = neurons
        .into_iter()
        .map(|neuron| match by_hotkey.remove(&neuron.hotkey) {
            Some(commitment) => assessment.miner(neuron, commitment),
            None => without_policy(neuron, Status::Uncommitted, "nothing is committed on the chain".to_owned()),
        })
        .collect();
    give_endpoints_to_the_first(&mut miners, &assessment.claims);
    Assessed { miners, new_policies: assessment.new_policies, opened: assessment.opened }
}

/// The policies that were committed up to a block, each with the block of its commitment. Of all hotkeys: only a registered one can
/// commit, and it may come back.
pub fn policies(
    block: BlockNumber,
    commitments: Vec<RawCommitment>,
    rules: &Rules,
) -> impl Iterator<Item = (PolicyKey, BlockNumber)> {
    commitments.into_iter().filter_map(move |raw| {
        let committed = raw.block.filter(|committed| *committed <= block)?;
        let account = account_of(&raw.hotkey).ok()?;
        let commitment = rules.open(&raw.data.ok()?, account).ok()?;
        rules.check_address(&commitment).ok()?;
        Some((PolicyKey::of(raw.hotkey.as_str(), &commitment), committed))
    })
}

impl Rules {
    fn open(&self, data: &[u8], hotkey: [u8; 32]) -> Result<Commitment, CommitmentError> {
        let binding = Binding { netuid: self.netuid, hotkey };
        parse_commitment(data, Some(&Opening { keys: &self.keys, binding }))
    }

    fn check_address(&self, commitment: &Commitment) -> Result<(), EndpointError> {
        commitment.endpoint.check_address(self.allow_private_endpoints)
    }
}

/// Whoever committed an endpoint after somebody else is not evaluated with it.
fn give_endpoints_to_the_first(miners: &mut [Miner], claims: &[Claim]) {
    let sealed: BTreeMap<MinerUid, bool> = miners.iter().map(|miner| (miner.uid, miner.endpoint_encrypted)).collect();
    let late = latecomers(claims);
    for miner in miners {
        let Some(owner) = late.get(&miner.uid) else { continue };
        miner.status = Status::DuplicateEndpoint;
        miner.endpoint = String::new();
        // Both have one endpoint. Where one of them sealed it and everybody can read the other on the chain, the uid would tell.
        miner.status_reason = match sealed.get(owner) == Some(&miner.endpoint_encrypted) {
            true => format!("uid {owner} committed this endpoint first"),
            false => "another hotkey committed this endpoint first".to_owned(),
        };
    }
}

/// The block that is being read, so far.
struct Assessment<'a> {
    block: BlockNumber,
    rules: &'a Rules,
    first: &'a FirstCommitments,
    claims: Vec<Claim>,
    new_policies: Vec<(PolicyKey, BlockNumber)>,
    opened: Vec<Opened>,
}

impl Assessment<'_> {
    fn miner(&mut self, neuron: Neuron, raw: RawCommitment) -> Miner {
        if let Some(to_come) = raw.block.filter(|block| *block > self.block) {
            let reason = format!("the node says of block {} that this was committed at block {to_come}", self.block);
            let commitment = raw.data.unwrap_or_default();
            return Miner { commitment, ..without_policy(neuron, Status::Invalid, reason) };
        }
        let data = match raw.data {
            Ok(data) => data,
            Err(malformed) => {
                let commit_block = raw.block.unwrap_or(NO_BLOCK);
                return Miner { commit_block, ..without_policy(neuron, Status::Invalid, malformed.to_string()) };
            }
        };
        let account = match account_of(&neuron.hotkey) {
            Ok(account) => account,
            Err(error) => return without_policy(neuron, Status::Invalid, error.to_string()),
        };
        let miner = match (self.rules.open(&data, account), raw.block) {
            (Ok(commitment), Some(block)) => self.committed(neuron, commitment, block),
            (Ok(_), None) => without_policy(neuron, Status::Invalid, "the commitment has no block".to_owned()),
            (Err(error), block) => unusable(neuron, &error, block),
        };
        Miner { commitment: data, ..miner }
    }

    fn committed(&mut self, neuron: Neuron, commitment: Commitment, block: BlockNumber) -> Miner {
        self.opened.extend(commitment.opened);
        let hotkey = neuron.hotkey.to_string();
        let allowed = self.rules.check_address(&commitment);
        let mut miner = match &allowed {
            Ok(()) => without_policy(neuron, Status::Active, String::new()),
            Err(refusal) => without_policy(neuron, Status::Invalid, refusal.to_string()),
        };
        if allowed.is_ok() {
            let key = PolicyKey::of(&hotkey, &commitment);
            miner.endpoint = commitment.endpoint.url();
            miner.first_commit_block = self.first.of_policy(&key).unwrap_or_else(|| {
                self.new_policies.push((key, block));
                block
            });
            let endpoint = commitment.endpoint.identity();
            let since = self.first.of_endpoint(&hotkey, &endpoint).unwrap_or(block).min(block);
            self.claims.push(Claim { uid: miner.uid, endpoint, since });
        }
        let endpoint_encrypted = commitment.opened.is_some();
        Miner { repo: commitment.repo, revision: commitment.revision, endpoint_encrypted, commit_block: block, ..miner }
    }
}

fn unusable(neuron: Neuron, error: &CommitmentError, block: Option<BlockNumber>) -> Miner {
    let (repo, revision) = error.policy().unwrap_or_default();
    Miner {
        repo: repo.to_owned(),
        revision: revision.to_owned(),
        endpoint_encrypted: matches!(error, CommitmentError::Sealed { .. } | CommitmentError::NotOpened { .. }),
        commit_block: block.unwrap_or(NO_BLOCK),
        ..without_policy(neuron, Status::Invalid, error.to_string())
    }
}

/// Where there is no block.
const NO_BLOCK: BlockNumber = BlockNumber(0);

fn without_policy(neuron: Neuron, status: Status, status_reason: String) -> Miner {
    Miner {
        uid: neuron.uid,
        hotkey: neuron.hotkey,
        status,
        // Postgres takes no NUL in a text, and one that came with a reason would stop everybody.
        status_reason: status_reason.replace(char::is_control, " "),
        repo: String::new(),
        revision: String::new(),
        endpoint: String::new(),
        endpoint_encrypted: false,
        first_commit_block: NO_BLOCK,
        commit_block: NO_BLOCK,
        commitment: Vec::new(),
    }
}

#[cfg(test)]
#[path = "registry_tests.rs"]
mod tests;
