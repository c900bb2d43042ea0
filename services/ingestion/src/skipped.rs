//! What was committed, and replaced, in blocks that nobody read.
//!
//! Only the newest finalized block says who is evaluated. But a commitment that was replaced before any block was read would
//! lose its age, and its endpoint with it: to a copy, made after it and read before its successor. So after a gap its blocks are
//! looked at too, and only those that can hold something new. A commitment carries its block; what stood before it stands in the
//! state of the block before that one, carries its own block, and so on. A gap in which nobody committed anything costs nothing,
//! and one of hours at most [`LOOK_BACK`] blocks, because an ordinary node keeps no more states.
//!
//! What the runtime takes off the chain without a successor is not looked for: only a hotkey's own reveal does that to it.

use std::collections::{BTreeMap, BTreeSet};

use kinitro_chain::{BlockRef, ChainClient, ChainError, ErrorKind, RawCommitment};
use kinitro_domain::BlockNumber;
use tokio::time::{Duration, sleep};

use crate::{
    first::PolicyKey,
    registry::{Rules, policies},
};

/// How many states a node that prunes keeps.
const LOOK_BACK: u64 = 256;
/// How often a node is asked for a state that it refuses for a reason which may pass.
const ATTEMPTS: u32 = 3;
const PAUSE: Duration = Duration::from_millis(500);

/// Blocks of a gap in which something new can stand.
#[derive(Debug)]
struct Gap {
    /// The newest block that is known, or the oldest that is looked back to.
    after: u64,
    wanted: BTreeSet<u64>,
}

impl Gap {
    fn new(after: Option<BlockNumber>, newest: BlockNumber) -> Self {
        let oldest = newest.0.saturating_sub(LOOK_BACK);
        Self { after: after.map_or(oldest, |after| after.0.max(oldest)), wanted: BTreeSet::new() }
    }

    /// Notes what stood on the chain at a block: before each commitment there may have been another one in the gap.
    fn note(&mut self, read: BlockNumber, standing: &[RawCommitment]) {
        let blocks = standing.iter().filter_map(|commitment| commitment.block?.0.checked_sub(1));
        self.wanted.extend(blocks.filter(|block| self.after < *block && *block < read.0));
    }

    /// The block to read next, from the newest to the oldest.
    fn pop(&mut self) -> Option<BlockNumber> {
        self.wanted.pop_last().map(BlockNumber)
    }
}

/// The policies that were committed between two blocks and do not stand in the newer one any more, each with its first block.
/// `standing` is what stands there.
///
/// # Errors
/// The node is away. A block that it cannot show is logged and left out, for it would never be shown.
pub async fn replaced_policies(
    chain: &ChainClient,
    rules: &Rules,
    after: Option<BlockNumber>,
    newest: BlockRef,
    standing: &[RawCommitment],
) -> Result<BTreeMap<PolicyKey, BlockNumber>, ChainError> {
    let mut gap = Gap::new(after, newest.number);
    gap.note(newest.number, standing);
    let mut found = BTreeMap::new();
    let (mut read, mut lost) = (0, BTreeMap::new());
    while let Some(number) = gap.pop() {
        let commitments = match commitments_at(chain, number, rules.netuid).await {
            Err(error) if error.kind() == ErrorKind::Node => {
                lost.insert(number, error);
                continue;
            }
            commitments => commitments?,
        };
        read += 1;
        gap.note(number, &commitments);
        for (policy, block) in policies(number, commitments, rules) {
            let first = found.entry(policy).or_insert(block);
            *first = block.min(*first);
        }
    }
    if read > 0 {
        tracing::info!(after = gap.after, newest = %newest.number, read, policies = found.len(), "looked at skipped blocks");
    }
    if let Some((newest, error)) = lost.last_key_value() {
        tracing::warn!(%newest, %error, blocks = lost.len(), "skipped blocks cannot be read; a commitment that was replaced there has no age");
    }
    Ok(found)
}

async fn commitments_at(
    chain: &ChainClient,
    number: BlockNumber,
    netuid: u16,
) -> Result<Vec<RawCommitment>, ChainError> {
    let mut attempt = 1;
    loop {
        let error = match chain.block_hash(number).await {
            Ok(Some(hash)) => match chain.commitments_at(hash, netuid).await {
                Ok(commitments) => return Ok(commitments),
                Err(error) => error,
            },
            Ok(None) => {
                let (address, block) = (chain.address().to_string(), number.to_string());
                return Err(ChainError::BlockNotFound { address, block });
            }
            Err(error) => error,
        };
        let may_pass = matches!(&error, ChainError::Node { reason, .. } if !reason.contains("discarded"));
        if !may_pass || attempt == ATTEMPTS {
            return Err(error);
        }
        attempt += 1;
        sleep(PAUSE).await;
    }
}

#[cfg(test)]
#[path = "skipped_tests.rs"]
mod tests;
