//! Opening sealed weights when they are due.
//!
//! In the first moments of every block, before an epoch is counted, the chain opens what was committed `RevealPeriodEpochs`
//! epochs ago, if its round has come. A commit whose round has not come by the end of that epoch is lost, and so is one that does
//! not open, that is another hotkey's, or whose weights fail a check: silently, as on the real chain (`reveal_crv3_commits` in
//! opentensor/subtensor), where a validator learns of it from its weights alone.

use parity_scale_codec::Decode as _;
use scale_value::Value;

use super::{
    Execution, Stop, account, number,
    weights::{StoredCommit, storage_index},
};
use crate::{Error, call::SentWeights, meta::SUBTENSOR};

const ENTRY: (&str, &str) = (SUBTENSOR, "TimelockedWeightCommits");

impl Execution<'_> {
    pub(super) fn reveal_weights(&mut self) -> Result<(), Error> {
        let netuid = self.netuid;
        let (now, period) = (self.commit_epoch(netuid)?, self.subnet_number("RevealPeriodEpochs", netuid)?);
        let mechanisms = self.mechanisms(netuid)?;
        for mechanism in 0..mechanisms {
            let index = storage_index(netuid, mechanism);
            self.drop_overdue(index, now.saturating_sub(period))?;
            if let Some(due) = now.checked_sub(period) {
                self.reveal_epoch(index, mechanism, due)?;
            }
        }
        Ok(())
    }

    /// Forgets the commits of epochs that can no longer be revealed.
    fn drop_overdue(&mut self, index: u16, due: u64) -> Result<(), Error> {
        let prefix = self.meta.prefix(ENTRY.0, ENTRY.1, &[number(index)])?;
        // The key ends with the epoch itself.
        let epoch = |key: &[u8]| key.last_chunk().map(|bytes| u64::from_le_bytes(*bytes));
        let keys = self.state.keys_after(&prefix, None, usize::MAX);
        let overdue: Vec<Vec<u8>> =
            keys.filter(|key| epoch(key).is_some_and(|epoch| epoch < due)).map(<[u8]>::to_vec).collect();
        for key in overdue {
            tracing::info!(
                block = self.number,
                "sealed weights were lost: their round had not come when their epoch ended"
            );
            self.state.remove_raw(&key);
        }
        Ok(())
    }

    fn reveal_epoch(&mut self, index: u16, mechanism: u8, due: u64) -> Result<(), Error> {
        let keys = [number(index), number(due)];
        let commits: Vec<StoredCommit> = self.state.get_as_is(self.meta, ENTRY, &keys)?;
        if commits.is_empty() {
            return Ok(());
        }
        let newest: u64 = self.state.get_as_is(self.meta, ("Drand", "LastStoredRound"), &[])?;
        let (come, waiting): (Vec<_>, Vec<_>) = commits.into_iter().partition(|(.., round)| *round <= newest);
        for (who, _, sealed, round) in come {
            match self.reveal(&who, mechanism, &sealed, round) {
                Ok(()) => {
                    let revealed = Value::unnamed_variant("TimelockedWeightsRevealed", [number(index), account(&who)]);
                    self.emit(SUBTENSOR, revealed)?;
                }
                Err(Lost::Unreadable(reason)) => {
                    tracing::info!(block = self.number, round, reason, "sealed weights were dropped");
                }
                Err(Lost::Stopped(Stop::Refused((_, error)))) => {
                    tracing::info!(block = self.number, round, error, "revealed weights were refused");
                }
                Err(Lost::Stopped(Stop::Failed(error))) => return Err(error),
            }
        }
        if waiting.is_empty() {
            self.state.remove(self.meta, ENTRY, &keys)
        } else {
            self.state.put_as_is(self.meta, ENTRY, &keys, &waiting)
        }
    }

    fn reveal(&mut self, who: &[u8; 32], mechanism: u8, sealed: &[u8], round: u64) -> Result<(), Lost> {
        let opened = self.beacon.open(sealed, round).map_err(|error| Lost::Unreadable(error.to_string()))?;
        let weights = read_payload(&opened, who).map_err(|reason| Lost::Unreadable(reason.to_owned()))?;
        self.store_weights(who, self.netuid, mechanism, &weights).map_err(Lost::Stopped)
    }
}

/// Why sealed weights come to nothing.
enum Lost {
    Unreadable(String),
    Stopped(Stop),
}

/// The sealed weights: the hotkey they are from, uids, values and version key; formerly without the hotkey.
fn read_payload(bytes: &[u8], who: &[u8; 32]) -> Result<SentWeights, &'static str> {
    type Payload = (Vec<u8>, Vec<u16>, Vec<u16>, u64);
    type Former = (Vec<u16>, Vec<u16>, u64);
    if let Ok((hotkey, uids, values, version_key)) = Payload::decode(&mut &*bytes)
        && let Some(hotkey) = hotkey.first_chunk::<32>()
    {
        let weights = SentWeights { uids, values, version_key };
        return if hotkey == who { Ok(weights) } else { Err("they are another hotkey's") };
    }
    let former = Former::decode(&mut &*bytes).map_err(|_| "they are no weights")?;
    Ok(SentWeights { uids: former.0, values: former.1, version_key: former.2 })
}
