//! Reading back what was written.

use std::collections::BTreeMap;

use kinitro_domain::{Hotkey, MinerUid};

use crate::{Call, ChainClient, ChainError, Receipt};

impl ChainClient {
    /// Whether the chain holds, at the receipt's block, what the call wrote for a hotkey. Sealed weights cannot be read before
    /// they are revealed; of them, that the hotkey's last update is the receipt's block.
    ///
    /// # Errors
    /// [`ChainError::NotAsWritten`] with the difference.
    pub async fn read_back(&self, receipt: &Receipt, hotkey: &Hotkey, call: &Call) -> Result<(), ChainError> {
        let block = receipt.block.hash;
        let difference = match call {
            Call::SetCommitment { netuid, data } => match self.commitment_at(block, *netuid, hotkey).await? {
                None => Some("there is no commitment".to_owned()),
                Some(stored) => match stored.data {
                    Ok(found) if found == *data => None,
                    Ok(found) => Some(format!("there are {} other bytes", found.len())),
                    Err(malformed) => Some(malformed.to_string()),
                },
            },
            Call::SetWeights { netuid, weights, .. } => {
                self.weights_differ(receipt, *netuid, 0, hotkey, weights).await?
            }
            Call::SetMechanismWeights { netuid, mechanism, weights, .. } => {
                self.weights_differ(receipt, *netuid, *mechanism, hotkey, weights).await?
            }
            Call::CommitTimelockedWeights { netuid, mechanism, .. } => {
                let mechanism = mechanism.unwrap_or_default();
                match self.mechanism_validator_at(block, *netuid, mechanism, hotkey).await? {
                    Some(validator) if validator.last_update == receipt.block.number => None,
                    Some(validator) => Some(format!("the last update is of block {}", validator.last_update.0)),
                    None => Some("the hotkey is not registered".to_owned()),
                }
            }
        };
        match difference {
            None => Ok(()),
            Some(difference) => Err(ChainError::NotAsWritten { call: call.name(), difference }),
        }
    }

    async fn weights_differ(
        &self,
        receipt: &Receipt,
        netuid: u16,
        mechanism: u8,
        hotkey: &Hotkey,
        written: &[(MinerUid, u16)],
    ) -> Result<Option<String>, ChainError> {
        let block = receipt.block.hash;
        let Some(validator) = self.validator_at(block, netuid, hotkey).await? else {
            return Ok(Some("the hotkey is not registered".to_owned()));
        };
        Ok(difference(written, &self.mechanism_weights_at(block, netuid, mechanism, validator.uid).await?))
    }
}

/// The runtime scales weights so that the largest is 65535, which changes nothing when it is so already, and may round either
/// way otherwise. A uid that is not there has the weight 0.
fn difference(written: &[(MinerUid, u16)], stored: &[(MinerUid, u16)]) -> Option<String> {
    let largest = written.iter().map(|(_, weight)| *weight).max().unwrap_or_default();
    let tolerance = u32::from(largest != u16::MAX);
    let scaled = |weight: u16| match largest {
        0 => 0,
        largest => u32::from(weight) * u32::from(u16::MAX) / u32::from(largest),
    };
    let mut pairs = BTreeMap::<u16, (u32, u32)>::new();
    for (uid, weight) in written {
        pairs.entry(uid.0).or_default().0 = scaled(*weight);
    }
    for (uid, weight) in stored {
        pairs.entry(uid.0).or_default().1 = u32::from(*weight);
    }
    let (uid, (written, stored)) =
        pairs.into_iter().find(|(_, (written, stored))| written.abs_diff(*stored) > tolerance)?;
    Some(format!("uid {uid} has the weight {stored} instead of {written}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weights(pairs: &[(u16, u16)]) -> Vec<(MinerUid, u16)> {
        pairs.iter().map(|(uid, weight)| (MinerUid(*uid), *weight)).collect()
    }

    #[test]
    fn equal_weights_in_another_order_and_zeros_left_out_are_no_difference() {
        let written = weights(&[(3, 65_535), (1, 0), (2, 7)]);
        assert_eq!(difference(&written, &weights(&[(2, 7), (3, 65_535)])), None);
    }

    #[test]
    fn weights_that_the_runtime_scaled_are_no_difference() {
        let written = weights(&[(0, 16_383), (1, 49_151)]);
        assert_eq!(difference(&written, &weights(&[(0, 21_844), (1, 65_535)])), None);
        assert!(difference(&written, &weights(&[(0, 21_847), (1, 65_535)])).is_some());
    }

    #[test]
    fn a_difference_names_the_uid() {
        let written = weights(&[(0, 65_535), (1, 100)]);
        let said = difference(&written, &weights(&[(0, 65_535), (1, 101)]));
        assert_eq!(said.as_deref(), Some("uid 1 has the weight 101 instead of 100"));
        let said = difference(&written, &weights(&[(0, 65_535), (1, 100), (9, 1)]));
        assert_eq!(said.as_deref(), Some("uid 9 has the weight 1 instead of 0"));
        assert!(difference(&written, &[]).is_some());
    }
}
