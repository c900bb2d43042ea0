//! Weights on a subnet that hides them until later (commit-reveal).
//!
//! They are committed sealed for a round of the chain's beacon, and the chain opens them by itself in a later epoch. Until then the
//! chain shows the old ones, and what was committed cannot be read back. So the memory on disk knows what was committed, and
//! [`watch`](crate::watch) checks when the time has come whether the chain showed just that.
//!
//! Time is the chain's: the time of its newest block, and what its last blocks took, but no more than blocks take when nothing is
//! wrong. Weights whose round comes too early wait for their epoch; weights whose round comes too late are lost.

use std::time::Duration;

use kinitro_chain::{BlockClock, Call, ChainError, RevealError, WeightsPayload, account_of};
use kinitro_domain::BlockNumber;

use crate::{
    Error, Obstacle, check::Published, fit::Fitted, memory::Reveal, send::message, status::Area, validator::Validator,
    view::View,
};

/// The only format of sealed weights that is known here; the chain's since 2025.
const COMMIT_REVEAL_VERSION: u16 = 4;
/// Over so many blocks the time from one to the next is measured.
const MEASURED_BLOCKS: u32 = 20;
/// The time between two blocks of a chain that is in order.
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
        let (commit, mut reveal) = match self.seal(view, &fitted).await? {
            Ok(sealed) => sealed,
            Err(reason) => {
                let obstacle = Obstacle::CommitReveal(reason);
                self.status.raise(Area::Setting, obstacle.cause(), obstacle.to_string());
                return Ok(());
            }
        };
        let memory = self.store.memory(genesis);
        let mut due = memory.committed().map(|committed| &committed.message.weights);
        reveal.shown_before = view.on_chain == fitted.weights || due.any(|weights| *weights == fitted.weights);
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
    async fn seal(&self, view: &View, fitted: &Fitted) -> Result<Result<(Vec<u8>, Reveal), String>, Error> {
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
        let weights = fitted.padded(view.padded_length(fitted));
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
            let reveal = Reveal { round, from: BlockNumber(from), until: BlockNumber(until), shown_before: false };
            Ok::<_, RevealError>((payload.seal(&beacon, round)?, reveal))
        };
        Ok(sealed().map_err(|error| error.to_string()))
    }

    /// The chain's time at its head, and the time that its last blocks took on average.
    async fn clock(&self, head: u64, now: Duration) -> Result<BlockClock, Error> {
        let since = head.saturating_sub(MEASURED_BLOCKS.into());
        // The first block has no time.
        let earlier = match since {
            0 => None,
            since => self.chain.block_hash(BlockNumber(since)).await?,
        };
        let block_time = match earlier {
            Some(hash) => match self.chain.time_at(hash).await {
                Ok(then) => block_time(now.saturating_sub(then)),
                Err(ChainError::Node { .. } | ChainError::BlockNotFound { .. }) => BLOCK_TIME,
                Err(error) => return Err(error.into()),
            },
            None => BLOCK_TIME,
        };
        Ok(BlockClock { now, block_time })
    }
}

/// The time that one of the measured blocks took. Blocks that stood still for a while say nothing about the next ones.
fn block_time(took: Duration) -> Duration {
    (took / MEASURED_BLOCKS).min(BLOCK_TIME)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_between_blocks_makes_the_next_ones_no_slower() {
        assert_eq!(block_time(Duration::from_secs(20 * 12)), Duration::from_secs(12));
        assert_eq!(block_time(Duration::from_secs(20 * 12 + 600)), Duration::from_secs(12));
        assert_eq!(block_time(Duration::from_secs(5)), Duration::from_millis(250), "a chain with fast blocks");
    }
}
