//! Setting weights, plain and sealed. The checks are those of the real chain, in its order, with its errors' names; read in
//! `pallets/subtensor/src/subnets/weights.rs` of opentensor/subtensor.
//!
//! One difference: a real node refuses a transaction whose hotkey has too little stake, or whose round is over, before it gets into
//! a block, with a numbered error. Here it gets into a block and fails there, with the pallet's error.

use std::collections::BTreeSet;

use scale_value::Value;
use sp_crypto_hashing::blake2_256;

use super::{Execution, Stop, account, ensure, number};
use crate::{
    Error,
    call::{SealedWeights, SentWeights},
    meta::SUBTENSOR,
};

/// The storage index of a subnet's mechanism is 4096 times the mechanism plus the netuid.
const SUBNET_LIMIT: u16 = 4_096;
/// How many commits of one hotkey may wait in one epoch.
const UNREVEALED_LIMIT: usize = 10;

/// Sealed weights as stored: who, in which block, the sealed bytes, and the round that opens them.
pub(crate) type StoredCommit = ([u8; 32], u64, Vec<u8>, u64);

pub(crate) fn storage_index(netuid: u16, mechanism: u8) -> u16 {
    u16::from(mechanism).saturating_mul(SUBNET_LIMIT).saturating_add(netuid)
}

/// Scales weights so that the largest is 65535, as the real chain does: in numbers with 32 binary places, rounded half up; by a
/// rounded-down factor when the largest is above 32768 (`vec_max_upscale_to_u16` in `epoch/math.rs`).
fn upscaled(values: &[u16]) -> Vec<u16> {
    let largest = u128::from(values.iter().copied().max().unwrap_or(0));
    if largest == 0 {
        return values.to_vec();
    }
    let (full, half) = (u128::from(u16::MAX) << 32, 1 << 31);
    let scaled = |value: u16| {
        let value = u128::from(value);
        let fixed = if largest > 32_768 { value * (full / largest) } else { value * full / largest };
        u16::try_from((fixed + half) >> 32).unwrap_or(u16::MAX)
    };
    values.iter().map(|value| scaled(*value)).collect()
}

impl Execution<'_> {
    /// `set_weights` and `set_mechanism_weights`.
    pub(super) fn set_weights(
        &mut self,
        who: &[u8; 32],
        netuid: u16,
        mechanism: u8,
        sent: &SentWeights,
    ) -> Result<(), Stop> {
        ensure(netuid != 0, "CanNotSetRootNetworkWeights")?;
        ensure(!self.commit_reveal(netuid)?, "CommitRevealEnabled")?;
        self.store_weights(who, netuid, mechanism, sent)
    }

    /// What plain and revealed weights have in common.
    pub(super) fn store_weights(
        &mut self,
        who: &[u8; 32],
        netuid: u16,
        mechanism: u8,
        sent: &SentWeights,
    ) -> Result<(), Stop> {
        let SentWeights { uids, values, version_key } = sent;
        ensure(uids.len() == values.len(), "WeightVecNotEqualSize")?;
        self.ensure_mechanism(netuid, mechanism)?;
        let size = self.subnet_number("SubnetworkN", netuid)?;
        ensure(uids.len() as u64 <= size, "UidsLengthExceedUidsInSubNet")?;
        let uid = self.uid_of(netuid, who)?;
        let uid = uid.ok_or(Stop::Refused((SUBTENSOR, "HotKeyNotRegisteredInSubNet")))?;
        self.ensure_stake(netuid, who)?;
        let wanted = self.subnet_number("WeightsVersionKey", netuid)?;
        ensure(wanted == 0 || *version_key >= wanted, "IncorrectWeightVersionKey")?;
        let commit_reveal = self.commit_reveal(netuid)?;
        ensure(commit_reveal || self.rate_is_kept(netuid, mechanism, uid)?, "SettingWeightsTooFast")?;
        // Who weights itself alone needs neither permit nor company.
        let alone = **uids == [uid];
        let permitted = alone || self.is_owner(netuid, who)? || self.has_permit(netuid, uid)?;
        ensure(permitted, "NeuronNoValidatorPermit")?;
        let different: BTreeSet<_> = uids.iter().collect();
        ensure(different.len() == uids.len(), "DuplicateUids")?;
        for uid in uids {
            let known = self.state.contains(self.meta, (SUBTENSOR, "Keys"), &[number(netuid), number(*uid)])?;
            ensure(known, "UidVecContainInvalidOne")?;
        }
        let least = self.subnet_number("MinAllowedWeights", netuid)?.min(size);
        ensure(alone || values.len() as u64 >= least, "WeightVecLengthIsLow")?;
        let values = upscaled(values);
        let limit = self.subnet_number("MaxWeightsLimit", netuid)?;
        let sum: u64 = values.iter().copied().map(u64::from).sum();
        let largest = values.iter().copied().max().map_or(0, u64::from);
        let full = u64::from(u16::MAX);
        ensure(alone || limit == full || largest * full <= limit * sum, "MaxWeightExceeded")?;

        let index = storage_index(netuid, mechanism);
        let weights: Vec<(u16, u16)> = uids.iter().copied().zip(values).collect();
        self.state.put_as_is(self.meta, (SUBTENSOR, "Weights"), &[number(index), number(uid)], &weights)?;
        if !commit_reveal {
            self.put_last_update(index, uid)?;
        }
        self.emit(SUBTENSOR, Value::unnamed_variant("WeightsSet", [number(index), number(uid)]))?;
        Ok(())
    }

    /// `commit_timelocked_weights` and `commit_timelocked_mechanism_weights`.
    pub(super) fn commit_timelocked_weights(
        &mut self,
        who: &[u8; 32],
        netuid: u16,
        mechanism: u8,
        sealed: &SealedWeights,
    ) -> Result<(), Stop> {
        const TOO_LATE: &str = "InvalidRevealRound";
        let SealedWeights { commit, reveal_round, version } = sealed;
        // An extension of the transaction looks at the round before the call itself runs; spec 419 has no such error.
        let newest: u64 = self.state.get_as_is(self.meta, ("Drand", "LastStoredRound"), &[])?;
        ensure(*reveal_round >= newest || !self.meta.has_error(SUBTENSOR, TOO_LATE), TOO_LATE)?;
        self.ensure_mechanism(netuid, mechanism)?;
        ensure(self.commit_reveal(netuid)?, "CommitRevealDisabled")?;
        let wanted: u16 = self.state.get_as_is(self.meta, (SUBTENSOR, "CommitRevealWeightsVersion"), &[])?;
        ensure(*version == wanted, "IncorrectCommitRevealVersion")?;
        let uid = self.uid_of(netuid, who)?;
        let uid = uid.ok_or(Stop::Refused((SUBTENSOR, "HotKeyNotRegisteredInSubNet")))?;
        self.ensure_stake(netuid, who)?;
        ensure(self.rate_is_kept(netuid, mechanism, uid)?, "CommittingWeightsTooFast")?;
        let index = storage_index(netuid, mechanism);
        let keys = [number(index), number(self.commit_epoch(netuid)?)];
        let mut waiting: Vec<StoredCommit> =
            self.state.get_as_is(self.meta, (SUBTENSOR, "TimelockedWeightCommits"), &keys)?;
        let unrevealed = waiting.iter().filter(|(committer, ..)| committer == who).count();
        ensure(unrevealed < UNREVEALED_LIMIT, "TooManyUnrevealedCommits")?;

        waiting.push((*who, self.number.into(), commit.clone(), *reveal_round));
        self.state.put_as_is(self.meta, (SUBTENSOR, "TimelockedWeightCommits"), &keys, &waiting)?;
        let committed = [account(who), number(index), Value::from_bytes(blake2_256(commit)), number(*reveal_round)];
        self.emit(SUBTENSOR, Value::unnamed_variant("TimelockedWeightsCommitted", committed))?;
        self.put_last_update(index, uid)?;
        Ok(())
    }

    fn ensure_mechanism(&self, netuid: u16, mechanism: u8) -> Result<(), Stop> {
        let exists = self.state.contains(self.meta, (SUBTENSOR, "NetworksAdded"), &[number(netuid)])?;
        ensure(exists, "MechanismDoesNotExist")?;
        ensure(mechanism < self.mechanisms(netuid)?, "MechanismDoesNotExist")
    }

    fn ensure_stake(&self, netuid: u16, who: &[u8; 32]) -> Result<(), Stop> {
        let stake: u64 =
            self.state.get_as_is(self.meta, (SUBTENSOR, "TotalHotkeyAlpha"), &[account(who), number(netuid)])?;
        let threshold: u64 = self.state.get_as_is(self.meta, (SUBTENSOR, "StakeThreshold"), &[])?;
        ensure(stake >= threshold, "NotEnoughStakeToSetWeights")
    }

    fn commit_reveal(&self, netuid: u16) -> Result<bool, Error> {
        self.state.get_as_is(self.meta, (SUBTENSOR, "CommitRevealWeightsEnabled"), &[number(netuid)])
    }

    /// Whether enough blocks passed since the last weights; there were none at block 0.
    fn rate_is_kept(&self, netuid: u16, mechanism: u8, uid: u16) -> Result<bool, Error> {
        let last = self.last_update(storage_index(netuid, mechanism), uid)?;
        let limit = self.subnet_number("WeightsSetRateLimit", netuid)?;
        Ok(last == 0 || u64::from(self.number).saturating_sub(last) >= limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_scaled_as_by_the_real_chain() {
        // The first is recorded from the Python SDK against a chain.
        assert_eq!(upscaled(&[16_383, 49_151]), [21_844, 65_535]);
        assert_eq!(upscaled(&[1, 2]), [32_768, 65_535]);
        assert_eq!(upscaled(&[0, 0]), [0, 0]);
        assert_eq!(upscaled(&[]), Vec::<u16>::new());
        assert_eq!(upscaled(&[65_535, 1, 0]), [65_535, 1, 0]);
        // A tie: the rounded-down factor for large weights puts it below the half.
        assert_eq!(upscaled(&[5_000, 50_000]), [6_553, 65_535]);
        assert_eq!(upscaled(&[2_500, 25_000]), [6_554, 65_535]);
    }

    #[test]
    fn mechanisms_have_their_own_index() {
        assert_eq!((storage_index(7, 0), storage_index(7, 2)), (7, 8_199));
    }
}
