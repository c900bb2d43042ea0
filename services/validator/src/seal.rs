//! Weights on a subnet that hides them until later (commit-reveal).
//!
//! They are committed sealed for a round of the chain's beacon, and the chain opens them by itself in a later epoch. Until then the
//! chain shows the old ones, and what was committed cannot be read back. So the memory on disk knows what was committed, and whether
//! the chain showed just that is checked when the time has come.
//!
//! Time is the chain's: the time of its newest block, and what its last blocks took.

use std::time::Duration;

use kinitro_chain::{BlockClock, Call, ChainError, RevealError, WeightsPayload, account_of};
use kinitro_domain::{BlockNumber, MinerUid};

use crate::{
    Error, Obstacle,
    check::Published,
    fit::Fitted,
    send::message,
    state::Reveal,
    status::Area,
    validator::{Validator, View},
};

/// The only format of sealed weights that is known here; the chain's since 2025.
const COMMIT_REVEAL_VERSION: u16 = 4;
/// Over so many blocks the time from one to the next is measured.
const MEASURED_BLOCKS: u64 = 20;
/// The time between two blocks of a chain that is too young to be measured.
const BLOCK_TIME: Duration = Duration::from_secs(12);
/// Blocks by which an epoch may be late.
const LATE_BLOCKS: u64 = 20;

impl Validator {
    /// Commits weights sealed.
    pub(crate) async fn commit(
        &mut self,
        genesis: &str,
        view: &View,
        published: &Published,
        fitted: Fitted,
    ) -> Result<(), Error> {
        let (commit, reveal) = match self.seal(view, &fitted.weights).await? {
            Ok(sealed) => sealed,
            Err(reason) => {
                let obstacle = Obstacle::CommitReveal(reason);
                self.status.raise(Area::Setting, obstacle.cause(), obstacle.to_string());
                return Ok(());
            }
        };
        let call = Call::CommitTimelockedWeights {
            netuid: self.config.netuid,
            mechanism: Some(self.config.mechanism).filter(|mechanism| *mechanism != 0),
            commit,
            reveal_round: reveal.round,
            commit_reveal_version: COMMIT_REVEAL_VERSION,
        };
        self.send(genesis, call, message(published, fitted, Some(reveal))).await
    }

    /// Seals weights for the epoch in which the chain will open them; or says why that is not possible.
    async fn seal(&self, view: &View, weights: &[(MinerUid, u16)]) -> Result<Result<(Vec<u8>, Reveal), String>, Error> {
        let version = view.subnet.commit_reveal_version;
        if version != COMMIT_REVEAL_VERSION {
            return Ok(Err(format!(
                "the chain asks for version {version} of sealed weights, this validator knows version {COMMIT_REVEAL_VERSION}: update it"
            )));
        }
        // The epoch that counts is that of the block which takes the transaction, so the newest block is looked at.
        let head = self.chain.best_head().await?;
        let netuid = self.config.netuid;
        let subnet = self.chain.subnet_at(head.hash, netuid).await?;
        let subnet = subnet.as_ref().unwrap_or(&view.subnet);
        let beacon = self.chain.beacon_at(head.hash).await?;
        let clock = self.clock(head.number.0, self.chain.time_at(head.hash).await?).await?;
        let payload = WeightsPayload {
            hotkey: account_of(&self.signer.hotkey())?,
            uids: weights.iter().map(|(uid, _)| uid.0).collect(),
            values: weights.iter().map(|(_, value)| *value).collect(),
            version_key: self.config.version_key.unwrap_or(subnet.weights_version),
        };
        let (schedule, period) = (subnet.epoch_schedule(netuid), subnet.reveal_period_epochs);
        let sealed = || {
            let from = schedule.first_reveal_block(head.number.0, period)?;
            let round = schedule.reveal_round(head.number.0, period, &beacon, clock)?;
            // The transaction may get into a block of the epoch after this one, and is opened an epoch later then.
            let until = from.saturating_add(2 * (u64::from(subnet.tempo) + 1)).saturating_add(LATE_BLOCKS);
            let reveal = Reveal { round, from: BlockNumber(from), until: BlockNumber(until) };
            Ok::<_, RevealError>((payload.seal(&beacon, round)?, reveal))
        };
        Ok(sealed().map_err(|error| error.to_string()))
    }

    /// The chain's time at its head, and the time that its last blocks took on average.
    async fn clock(&self, head: u64, now: Duration) -> Result<BlockClock, Error> {
        let since = head.saturating_sub(MEASURED_BLOCKS);
        // The first block has no time.
        let earlier = match since {
            0 => None,
            since => self.chain.block_hash(BlockNumber(since)).await?,
        };
        let block_time = match earlier {
            Some(hash) => match self.chain.time_at(hash).await {
                Ok(then) => now.saturating_sub(then) / u32::try_from(MEASURED_BLOCKS).unwrap_or(1),
                Err(ChainError::Node { .. } | ChainError::BlockNotFound { .. }) => BLOCK_TIME,
                Err(error) => return Err(error.into()),
            },
            None => BLOCK_TIME,
        };
        Ok(BlockClock { now, block_time })
    }

    /// Whether the chain showed what was committed.
    pub(crate) fn watch_reveal(&mut self, genesis: &str, view: &View) -> Result<(), Error> {
        let memory = self.store.memory(genesis);
        let Some(last) = memory.last_set.filter(|last| last.revealed.is_none()) else { return Ok(()) };
        let Some(reveal) = last.message.reveal else { return Ok(()) };
        let Some(as_committed) = revealed(reveal, view.head.number, view.on_chain == last.message.weights) else {
            return Ok(());
        };
        self.store.update(genesis, |memory| {
            if let Some(last) = &mut memory.last_set {
                last.revealed = Some(as_committed);
            }
        })?;
        self.remember(genesis);
        let outcome = if as_committed { "as_committed" } else { "otherwise" };
        metrics::counter!("kinitro_validator_reveals_total", "outcome" => outcome).increment(1);
        let (block, cycle) = (last.at, last.message.cycle_id);
        if as_committed {
            tracing::info!(%block, %cycle, "the chain revealed the weights as they were committed");
            self.status.clear(Area::ReadBack);
        } else {
            let reason = format!(
                "the weights that were committed in block {block} were not revealed up to block {}: \
                 the subnet's epochs moved, or the beacon was late",
                view.head.number
            );
            self.status.raise(Area::ReadBack, "reveal", reason);
        }
        Ok(())
    }
}

/// Whether the weights were revealed as committed, once that is known. Equal weights before the reveal are older ones.
fn revealed(reveal: Reveal, now: BlockNumber, equal: bool) -> Option<bool> {
    match now {
        now if now < reveal.from => None,
        _ if equal => Some(true),
        now if now <= reveal.until => None,
        _ => Some(false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reveal_is_judged_within_its_time() {
        let reveal = Reveal { round: 1, from: BlockNumber(100), until: BlockNumber(200) };
        let at = |now, equal| revealed(reveal, BlockNumber(now), equal);
        assert_eq!(at(99, true), None, "these are the weights of before");
        assert_eq!((at(99, false), at(100, false), at(200, false)), (None, None, None));
        assert_eq!((at(100, true), at(200, true), at(201, true)), (Some(true), Some(true), Some(true)));
        assert_eq!(at(201, false), Some(false));
    }
}
