//! When an epoch ends, and what is counted in epochs.
//!
//! Since the runtimes that store `SubnetEpochIndex`, the schedule is stored: an epoch ends `Tempo` blocks after the last one,
//! in the first moments of a block. Before, it followed from the block's number: an epoch had `Tempo + 1` blocks, shifted by the
//! netuid. Read in `coinbase/run_coinbase.rs` and `subnets/weights.rs` of opentensor/subtensor. Of what an epoch does on the real
//! chain (stakes, permits, emissions) the development chain does nothing but reveal sealed weights.

use super::{Execution, number};
use crate::{Error, meta::SUBTENSOR};

/// What decides when a stored schedule's next epoch ends.
struct Schedule {
    tempo: u64,
    last: u64,
    pending: u64,
    since: u64,
}

impl Execution<'_> {
    pub(super) fn schedule_is_stored(&self) -> bool {
        self.meta.has(SUBTENSOR, "SubnetEpochIndex")
    }

    fn schedule(&self, netuid: u16) -> Result<Schedule, Error> {
        Ok(Schedule {
            tempo: self.subnet_number("Tempo", netuid)?,
            last: self.subnet_number("LastEpochBlock", netuid)?,
            pending: self.subnet_number("PendingEpochAt", netuid)?,
            since: self.subnet_number("BlocksSinceLastStep", netuid)?,
        })
    }

    /// The epoch that sealed weights of this moment belong to, and whose older commits are due: the one that begins in this
    /// block, when one does.
    pub(super) fn commit_epoch(&self, netuid: u16) -> Result<u64, Error> {
        let now = u64::from(self.number);
        if self.schedule_is_stored() {
            let index = self.subnet_number("SubnetEpochIndex", netuid)?;
            return Ok(index + u64::from(self.schedule(netuid)?.ends_at(now)));
        }
        Ok((now + u64::from(netuid) + 1) / (self.subnet_number("Tempo", netuid)? + 1))
    }

    /// Counts this block, and ends an epoch when it is time.
    pub(super) fn count_epochs(&mut self) -> Result<(), Error> {
        let (netuid, now) = (self.netuid, u64::from(self.number));
        let tempo = self.subnet_number("Tempo", netuid)?;
        let since = self.subnet_number("BlocksSinceLastStep", netuid)? + 1;
        let ends = if self.schedule_is_stored() {
            let since = since.min(tempo + 1);
            Schedule { since, ..self.schedule(netuid)? }.ends_at(now)
        } else {
            tempo > 0 && (now + u64::from(netuid) + 1) % (tempo + 1) == tempo
        };
        if !ends {
            let since = if self.schedule_is_stored() { since.min(tempo + 1) } else { since };
            return self.put_subnet("BlocksSinceLastStep", &number(since));
        }
        self.put_subnet("BlocksSinceLastStep", &number(0_u8))?;
        self.put_subnet("LastMechansimStepBlock", &number(now))?;
        if self.schedule_is_stored() {
            let index = self.subnet_number("SubnetEpochIndex", netuid)?;
            self.put_subnet("LastEpochBlock", &number(now))?;
            self.put_subnet("PendingEpochAt", &number(0_u8))?;
            self.put_subnet("SubnetEpochIndex", &number(index + 1))?;
        }
        Ok(())
    }
}

impl Schedule {
    /// A tempo of 0 never ends an epoch.
    fn ends_at(&self, block: u64) -> bool {
        let called = self.pending > 0 && block >= self.pending;
        let overdue = self.since > self.tempo;
        self.tempo > 0 && (called || overdue || block.saturating_sub(self.last) >= self.tempo)
    }
}
