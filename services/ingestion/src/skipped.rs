//! What was committed, and replaced, in blocks that nobody read.
//!
//! Only the newest finalized block says who is evaluated. But a commitment that was replaced before any block was read would
//! lose its age, and its endpoint with it: to a copy, made after it and read before its successor. So after a gap its blocks are
//! looked at too, and only those that can hold something new. A commitment carries its block; what stood before it stands in the
//! state of the block before that one, carries its own block, and so on. A gap in which nobody committed anything costs nothing,
//! and one of hours at most [`LOOK_BACK`] blocks, because an ordinary node keeps no more states.
//!
//! Whoever assessed the newest block before all that is read would give endpoints away, so it waits. Therefore:
//!
//! - What was read stays in the [`Gap`] when the node fails in between, and the next attempt goes on there.
//! - Only a state that is gone for good is left out at once. Whatever else a node answers may pass, and is passed up: the caller
//!   pauses and tries again.
//! - No block holds up all the others for ever. After [`TRIES`] it is left out; after [`GIVEN_UP`] such blocks, the others get one
//!   try each.
//!
//! What the runtime takes off the chain without a successor is not looked for: only a hotkey's own reveal does that to it.

use std::collections::{BTreeMap, BTreeSet};

use kinitro_chain::{BlockRef, ChainClient, ChainError, RawCommitment};
use kinitro_domain::BlockNumber;

use crate::{
    first::PolicyKey,
    registry::{Rules, policies},
};

/// How many states a node that prunes keeps.
const LOOK_BACK: u64 = 256;
/// How often one block is tried. With the pauses of the caller that is a minute, and of a node that throttles many.
const TRIES: u32 = 8;
/// So many blocks that fail every time say something of the node and not of the blocks.
const GIVEN_UP: usize = 3;

/// The blocks between the newest that is stored and the newest there is, as far as something new can stand in them: what was read
/// and what is still to be read. Of one chain, and until its findings are stored.
#[derive(Debug, Default)]
pub struct Gap {
    /// The newest block that is known, or the oldest that is looked back to.
    after: u64,
    wanted: BTreeSet<u64>,
    read: BTreeSet<u64>,
    lost: BTreeMap<u64, ChainError>,
    tries: BTreeMap<u64, u32>,
    found: BTreeMap<PolicyKey, BlockNumber>,
    advanced: bool,
}

impl Gap {
    /// The policies that were committed between two blocks and do not stand in the newer one any more, each with its first block.
    /// `standing` is what stands there. May be called again with a newer block, and then goes on.
    ///
    /// # Errors
    /// A block cannot be read now, and is to be tried again. One that cannot be read at all is logged and left out.
    pub async fn replaced_policies(
        &mut self,
        chain: &ChainClient,
        rules: &Rules,
        after: Option<BlockNumber>,
        newest: BlockRef,
        standing: &[RawCommitment],
    ) -> Result<&BTreeMap<PolicyKey, BlockNumber>, ChainError> {
        self.reach(after, newest.number);
        self.note(newest.number, standing);
        while let Some(number) = self.next() {
            self.try_block(chain, rules, number).await?;
        }
        let (after, read, policies) = (self.after, self.read.len(), self.found.len());
        if read > 0 {
            tracing::info!(after, newest = %newest.number, read, policies, "looked at skipped blocks");
        }
        if let Some((newest, error)) = self.lost.last_key_value() {
            let blocks = self.lost.len();
            tracing::warn!(%newest, %error, blocks, "skipped blocks cannot be read; a commitment that was replaced there has no age");
        }
        Ok(&self.found)
    }

    /// Whether any block was read or given up since this was asked last.
    pub fn take_advanced(&mut self) -> bool {
        std::mem::take(&mut self.advanced)
    }

    /// Sets where the gap is, now that the chain went on or somebody else stored a newer block.
    fn reach(&mut self, after: Option<BlockNumber>, newest: BlockNumber) {
        let known = after.map_or(0, |after| after.0);
        self.after = known.max(newest.0.saturating_sub(LOOK_BACK));
        // What was wanted stays so, even if it is far back by now: the node may keep more than others do.
        self.wanted.retain(|block| *block > known);
        self.read.retain(|block| *block > self.after);
    }

    /// Notes what stood on the chain at a block: before each commitment there may have been another one in the gap.
    fn note(&mut self, at: BlockNumber, standing: &[RawCommitment]) {
        let blocks = standing.iter().filter_map(|commitment| commitment.block?.0.checked_sub(1));
        let is_new = |block: &u64| !self.read.contains(block) && !self.lost.contains_key(block);
        self.wanted.extend(blocks.filter(|block| self.after < *block && *block < at.0 && is_new(block)));
    }

    /// The block to read next, from the newest to the oldest.
    fn next(&self) -> Option<BlockNumber> {
        self.wanted.last().copied().map(BlockNumber)
    }

    /// Reads a wanted block, or leaves it out.
    async fn try_block(&mut self, chain: &ChainClient, rules: &Rules, number: BlockNumber) -> Result<(), ChainError> {
        match commitments_at(chain, number, rules.netuid).await {
            Ok(commitments) => {
                self.close(number, None);
                self.note(number, &commitments);
                for (policy, block) in policies(number, commitments, rules) {
                    let first = self.found.entry(policy).or_insert(block);
                    *first = block.min(*first);
                }
            }
            Err(error) => {
                if !is_gone(&error) {
                    self.count_failure(chain, number, &error).await?;
                }
                self.close(number, Some(error));
            }
        }
        Ok(())
    }

    fn close(&mut self, number: BlockNumber, lost: Option<ChainError>) {
        self.wanted.remove(&number.0);
        match lost {
            None => drop(self.read.insert(number.0)),
            Some(error) => drop(self.lost.insert(number.0, error)),
        }
        self.advanced = true;
    }

    /// # Errors
    /// The block is to be tried again.
    async fn count_failure(
        &mut self,
        chain: &ChainClient,
        number: BlockNumber,
        error: &ChainError,
    ) -> Result<(), ChainError> {
        if matches!(error, ChainError::OtherChain { .. }) {
            return Err(error.clone());
        }
        if self.lost.values().filter(|lost| !is_gone(lost)).count() >= GIVEN_UP {
            // The node may as well have gone away just now, and that is no reason to leave out anything.
            return chain.finalized_head().await.map(drop);
        }
        let tries = self.tries.entry(number.0).or_default();
        *tries += 1;
        if *tries >= TRIES {
            return Ok(());
        }
        tracing::info!(block = %number, tries, of = TRIES, "a skipped block cannot be read yet");
        Err(error.clone())
    }
}

/// Whether the node says that it had the state and keeps it no more. That it does not know a block is something else: behind its
/// address there may be several nodes, and one of them a little late.
fn is_gone(error: &ChainError) -> bool {
    matches!(error, ChainError::Node { reason, .. } if reason.contains("discarded") || reason.contains("pruned"))
}

async fn commitments_at(
    chain: &ChainClient,
    number: BlockNumber,
    netuid: u16,
) -> Result<Vec<RawCommitment>, ChainError> {
    match chain.block_hash(number).await? {
        Some(hash) => chain.commitments_at(hash, netuid).await,
        None => {
            let (address, block) = (chain.address().to_string(), number.to_string());
            Err(ChainError::BlockNotFound { address, block })
        }
    }
}

#[cfg(test)]
#[path = "skipped_tests.rs"]
mod tests;
