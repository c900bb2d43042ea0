//! From what stands on the chain to what each miner's policy is. Pure.

use std::collections::BTreeMap;

use kinitro_chain::{Commitment, CommitmentError, Neuron, RawCommitment, parse_commitment};
use kinitro_crypto::PrivateKey;
use kinitro_domain::BlockNumber;

use crate::snapshot::{Miner, Status};

/// A policy of a hotkey: what the priority of a first commitment is tied to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PolicyKey {
    hotkey: String,
    policy: String,
}

impl PolicyKey {
    /// A key that was stored.
    pub fn stored(hotkey: String, policy: String) -> Self {
        Self { hotkey, policy }
    }

    /// Repository, revision and endpoint; none of them can contain a space.
    fn of(hotkey: &str, commitment: &Commitment, endpoint: &str) -> Self {
        let policy = format!("{} {} {endpoint}", commitment.repo, commitment.revision);
        Self { hotkey: hotkey.to_owned(), policy }
    }

    pub fn hotkey(&self) -> &str {
        &self.hotkey
    }

    pub fn policy(&self) -> &str {
        &self.policy
    }
}

/// The block of the first commitment of every policy.
pub type FirstCommitments = BTreeMap<PolicyKey, BlockNumber>;

/// What one block says.
pub struct Assessed {
    /// In order of uid.
    pub miners: Vec<Miner>,
    /// First commitments that were not known before.
    pub new_policies: Vec<(PolicyKey, BlockNumber)>,
}

/// Joins the registered neurons with what their hotkeys committed. Commitments of hotkeys that are not registered are left out.
/// Sealed endpoints are opened with `keys`; priorities come from `first`, or from the commitment itself when it is new.
pub fn assess(
    neurons: Vec<Neuron>,
    commitments: Vec<RawCommitment>,
    keys: &[PrivateKey],
    first: &FirstCommitments,
) -> Assessed {
    let mut by_hotkey: BTreeMap<_, _> =
        commitments.into_iter().map(|commitment| (commitment.hotkey.clone(), commitment)).collect();
    let mut new_policies = Vec::new();
    let miners = neurons
        .into_iter()
        .map(|neuron| match by_hotkey.remove(&neuron.hotkey) {
            Some(commitment) => committed(neuron, commitment, keys, first, &mut new_policies),
            None => without_policy(neuron, Status::Uncommitted, "nothing is committed on the chain".to_owned()),
        })
        .collect();
    Assessed { miners, new_policies }
}

fn committed(
    neuron: Neuron,
    raw: RawCommitment,
    keys: &[PrivateKey],
    first: &FirstCommitments,
    new_policies: &mut Vec<(PolicyKey, BlockNumber)>,
) -> Miner {
    let data = match raw.data {
        Ok(data) => data,
        Err(malformed) => {
            let commit_block = raw.block.unwrap_or(NO_BLOCK);
            return Miner { commit_block, ..without_policy(neuron, Status::Invalid, malformed.to_string()) };
        }
    };
    let mut miner = match (parse_commitment(&data, Some(keys)), raw.block) {
        (Ok(commitment), Some(block)) => {
            let endpoint = commitment.endpoint.url();
            let key = PolicyKey::of(neuron.hotkey.as_str(), &commitment, &endpoint);
            let first_commit_block = first.get(&key).copied().unwrap_or_else(|| {
                new_policies.push((key, block));
                block
            });
            Miner {
                repo: commitment.repo,
                revision: commitment.revision,
                endpoint,
                endpoint_encrypted: commitment.sealed,
                first_commit_block,
                commit_block: block,
                ..without_policy(neuron, Status::Active, String::new())
            }
        }
        (Ok(_), None) => without_policy(neuron, Status::Invalid, "the commitment has no block".to_owned()),
        (Err(error), block) => {
            let (repo, revision) = error.policy().unwrap_or_default();
            Miner {
                repo: repo.to_owned(),
                revision: revision.to_owned(),
                endpoint_encrypted: matches!(error, CommitmentError::Sealed { .. } | CommitmentError::NotOpened { .. }),
                commit_block: block.unwrap_or(NO_BLOCK),
                ..without_policy(neuron, Status::Invalid, error.to_string())
            }
        }
    };
    miner.commitment = data;
    miner
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
mod tests {
    use kinitro_chain::{Signer, write_sealed_commitment};
    use kinitro_domain::{Hotkey, MinerUid};

    use super::*;

    fn hotkey(name: &str) -> Hotkey {
        Signer::from_uri(name).expect("a development key").hotkey()
    }

    fn neuron(uid: u16, name: &str) -> Neuron {
        Neuron { uid: MinerUid(uid), hotkey: hotkey(name) }
    }

    fn raw(name: &str, block: u64, data: &str) -> RawCommitment {
        RawCommitment { hotkey: hotkey(name), block: Some(BlockNumber(block)), data: Ok(data.as_bytes().to_vec()) }
    }

    #[test]
    fn the_first_block_of_a_policy_is_kept_and_a_new_revision_starts_anew() {
        let mut first = FirstCommitments::new();
        let mut read = |block, data: &str| {
            let assessed = assess(vec![neuron(0, "//Alice")], vec![raw("//Alice", block, data)], &[], &first);
            first.extend(assessed.new_policies);
            (assessed.miners[0].first_commit_block.0, assessed.miners[0].commit_block.0)
        };
        assert_eq!(read(10, "a/b:rev1:http://h:1"), (10, 10));
        assert_eq!(read(20, "a/b:rev1:http://h:1"), (10, 20), "the same policy again, in the same spelling");
        assert_eq!(read(25, r#"{"m":"a/b","r":"rev1","d":"http://h:1/"}"#), (10, 25), "and in the other one");
        assert_eq!(read(30, "a/b:rev2:http://h:1"), (30, 30), "a new revision");
        assert_eq!(read(40, "a/b:rev1:http://h:2"), (40, 40), "a new endpoint");
        assert_eq!(read(50, "a/b:rev1:http://h:1"), (10, 50), "back to the first");
    }

    #[test]
    fn a_uid_taken_over_is_another_miner_without_the_old_policy() {
        let commitments = || vec![raw("//Alice", 10, "a/b:rev1:http://h:1")];
        let first = FirstCommitments::new();
        let before = assess(vec![neuron(0, "//Alice")], commitments(), &[], &first);
        let after = assess(vec![neuron(0, "//Bob")], commitments(), &[], &first);
        assert_eq!(before.miners[0].status, Status::Active);
        assert_eq!((after.miners[0].status, after.miners[0].hotkey.clone()), (Status::Uncommitted, hotkey("//Bob")));
        assert!(after.miners[0].endpoint.is_empty() && after.new_policies.is_empty());
    }

    #[test]
    fn what_nobody_can_read_is_kept_with_its_reason_and_stops_nobody() {
        let neurons = vec![neuron(0, "//Alice"), neuron(1, "//Bob"), neuron(2, "//Charlie")];
        let mut commitments = vec![raw("//Alice", 10, "\u{1}\u{2}"), raw("//Bob", 11, "a/b:rev1:http://h:1")];
        commitments.push(RawCommitment { block: None, ..raw("//Charlie", 0, "a/b:rev1:http://h:1") });
        let miners = assess(neurons, commitments, &[], &FirstCommitments::new()).miners;
        let seen: Vec<_> = miners.iter().map(|miner| (miner.status, miner.status_reason.is_empty())).collect();
        assert_eq!(seen, [(Status::Invalid, false), (Status::Active, true), (Status::Invalid, false)]);
        assert_eq!(miners[0].commitment, [1, 2]);
    }

    #[test]
    fn sealed_endpoints_open_with_the_configured_key_only() {
        let key = PrivateKey::generate();
        let deployment = "8a4cd2e1-36f7-4e0f-9b5d-0c1f2a3b4c5d".parse().expect("a UUID");
        let data = write_sealed_commitment("a/b", "rev1", &deployment, &key.public()).expect("it fits");
        let read = |keys: &[PrivateKey]| {
            let commitment = RawCommitment { data: Ok(data.clone()), ..raw("//Alice", 10, "") };
            assess(vec![neuron(0, "//Alice")], vec![commitment], keys, &FirstCommitments::new()).miners.remove(0)
        };
        let (without, with, wrong) = (read(&[]), read(&[key]), read(&[PrivateKey::generate()]));
        assert_eq!((without.status, without.repo.as_str(), without.endpoint.as_str()), (Status::Invalid, "a/b", ""));
        assert_eq!(with.endpoint, "https://8a4cd2e1-36f7-4e0f-9b5d-0c1f2a3b4c5d.deployments.basilica.ai");
        assert!(with.endpoint_encrypted && without.endpoint_encrypted && wrong.endpoint_encrypted);
        assert_eq!(wrong.status, Status::Invalid);
    }
}
