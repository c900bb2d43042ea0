//! The commitments pallet's one call.

use scale_value::{At as _, Value};

use super::{Execution, Stop, account, number};
use crate::meta::{SUBTENSOR, as_number};

/// What one commitment uses at least of its epoch's space.
const LEAST_SPACE: u64 = 100;

const PALLET: &str = "Commitments";

impl Execution<'_> {
    /// `set_commitment`: checks first, then everything at once.
    pub(super) fn set_commitment(
        &mut self,
        netuid: u16,
        who: &[u8; 32],
        info: &Value,
        length: u64,
    ) -> Result<(), Stop> {
        let (meta, keys) = (self.meta, [number(netuid), account(who)]);
        if !self.state.contains(meta, (SUBTENSOR, "IsNetworkMember"), &[account(who), number(netuid)])? {
            return Err(Stop::Refused((PALLET, "AccountNotAllowedCommit")));
        }
        let tempo = u128::from(self.subnet_number("Tempo", netuid)?);
        let epoch = (u128::from(self.number) + u128::from(netuid) + 1) / (tempo + 1);
        let usage = self.state.value(meta, (PALLET, "UsedSpaceOf"), &keys)?;
        let part = |name: &str| usage.as_ref().and_then(|usage| usage.at(name)).and_then(as_number).unwrap_or(0);
        let before = if part("last_epoch") == epoch { part("used_space") } else { 0 };
        let used = before + u128::from(length.max(LEAST_SPACE));
        let room = self.state.value(meta, (PALLET, "MaxSpace"), &[])?;
        if used > room.as_ref().and_then(as_number).unwrap_or(0) {
            return Err(Stop::Refused((PALLET, "SpaceLimitExceeded")));
        }

        let usage = Value::named_composite([("last_epoch", number(epoch)), ("used_space", number(used))]);
        self.state.put(meta, (PALLET, "UsedSpaceOf"), &keys, &usage)?;
        let registration =
            Value::named_composite([("deposit", number(0_u8)), ("block", number(self.number)), ("info", info.clone())]);
        self.state.put(meta, (PALLET, "CommitmentOf"), &keys, &registration)?;
        self.state.put(meta, (PALLET, "LastCommitment"), &keys, &number(self.number))?;
        self.emit(PALLET, Value::named_variant("Commitment", [("netuid", number(netuid)), ("who", account(who))]))?;
        Ok(())
    }
}
