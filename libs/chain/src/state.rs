//! The subnet at one block: who is registered, and what they committed.

use std::collections::BTreeMap;

use kinitro_commitment::COMMITMENT_LIMIT;
use kinitro_domain::{BlockNumber, Hotkey, MinerUid};
use scale_decode::visitor::IgnoreVisitor;
use scale_value::{At as _, Value};
use subxt::{
    SubstrateConfig, client::OnlineClientAtBlock, dynamic, error::OnlineClientAtBlockError, storage::StorageValue,
};

use crate::{
    BlockHash, ChainClient, ChainError, account_of, hotkey_of,
    link::{Connection, bounded},
    value,
};

/// Every uid is a u16, and a hotkey commits once a subnet; more cannot be there.
const ENTRY_LIMIT: usize = 65_536;
/// Three fields of at most 512 bytes and what is around them.
const REGISTRATION_LIMIT: usize = 4_096;

/// A registered hotkey.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Neuron {
    /// Its place on the subnet.
    pub uid: MinerUid,
    /// Who holds the place.
    pub hotkey: Hotkey,
}

/// What a hotkey committed, as it is on the chain. Not every hotkey that committed is (still) registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawCommitment {
    /// Who committed.
    pub hotkey: Hotkey,
    /// The block of the commitment; `None` only when the entry could not be decoded at all.
    pub block: Option<BlockNumber>,
    /// The bytes of its one raw field, at most [`COMMITMENT_LIMIT`], or why there are none.
    pub data: Result<Vec<u8>, MalformedCommitment>,
}

/// Why a commitment has no readable bytes; a sentence for people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the commitment {0}")]
pub struct MalformedCommitment(String);

pub(crate) type AtBlock = OnlineClientAtBlock<SubstrateConfig>;

impl ChainClient {
    /// The registered hotkeys of a subnet at a block, in order of uid.
    pub async fn neurons_at(&self, block: BlockHash, netuid: u16) -> Result<Vec<Neuron>, ChainError> {
        const TASK: &str = "reading the neurons of the subnet";
        self.reading(TASK, async {
            let (connection, at) = self.at(block, TASK).await?;
            let address = dynamic::storage::<(u16,), u16>("SubtensorModule", "SubnetworkN");
            let size = at.storage().fetch(address, (netuid,)).await;
            let size = size.map_err(|error| connection.failed(TASK, error))?.decode();
            let size = size.map_err(|error| connection.failed(TASK, error))?;

            let address = dynamic::storage::<(u16, u16), [u8; 32]>("SubtensorModule", "Keys");
            let entries = at.storage().iter(address, (netuid,)).await;
            let mut entries = entries.map_err(|error| connection.failed(TASK, error))?;
            let mut neurons = BTreeMap::new();
            while let Some(entry) = entries.next().await {
                let entry = entry.map_err(|error| connection.failed(TASK, error))?;
                self.check_count(neurons.len(), "neurons")?;
                let uid = entry.key().and_then(|key| match key.part(1) {
                    Some(part) => part.decode_as::<u16>(),
                    None => Ok(None),
                });
                let uid = uid.map_err(|error| connection.failed(TASK, error))?;
                let uid = uid.ok_or_else(|| connection.failed(TASK, "the uid is not in the storage key"))?;
                let hotkey = entry.value().decode().map_err(|error| connection.failed(TASK, error))?;
                // A subnet that was made smaller leaves entries behind.
                if uid < size {
                    neurons.insert(uid, hotkey_of(hotkey));
                }
            }
            Ok(neurons.into_iter().map(|(uid, hotkey)| Neuron { uid: MinerUid(uid), hotkey }).collect())
        })
        .await
    }

    /// Every commitment on a subnet at a block, in the order of the node's storage. An entry that cannot be decoded is reported
    /// as such and costs no other one.
    pub async fn commitments_at(&self, block: BlockHash, netuid: u16) -> Result<Vec<RawCommitment>, ChainError> {
        const TASK: &str = "reading the commitments of the subnet";
        self.reading(TASK, async {
            let (connection, at) = self.at(block, TASK).await?;
            let address = dynamic::storage::<(u16, [u8; 32]), Value>("Commitments", "CommitmentOf");
            let entries = at.storage().iter(address, (netuid,)).await;
            let mut entries = entries.map_err(|error| connection.failed(TASK, error))?;
            let mut commitments = Vec::new();
            while let Some(entry) = entries.next().await {
                let entry = entry.map_err(|error| connection.failed(TASK, error))?;
                self.check_count(commitments.len(), "commitments")?;
                let account = entry.key().and_then(|key| match key.part(1) {
                    Some(part) => part.decode_as::<[u8; 32]>(),
                    None => Ok(None),
                });
                match account {
                    Ok(Some(account)) => {
                        let (block, data) = match decode_registration(entry.value()) {
                            Ok(registration) => read_registration(&registration),
                            Err(error) => (None, Err(error)),
                        };
                        commitments.push(RawCommitment { hotkey: hotkey_of(account), block, data });
                    }
                    Ok(None) => tracing::warn!(%block, "a commitment's storage key holds no hotkey"),
                    Err(error) => tracing::warn!(%block, %error, "a commitment's storage key cannot be decoded"),
                }
            }
            Ok(commitments)
        })
        .await
    }

    /// The block of a hotkey's newest commitment on a subnet, as of a block; `None` when it never committed there.
    pub async fn last_commitment_at(
        &self,
        block: BlockHash,
        netuid: u16,
        hotkey: &Hotkey,
    ) -> Result<Option<BlockNumber>, ChainError> {
        const TASK: &str = "reading the block of a hotkey's newest commitment";
        let account = account_of(hotkey)?;
        self.reading(TASK, async {
            let (connection, at) = self.at(block, TASK).await?;
            let address = dynamic::storage::<(u16, [u8; 32]), u64>("Commitments", "LastCommitment");
            let number = at.storage().try_fetch(address, (netuid, account)).await;
            let number = number.map_err(|error| connection.failed(TASK, error))?;
            let number = number.map(|number| number.decode()).transpose();
            Ok(number.map_err(|error| connection.failed(TASK, error))?.map(BlockNumber))
        })
        .await
    }

    /// What one hotkey committed on a subnet, as of a block; `None` when it committed nothing there.
    pub async fn commitment_at(
        &self,
        block: BlockHash,
        netuid: u16,
        hotkey: &Hotkey,
    ) -> Result<Option<RawCommitment>, ChainError> {
        const TASK: &str = "reading a hotkey's commitment";
        let account = account_of(hotkey)?;
        self.reading(TASK, async {
            let (connection, at) = self.at(block, TASK).await?;
            let address = dynamic::storage::<(u16, [u8; 32]), Value>("Commitments", "CommitmentOf");
            let stored = at.storage().try_fetch(address, (netuid, account)).await;
            let stored = stored.map_err(|error| connection.failed(TASK, error))?;
            Ok(stored.map(|stored| {
                let (block, data) = match decode_registration(&stored) {
                    Ok(registration) => read_registration(&registration),
                    Err(error) => (None, Err(error)),
                };
                RawCommitment { hotkey: hotkey.clone(), block, data }
            }))
        })
        .await
    }

    pub(crate) async fn at(
        &self,
        block: BlockHash,
        task: &'static str,
    ) -> Result<(std::sync::Arc<Connection>, AtBlock), ChainError> {
        let connection = self.link.connection().await?;
        match connection.api.at_block(subxt::utils::H256::from(block)).await {
            Ok(at) => Ok((connection, at)),
            Err(OnlineClientAtBlockError::BlockHeaderNotFound { .. }) => Err(self.no_block(block)),
            Err(error) => Err(connection.failed(task, error)),
        }
    }

    pub(crate) fn check_count(&self, count: usize, entries: &'static str) -> Result<(), ChainError> {
        if count < ENTRY_LIMIT {
            return Ok(());
        }
        Err(ChainError::TooMany { address: self.address().to_string(), entries, limit: ENTRY_LIMIT })
    }
}

/// Decodes a stored registration. The first pass only walks over the bytes: decoding into a [`Value`] reserves memory for as many
/// items as a length announces, so the lengths must be known to be true before that.
fn decode_registration(stored: &StorageValue<'_, Value>) -> Result<Value, MalformedCommitment> {
    if stored.bytes().len() > REGISTRATION_LIMIT {
        return Err(malformed(format!("takes more than {REGISTRATION_LIMIT} bytes of storage")));
    }
    stored.visit(IgnoreVisitor::new()).map_err(|error| malformed(format!("cannot be decoded: {error}")))?;
    stored.decode().map_err(|error| malformed(format!("cannot be decoded: {error}")))
}

fn malformed(what: impl Into<String>) -> MalformedCommitment {
    MalformedCommitment(bounded(what.into()))
}

/// `Registration { deposit, block, info: CommitmentInfo { fields: [Data] } }`.
fn read_registration(registration: &Value) -> (Option<BlockNumber>, Result<Vec<u8>, MalformedCommitment>) {
    let block = registration.at("block").and_then(value::number).and_then(|number| u64::try_from(number).ok());
    let Some(fields) = registration.at("info").and_then(|info| info.at("fields")) else {
        return (block.map(BlockNumber), Err(malformed("has no fields")));
    };
    (block.map(BlockNumber), read_fields(fields))
}

/// The bytes of the one raw field that holds any (`Raw1` to `Raw128`, `BigRaw`). What else a field can be says nothing about a policy and
/// changes nothing beside one: `None`; `ResetBondsFlag`, which the chain itself acts on; the hashes `BlakeTwo256`, `Sha256`, `Keccak256`
/// and `ShaThree256`; `TimelockEncrypted`, which the chain takes out when it opens; and what a later runtime may add.
fn read_fields(fields: &Value) -> Result<Vec<u8>, MalformedCommitment> {
    let fields = value::variants(fields);
    if fields.is_empty() {
        return Err(malformed("has no fields"));
    }
    let raw = fields.iter().filter(|field| is_raw(&field.name));
    let raw = raw.map(|field| value::bytes(&field.values)).collect::<Option<Vec<_>>>();
    let mut raw = raw.ok_or_else(|| malformed("holds something else than bytes"))?;
    let any = !raw.is_empty();
    raw.retain(|bytes| !bytes.is_empty());
    let data = match (raw.pop(), raw.len()) {
        (Some(data), 0) => data,
        (Some(_), others) => {
            return Err(malformed(format!("has {} raw fields, expected one: commit the policy alone", others + 1)));
        }
        (None, _) if any => return Err(malformed("is empty")),
        (None, _) => {
            let kinds = fields.iter().map(|field| field.name.as_str()).collect::<Vec<_>>().join(", ");
            return Err(malformed(format!("holds no raw bytes ({kinds}): commit the policy in a raw field")));
        }
    };
    match data.len() {
        0..=COMMITMENT_LIMIT => Ok(data),
        length => Err(malformed(format!("has {length} bytes, at most {COMMITMENT_LIMIT} are allowed"))),
    }
}

fn is_raw(kind: &str) -> bool {
    kind == "BigRaw" || kind.strip_prefix("Raw").is_some_and(|length| length.parse::<u8>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registration(fields: Vec<Value>) -> Value {
        Value::named_composite([
            ("deposit", Value::u128(0)),
            ("block", Value::u128(7)),
            (
                "info",
                Value::named_composite([("fields", Value::unnamed_composite([Value::unnamed_composite(fields)]))]),
            ),
        ])
    }

    fn raw(name: &str, data: &[u8]) -> Value {
        Value::unnamed_variant(name, [Value::from_bytes(data)])
    }

    #[test]
    fn one_raw_field_is_read() {
        let read = read_registration(&registration(vec![raw("Raw5", b"hello")]));
        assert_eq!(read, (Some(BlockNumber(7)), Ok(b"hello".to_vec())));
    }

    fn bare(name: &str) -> Value {
        Value::unnamed_variant(name, [])
    }

    fn timelocked() -> Value {
        let fields = [("encrypted", Value::from_bytes(b"sealed")), ("reveal_round", Value::u128(7))];
        Value::named_variant("TimelockEncrypted", fields)
    }

    /// Every kind that a field can have, besides raw bytes.
    fn without_a_policy() -> [Value; 8] {
        let hash = |name| raw(name, &[1; 32]);
        let hashes = [hash("BlakeTwo256"), hash("Sha256"), hash("Keccak256"), hash("ShaThree256")];
        let [blake, sha2, keccak, sha3] = hashes;
        [bare("None"), bare("ResetBondsFlag"), raw("Raw0", b""), blake, sha2, keccak, sha3, timelocked()]
    }

    #[test]
    fn what_stands_beside_the_one_raw_field_changes_nothing() {
        for beside in without_a_policy() {
            for name in ["Raw5", "BigRaw"] {
                let policy = raw(name, b"hello");
                for fields in [vec![policy.clone(), beside.clone()], vec![beside.clone(), policy, beside.clone()]] {
                    let read = read_registration(&registration(fields));
                    assert_eq!(read, (Some(BlockNumber(7)), Ok(b"hello".to_vec())), "{beside}");
                }
            }
        }
    }

    #[test]
    fn other_fields_are_malformed_with_the_reason() {
        let long = [7; 129];
        for (fields, reason) in [
            (vec![], "has no fields"),
            (vec![raw("Raw1", b"a"), raw("Raw1", b"b")], "has 2 raw fields"),
            (vec![raw("Raw1", b"a"), bare("ResetBondsFlag"), raw("BigRaw", b"b")], "has 2 raw fields"),
            (vec![bare("None")], "holds no raw bytes (None)"),
            (vec![bare("ResetBondsFlag")], "holds no raw bytes (ResetBondsFlag)"),
            (vec![raw("Sha256", &[1; 32]), bare("None")], "holds no raw bytes (Sha256, None)"),
            (vec![timelocked()], "holds no raw bytes (TimelockEncrypted)"),
            (vec![raw("Raw0", b"")], "is empty"),
            (vec![raw("Raw0", b""), bare("ResetBondsFlag")], "is empty"),
            (vec![raw("BigRaw", &long)], "has 129 bytes"),
            (vec![Value::unnamed_variant("Raw1", [Value::bool(true)])], "something else than bytes"),
        ] {
            let (block, data) = read_registration(&registration(fields));
            assert_eq!(block, Some(BlockNumber(7)));
            let sentence = data.expect_err(reason).to_string();
            assert!(sentence.contains(reason), "{sentence}");
        }
        assert!(read_registration(&Value::u128(1)).1.is_err());
    }
}
