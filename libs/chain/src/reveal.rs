//! Weights on a subnet with commit-reveal: what is sealed, and for which round of the beacon.
//!
//! A validator commits its weights sealed for a round ([`WeightsPayload::seal`]); at the first block of the epoch that lies the
//! subnet's reveal period after the commit's epoch, the chain opens them with the round's signature and sets them. So the round
//! must be signed, and known to the chain, when that epoch runs, and should not be signed much before.
//! [`EpochSchedule::reveal_round`] finds it as the validators' Python packages do.
//!
//! # The formula
//!
//! The round is the one before the newest at `now + (first + 3 - head) * block_time`, at least 1, where `first` is the first
//! block of the reveal epoch and `head` the newest block. So do `get_encrypted_commit` of `bittensor-drand` 1.3.0 (for
//! [`EpochSchedule::Counted`]) and `get_encrypted_commit_v2` of `bittensor-drand` 2.0.0, which SDK 10.5.0 calls, and of
//! `bittensor-core` 0.1.5 (for [`EpochSchedule::Stored`]). The three blocks are theirs, for the chain to learn the signature.
//! And `first` is:
//!
//! - `Counted`: epoch e begins at block `e * (tempo + 1) - (netuid + 1)`; the commit's epoch is that of `head`.
//! - `Stored`: an epoch runs at a block that is `tempo` blocks after the last one, or at which the owner asked for one, or when
//!   50,400 blocks went by without one. The commit's epoch is that of `head + 1`, with an epoch that is due there counted.
//!
//! # Contracts that do not show
//!
//! - The chain refuses a commit whose round is older than its newest stored one (`InvalidRevealRound`), longer than
//!   [`COMMIT_LIMIT`], or of another `commit_reveal_version` than its own. The payload here is that of version 4.
//! - The chain drops a payload whose hotkey is not the one that committed. It also opens payloads without a hotkey (those of
//!   older versions) and ignores bytes after the end; [`WeightsPayload::decode`] refuses both.
//! - The prediction holds while the schedule does. An epoch that the owner asks for after the commit, a new tempo, or a chain that
//!   puts an epoch off (it runs a few subnets' a block) moves the reveal epoch. A round that comes too late for an epoch is tried
//!   again at every block until the epoch's end, then the commit is lost; so commit again every epoch.
//! - Proven by the tests: payload and rounds are those of the Python packages. Nothing here ran against a real chain.

use std::time::Duration;

use kinitro_timelock::{Beacon, TimelockError, decrypt, encrypt};
use subxt::ext::codec::{Decode as _, Encode as _};

use crate::Subnet;

/// The longest sealed payload that the chain takes (`MAX_CRV3_COMMIT_SIZE_BYTES` of subtensor's pallet).
pub const COMMIT_LIMIT: usize = 5_000;

/// The longest reveal period that the chain lets a subnet have (`MAX_COMMIT_REVEAL_PEROIDS`), in epochs.
const PERIOD_LIMIT: u64 = 100;

/// The chain's longest tempo, in blocks: after that many without an epoch, one runs.
const TEMPO_LIMIT: u64 = 50_400;

/// Blocks that the chain gets for learning the signature, after the reveal epoch's first.
const INGESTION: u64 = 3;

/// Why weights cannot be sealed for a subnet, or opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RevealError {
    /// The subnet has no epochs.
    #[error("the subnet's tempo is 0: it has no epochs, so sealed weights would never be revealed")]
    NoEpochs,
    /// The reveal period is none that the chain allows.
    #[error("the subnet's reveal period is {0} epochs; the chain allows 1 to {PERIOD_LIMIT}")]
    Period(u64),
    /// The schedule leads nowhere.
    #[error("the subnet's schedule has no epoch to reveal in within reach; read the subnet again")]
    Unreachable,
    /// The sealed weights are too long for the chain.
    #[error("the sealed weights have {0} bytes; the chain takes at most {COMMIT_LIMIT}: set weights for fewer miners")]
    CommitTooLong(usize),
    /// What was sealed is no payload.
    #[error("what was sealed is no weights payload: {0}")]
    Payload(&'static str),
    /// Sealing or opening failed.
    #[error(transparent)]
    Timelock(#[from] TimelockError),
}

/// What a validator seals: its weights, and whose they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WeightsPayload {
    /// The public key of the hotkey that commits.
    pub hotkey: [u8; 32],
    /// The miners.
    pub uids: Vec<u16>,
    /// Their weights, in the same order; the largest should be 65535.
    pub values: Vec<u16>,
    /// At least the subnet's `weights_version`.
    pub version_key: u64,
}

impl WeightsPayload {
    /// In SCALE: the hotkey as a list of bytes, the uids, the values, the version key.
    pub fn encode(&self) -> Vec<u8> {
        (self.hotkey.as_slice(), &self.uids, &self.values, self.version_key).encode()
    }

    /// Reads what [`WeightsPayload::encode`] writes. The lists may have different lengths: the chain refuses such weights, with
    /// an error of its own.
    ///
    /// # Errors
    ///
    /// The bytes are cut off or too many, or the hotkey has not 32 bytes.
    pub fn decode(mut bytes: &[u8]) -> Result<Self, RevealError> {
        let (hotkey, uids, values, version_key) = <(Vec<u8>, Vec<u16>, Vec<u16>, u64)>::decode(&mut bytes)
            .map_err(|_| RevealError::Payload("it is cut off, or of another format"))?;
        if !bytes.is_empty() {
            return Err(RevealError::Payload("bytes follow its end"));
        }
        let hotkey = hotkey.try_into().map_err(|_| RevealError::Payload("the hotkey must have 32 bytes"))?;
        Ok(Self { hotkey, uids, values, version_key })
    }

    /// Seals the weights for a round of the beacon.
    ///
    /// # Errors
    ///
    /// The result is longer than the chain takes (above a thousand miners), or there is no such round.
    pub fn seal(&self, beacon: &Beacon, round: u64) -> Result<Vec<u8>, RevealError> {
        let commit = encrypt(beacon, round, &self.encode())?;
        if commit.len() > COMMIT_LIMIT { Err(RevealError::CommitTooLong(commit.len())) } else { Ok(commit) }
    }

    /// Opens what [`WeightsPayload::seal`] made, with the beacon's signature of the round.
    ///
    /// # Errors
    ///
    /// The bytes are no sealed payload, or the signature is of another round.
    pub fn open(commit: &[u8], signature: &[u8]) -> Result<Self, RevealError> {
        if commit.len() > COMMIT_LIMIT {
            return Err(RevealError::CommitTooLong(commit.len()));
        }
        Self::decode(&decrypt(commit, signature)?)
    }
}

/// Where a subnet's epochs fall, as its runtime decides it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EpochSchedule {
    /// By counting blocks, as runtimes without `SubtensorModule.LastEpochBlock` do (spec 419).
    Counted {
        /// The subnet.
        netuid: u16,
        /// Blocks of an epoch, but for one.
        tempo: u16,
    },
    /// By what the runtime stores of each subnet (spec 461).
    Stored {
        /// Blocks from one epoch to the next.
        tempo: u16,
        /// The block of the last epoch.
        last_epoch_block: u64,
        /// The block that the owner asked for an epoch at, 0 for none.
        pending_epoch_at: u64,
        /// Blocks since the last epoch, as the runtime counts them itself.
        blocks_since_last_step: u64,
    },
}

/// The time at the newest block, and how fast blocks come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockClock {
    /// Time since 1970. The Python packages take the machine's clock; a clock that is wrong, or a chain that stands still, seals
    /// for the wrong round.
    pub now: Duration,
    /// From one block to the next: 12 seconds on mainnet and testnet.
    pub block_time: Duration,
}

impl Subnet {
    /// Where this subnet's epochs fall. The number of the epoch is not needed: epochs are counted from the newest block.
    pub fn epoch_schedule(&self, netuid: u16) -> EpochSchedule {
        match self.last_epoch_block {
            None => EpochSchedule::Counted { netuid, tempo: self.tempo },
            Some(last_epoch_block) => EpochSchedule::Stored {
                tempo: self.tempo,
                last_epoch_block,
                pending_epoch_at: self.pending_epoch_at.unwrap_or_default(),
                blocks_since_last_step: self.blocks_since_last_step,
            },
        }
    }
}

impl EpochSchedule {
    /// The round to seal weights for that are committed on top of `head`, where they are revealed `reveal_period_epochs` later.
    ///
    /// # Errors
    ///
    /// As [`EpochSchedule::first_reveal_block`].
    pub fn reveal_round(
        &self,
        head: u64,
        reveal_period_epochs: u64,
        beacon: &Beacon,
        clock: BlockClock,
    ) -> Result<u64, RevealError> {
        let target = self.first_reveal_block(head, reveal_period_epochs)?.saturating_add(INGESTION);
        let blocks = u128::from(target.saturating_sub(head));
        let nanoseconds = blocks.saturating_mul(clock.block_time.as_nanos()).saturating_add(clock.now.as_nanos());
        let seconds = u64::try_from(nanoseconds / 1_000_000_000).unwrap_or(u64::MAX);
        Ok(beacon.round_at(seconds).saturating_sub(1).max(1))
    }

    /// The first block at which the chain may open weights that are committed on top of `head`.
    ///
    /// # Errors
    ///
    /// The subnet has no epochs, or the period is none that the chain allows, or the schedule is nonsense.
    pub fn first_reveal_block(&self, head: u64, reveal_period_epochs: u64) -> Result<u64, RevealError> {
        if !(1..=PERIOD_LIMIT).contains(&reveal_period_epochs) {
            return Err(RevealError::Period(reveal_period_epochs));
        }
        match *self {
            Self::Counted { tempo: 0, .. } | Self::Stored { tempo: 0, .. } => Err(RevealError::NoEpochs),
            Self::Counted { netuid, tempo } => {
                let (length, offset) = (u64::from(tempo) + 1, u64::from(netuid) + 1);
                let epoch = head.saturating_add(offset) / length + reveal_period_epochs;
                Ok(epoch.saturating_mul(length).saturating_sub(offset))
            }
            Self::Stored { tempo, last_epoch_block, pending_epoch_at, blocks_since_last_step } => Epochs {
                tempo: u64::from(tempo),
                last: last_epoch_block,
                asked_for: pending_epoch_at,
                idle: blocks_since_last_step,
                passed: 0,
            }
            .first_reveal_block(head, reveal_period_epochs),
        }
    }
}

/// The stored schedule, block after block.
struct Epochs {
    tempo: u64,
    last: u64,
    asked_for: u64,
    idle: u64,
    passed: u64,
}

impl Epochs {
    fn due(&self, block: u64) -> bool {
        let asked_for = self.asked_for > 0 && block >= self.asked_for;
        asked_for || self.idle > TEMPO_LIMIT || block.saturating_sub(self.last) >= self.tempo
    }

    /// Epochs that began up to this block, seen from its beginning: the chain reveals before it runs a due epoch, and counts it.
    fn begun(&self, block: u64) -> u64 {
        self.passed + u64::from(self.due(block))
    }

    fn run(&mut self, block: u64) {
        self.idle = self.idle.saturating_add(1);
        if self.due(block) {
            *self = Self { tempo: self.tempo, last: block, asked_for: 0, idle: 0, passed: self.passed + 1 };
        }
    }

    // At most 101 tempos of blocks: five million steps of a few additions.
    fn first_reveal_block(mut self, head: u64, period: u64) -> Result<u64, RevealError> {
        let inclusion = head.saturating_add(1);
        let wanted = self.begun(inclusion) + period;
        for block in inclusion..=inclusion.saturating_add((period + 1) * TEMPO_LIMIT) {
            if self.begun(block) == wanted {
                return Ok(block);
            }
            self.run(block);
        }
        Err(RevealError::Unreachable)
    }
}

#[cfg(test)]
#[path = "reveal_tests.rs"]
mod tests;
