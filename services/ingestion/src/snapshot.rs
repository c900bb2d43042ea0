//! What is known of the subnet at one finalized block.

use kinitro_chain::BlockRef;
use kinitro_domain::{BlockNumber, Hotkey, MinerUid};
use kinitro_proto::ingestion::v1 as proto;

/// All miners at one block.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    pub block: BlockRef,
    /// Seconds and nanoseconds since 1970.
    pub observed_at: (i64, i32),
    pub netuid: u16,
    /// In order of uid.
    pub miners: Vec<Miner>,
}

/// Whether a miner can be evaluated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    Active,
    Uncommitted,
    Invalid,
    DuplicateEndpoint,
}

impl Status {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Uncommitted => "uncommitted",
            Self::Invalid => "invalid",
            Self::DuplicateEndpoint => "duplicate_endpoint",
        }
    }

    /// The table's check admits no other text than these four.
    pub fn from_stored(text: &str) -> Self {
        match text {
            "active" => Self::Active,
            "uncommitted" => Self::Uncommitted,
            "duplicate_endpoint" => Self::DuplicateEndpoint,
            _ => Self::Invalid,
        }
    }
}

/// One neuron and its policy. Texts are empty and blocks 0 where there is none.
#[derive(Debug, Clone, PartialEq)]
pub struct Miner {
    pub uid: MinerUid,
    pub hotkey: Hotkey,
    pub status: Status,
    pub status_reason: String,
    pub repo: String,
    pub revision: String,
    pub endpoint: String,
    pub endpoint_encrypted: bool,
    pub first_commit_block: BlockNumber,
    pub commit_block: BlockNumber,
    /// The bytes on the chain.
    pub commitment: Vec<u8>,
}

impl Snapshot {
    /// The answer to `ListMiners`; `stale` when no block was read since the start.
    pub fn to_proto(&self, stale: bool) -> proto::ListMinersResponse {
        proto::ListMinersResponse {
            block_number: self.block.number.0,
            block_hash: self.block.hash.to_string(),
            observed_at: Some(prost_types::Timestamp { seconds: self.observed_at.0, nanos: self.observed_at.1 }),
            netuid: self.netuid.into(),
            miners: self.miners.iter().map(Miner::to_proto).collect(),
            stale,
        }
    }

    /// Whether something besides the block and the time differs.
    pub fn differs_from(&self, other: &Self) -> bool {
        self.netuid != other.netuid || self.miners != other.miners
    }
}

impl Miner {
    fn to_proto(&self) -> proto::Miner {
        proto::Miner {
            uid: self.uid.0.into(),
            hotkey: self.hotkey.to_string(),
            status: self.status.as_str().to_owned(),
            status_reason: self.status_reason.clone(),
            repo: self.repo.clone(),
            revision: self.revision.clone(),
            endpoint: self.endpoint.clone(),
            endpoint_encrypted: self.endpoint_encrypted,
            first_commit_block: self.first_commit_block.0,
            commit_block: self.commit_block.0,
        }
    }
}
