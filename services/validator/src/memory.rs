//! What is remembered of one chain: what was accepted, what is on its way, what was set.

use kinitro_chain::Ticket;
use kinitro_domain::{BlockNumber, CycleId, MinerUid};
use serde::{Deserialize, Serialize};

use crate::check::Accepted;

/// So many commits are kept that the chain has not shown yet.
const HIDDEN_LIMIT: usize = 8;

/// What is known of one chain.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Memory {
    /// The newest weights that were taken from the backend.
    pub accepted: Option<Accepted>,
    /// The transaction whose fate is open.
    pub pending: Option<Pending>,
    /// What was set or committed last.
    pub last_set: Option<LastSet>,
    /// What was committed hidden before that and not shown by the chain yet, the oldest first.
    #[serde(default)]
    pub hidden: Vec<LastSet>,
}

impl Memory {
    /// Something else was set. What it replaces and is still hidden is watched on: the oldest most of all, as it is due first.
    pub fn set(&mut self, last_set: LastSet) {
        let before = self.last_set.replace(last_set);
        self.hidden.extend(before.filter(LastSet::is_hidden));
        if self.hidden.len() > HIDDEN_LIMIT {
            self.hidden.remove(1);
        }
    }

    /// What was committed and not shown by the chain yet, the oldest first.
    pub fn committed(&self) -> impl Iterator<Item = &LastSet> {
        self.hidden.iter().chain(self.last_set.iter().filter(|last| last.is_hidden()))
    }
}

/// What a transaction says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Message {
    /// At which block the miners were read that were evaluated.
    pub block: BlockNumber,
    /// The evaluation.
    pub cycle_id: CycleId,
    /// The weights, without zeros.
    pub weights: Vec<(MinerUid, u16)>,
    /// When they are committed hidden: how they are revealed.
    pub reveal: Option<Reveal>,
}

/// How the chain opens hidden weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reveal {
    /// The round of the beacon whose signature opens them.
    pub round: u64,
    /// The first block at which the chain may show them.
    pub from: BlockNumber,
    /// The last block at which it may: when they are not shown then, they never are.
    pub until: BlockNumber,
    /// The chain showed the same weights already, or was about to, so that nobody can tell whether it opened these.
    #[serde(default)]
    pub shown_before: bool,
}

/// A transaction that was about to leave.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pending {
    /// How to find it.
    pub ticket: Ticket,
    /// What it says.
    pub message: Message,
}

/// A transaction that is in a finalized block.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LastSet {
    /// The block.
    pub at: BlockNumber,
    /// What it says.
    pub message: Message,
    /// Whether the chain showed what was sent, once it is known. It was named after sealed weights once.
    #[serde(default, alias = "revealed")]
    pub as_sent: Option<bool>,
}

impl LastSet {
    /// Committed hidden, and not shown or missed yet.
    pub fn is_hidden(&self) -> bool {
        self.message.reveal.is_some() && self.as_sent.is_none()
    }

    /// Hidden weights that were not revealed are lost, so they count as never committed.
    pub fn is_lost(&self) -> bool {
        self.message.reveal.is_some() && self.as_sent == Some(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_older_validator_wrote_is_read() {
        let written = r#"{"accepted":null,"pending":null,"last_set":{"at":7,"message":{"block":1,"cycle_id":1,"weights":[[3,65535]],
            "reveal":{"round":9,"from":10,"until":20}},"revealed":true}}"#;
        let memory: Memory = serde_json::from_str(written).expect("it is no damaged file");
        let last = memory.last_set.expect("it was set");
        assert_eq!(
            (last.at, last.as_sent, last.message.weights),
            (BlockNumber(7), Some(true), vec![(MinerUid(3), 65535)])
        );
    }

    #[test]
    fn what_is_replaced_while_it_is_hidden_is_kept_but_never_without_end() {
        let reveal =
            |block| Reveal { round: 1, from: BlockNumber(block), until: BlockNumber(block), shown_before: false };
        let set = |block: u64, reveal, as_sent| LastSet {
            at: BlockNumber(block),
            message: Message { block: BlockNumber(1), cycle_id: CycleId(1), weights: Vec::new(), reveal },
            as_sent,
        };
        let mut memory = Memory::default();
        memory.set(set(1, None, None));
        memory.set(set(2, Some(reveal(2)), Some(true)));
        for block in 3..20 {
            memory.set(set(block, Some(reveal(block)), None));
        }
        let kept: Vec<u64> = memory.committed().map(|last| last.at.0).collect();
        assert_eq!(kept, [3, 12, 13, 14, 15, 16, 17, 18, 19], "the oldest and the newest");
    }
}
