//! The subnet's rules, its validators and their weights, as of one block.
//!
//! A value that is not stored has the default of the node's own metadata (1024 for `MinAllowedWeights`, commit-reveal on), as in
//! the runtime itself. What a runtime does not keep at all, and a reader can do without, does not restrict anybody.

use std::collections::BTreeSet;

use kinitro_domain::{BlockNumber, Hotkey, MinerUid};
use subxt::dynamic;

use crate::{
    BlockHash, ChainClient, ChainError, account_of, hotkey_of,
    reader::{Reader, account, number},
};

const PALLET: &str = "SubtensorModule";
/// What the chain's own default has been where it is kept as a number of blocks.
const ACTIVITY_CUTOFF: u64 = 5_000;
/// Mechanism 1 of subnet 7 has its weights at index 4096 + 7 (`GLOBAL_MAX_SUBNET_COUNT` of subtensor's pallet).
const MECHANISM_STRIDE: u16 = 4_096;

/// What the owner of a subnet and the chain have set for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subnet {
    /// How many uids it has.
    pub size: u16,
    /// How many blocks an epoch has, but for one.
    pub tempo: u16,
    /// How many blocks must lie between two settings of weights by one hotkey.
    pub weights_rate_limit: u64,
    /// The lowest version key that weights are taken with; 0 takes all.
    pub weights_version: u64,
    /// For how many uids a validator must set weights at least, or for all if there are fewer.
    pub min_allowed_weights: u16,
    /// The largest share of one weight, in 65535ths.
    pub max_weight_limit: u16,
    /// Whether weights must be committed sealed and are revealed later.
    pub commit_reveal: bool,
    /// The format of sealed weights. One for the whole chain.
    pub commit_reveal_version: u16,
    /// After how many epochs sealed weights are revealed.
    pub reveal_period_epochs: u64,
    /// After how many blocks without new weights a validator counts as inactive.
    pub activity_cutoff: u64,
    /// The lowest stake that weights are taken with, in rao. One for the whole chain.
    pub stake_threshold: u64,
    /// The hotkey of the subnet's owner, which needs no permit.
    pub owner_hotkey: Option<Hotkey>,
    /// How many mechanisms it has.
    pub mechanisms: u8,
    /// Blocks since the last epoch.
    pub blocks_since_last_step: u64,
    /// The block of the last epoch; `None` where the runtime does not keep it (spec 419).
    pub last_epoch_block: Option<u64>,
    /// The block that an epoch was asked for at, 0 for none; `None` where the runtime does not keep it.
    pub pending_epoch_at: Option<u64>,
    /// The number of the current epoch; `None` where the runtime does not keep it.
    pub epoch_index: Option<u64>,
}

/// A hotkey's standing as a validator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Validator {
    /// Its place on the subnet.
    pub uid: MinerUid,
    /// Whether it holds a validator permit.
    pub permit: bool,
    /// The block of its newest weights, or of its registration.
    pub last_update: BlockNumber,
    /// The stake on the hotkey in this subnet, in rao. The chain adds root stake and children's before it compares.
    pub stake: u64,
}

impl ChainClient {
    /// The subnet's rules at a block; `None` when there is no such subnet.
    pub async fn subnet_at(&self, block: BlockHash, netuid: u16) -> Result<Option<Subnet>, ChainError> {
        const TASK: &str = "reading the hyperparameters of the subnet";
        self.reading(TASK, async {
            let (connection, at) = self.at(block, TASK).await?;
            let read = Reader { connection: &connection, at: &at, pallet: PALLET, task: TASK };
            let of = |item| read.of_subnet::<u64>(item, netuid);
            let exists = read.stored::<bool>("NetworksAdded", vec![number(netuid)]).await?;
            if exists != Some(true) {
                return Ok(None);
            }
            let tempo: u16 = read.of_subnet("Tempo", netuid).await?;
            let factor = read.stored("ActivityCutoffFactorMilli", vec![number(netuid)]).await?;
            let owner = read.stored::<[u8; 32]>("SubnetOwnerHotkey", vec![number(netuid)]).await?;
            Ok(Some(Subnet {
                size: read.of_subnet("SubnetworkN", netuid).await?,
                tempo,
                weights_rate_limit: of("WeightsSetRateLimit").await?,
                weights_version: of("WeightsVersionKey").await?,
                min_allowed_weights: read.of_subnet("MinAllowedWeights", netuid).await?,
                max_weight_limit: read.of_subnet_or("MaxWeightsLimit", netuid, u16::MAX).await?,
                commit_reveal: read.of_subnet("CommitRevealWeightsEnabled", netuid).await?,
                commit_reveal_version: read.needed("CommitRevealWeightsVersion", Vec::new()).await?,
                reveal_period_epochs: of("RevealPeriodEpochs").await?,
                activity_cutoff: match factor {
                    Some(factor) => cutoff(factor, tempo),
                    None => read.of_subnet_or("ActivityCutoff", netuid, ACTIVITY_CUTOFF).await?,
                },
                stake_threshold: read.needed("StakeThreshold", Vec::new()).await?,
                // The default is the key of zeros: no owner.
                owner_hotkey: owner.filter(|key| *key != [0; 32]).map(hotkey_of),
                mechanisms: read.of_subnet_or("MechanismCountCurrent", netuid, 1).await?,
                blocks_since_last_step: of("BlocksSinceLastStep").await?,
                last_epoch_block: read.stored("LastEpochBlock", vec![number(netuid)]).await?,
                pending_epoch_at: read.stored("PendingEpochAt", vec![number(netuid)]).await?,
                epoch_index: read.stored("SubnetEpochIndex", vec![number(netuid)]).await?,
            }))
        })
        .await
    }

    /// The subnets that there are at a block, in order.
    pub async fn netuids_at(&self, block: BlockHash) -> Result<Vec<u16>, ChainError> {
        const TASK: &str = "reading which subnets there are";
        self.reading(TASK, async {
            let (connection, at) = self.at(block, TASK).await?;
            let address = dynamic::storage::<(u16,), bool>(PALLET, "NetworksAdded");
            let entries = at.storage().iter(address, ()).await;
            let mut entries = entries.map_err(|error| connection.failed(TASK, error))?;
            let mut netuids = BTreeSet::new();
            while let Some(entry) = entries.next().await {
                let entry = entry.map_err(|error| connection.failed(TASK, error))?;
                self.check_count(netuids.len(), "subnets")?;
                let netuid = entry.key().and_then(|key| match key.part(0) {
                    Some(part) => part.decode_as::<u16>(),
                    None => Ok(None),
                });
                let netuid = netuid.map_err(|error| connection.failed(TASK, error))?;
                let added = entry.value().decode().map_err(|error| connection.failed(TASK, error))?;
                netuids.extend(netuid.filter(|_| added));
            }
            Ok(netuids.into_iter().collect())
        })
        .await
    }

    /// A hotkey's standing on a subnet at a block; `None` when it is not registered there.
    pub async fn validator_at(
        &self,
        block: BlockHash,
        netuid: u16,
        hotkey: &Hotkey,
    ) -> Result<Option<Validator>, ChainError> {
        self.mechanism_validator_at(block, netuid, 0, hotkey).await
    }

    /// As [`validator_at`](Self::validator_at); the last update is that of one of the subnet's mechanisms.
    pub async fn mechanism_validator_at(
        &self,
        block: BlockHash,
        netuid: u16,
        mechanism: u8,
        hotkey: &Hotkey,
    ) -> Result<Option<Validator>, ChainError> {
        const TASK: &str = "reading the validator's standing";
        let Some(index) = storage_index(netuid, mechanism) else { return Ok(None) };
        let key = account_of(hotkey)?;
        self.reading(TASK, async {
            let (connection, at) = self.at(block, TASK).await?;
            let read = Reader { connection: &connection, at: &at, pallet: PALLET, task: TASK };
            let Some(uid) = read.stored::<u16>("Uids", vec![number(netuid), account(&key)]).await? else {
                return Ok(None);
            };
            let permits = read.stored::<Vec<bool>>("ValidatorPermit", vec![number(netuid)]).await?.unwrap_or_default();
            let updates = read.stored::<Vec<u64>>("LastUpdate", vec![number(index)]).await?.unwrap_or_default();
            let stake =
                read.stored::<u64>("TotalHotkeyAlpha", vec![account(&key), number(netuid)]).await?.unwrap_or_default();
            Ok(Some(Validator {
                uid: MinerUid(uid),
                permit: permits.get(usize::from(uid)).copied().unwrap_or_default(),
                last_update: BlockNumber(updates.get(usize::from(uid)).copied().unwrap_or_default()),
                stake,
            }))
        })
        .await
    }

    /// The weights of a uid on a subnet (mechanism 0) at a block, as stored: the largest is 65535.
    pub async fn weights_at(
        &self,
        block: BlockHash,
        netuid: u16,
        uid: MinerUid,
    ) -> Result<Vec<(MinerUid, u16)>, ChainError> {
        self.mechanism_weights_at(block, netuid, 0, uid).await
    }

    /// The weights of a uid for one of a subnet's mechanisms at a block.
    pub async fn mechanism_weights_at(
        &self,
        block: BlockHash,
        netuid: u16,
        mechanism: u8,
        uid: MinerUid,
    ) -> Result<Vec<(MinerUid, u16)>, ChainError> {
        const TASK: &str = "reading the weights of a validator";
        let Some(index) = storage_index(netuid, mechanism) else { return Ok(Vec::new()) };
        self.reading(TASK, async {
            let (connection, at) = self.at(block, TASK).await?;
            let read = Reader { connection: &connection, at: &at, pallet: PALLET, task: TASK };
            let weights = read
                .stored::<Vec<(u16, u16)>>("Weights", vec![number(index), number(uid.0)])
                .await?
                .unwrap_or_default();
            Ok(weights.into_iter().map(|(uid, weight)| (MinerUid(uid), weight)).collect())
        })
        .await
    }
}

/// Newer runtimes keep a factor in thousandths of the tempo, which counts whatever older ones left behind
/// (`get_activity_cutoff_blocks` of subtensor's pallet).
fn cutoff(factor: u32, tempo: u16) -> u64 {
    (u64::from(factor) * u64::from(tempo) / 1_000).max(1)
}

fn storage_index(netuid: u16, mechanism: u8) -> Option<u16> {
    MECHANISM_STRIDE.checked_mul(mechanism.into())?.checked_add(netuid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_activity_cutoff_is_in_thousandths_of_the_tempo() {
        // The chain's defaults make 5000 blocks.
        assert_eq!(cutoff(13_889, 360), 5_000);
        assert_eq!(cutoff(1_000, 10), 10);
        assert_eq!(cutoff(1, 10), 1);
        assert_eq!(cutoff(u32::MAX, u16::MAX), 281_470_681_677);
    }
}
