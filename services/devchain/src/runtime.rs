//! The rules by which a block changes the state: our own, after the real pallets.

use parity_scale_codec::{Compact, Encode};
use scale_value::{At as _, Value};

use crate::{
    Error,
    extrinsic::{Call, Extrinsic},
    meta::{Meta, as_number},
    state::State,
};

/// What one commitment uses at least of its epoch's space.
const LEAST_SPACE: u64 = 100;
/// One TAO in rao, a thousand times: enough to look like an account in use. Nothing is ever charged.
const BALANCE: u128 = 1_000_000_000_000;

/// The events of one block, in the encoding of `System.Events`.
#[derive(Default)]
pub(crate) struct Events {
    records: Vec<u8>,
    count: u32,
}

impl Events {
    fn emit(&mut self, extrinsic: u32, event: &[u8]) {
        // Phase ApplyExtrinsic(index), the event, no topics.
        self.records.push(0);
        self.records.extend(extrinsic.to_le_bytes());
        self.records.extend(event);
        self.records.push(0);
        self.count += 1;
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        [Compact(self.count).encode(), self.records.clone()].concat()
    }
}

/// What the control interface changes in a block.
#[derive(Debug, Clone, Encode)]
pub(crate) enum Edit {
    Register { uid: u16, account: [u8; 32], stake: u64 },
    RawCommitment { account: [u8; 32], bytes: Vec<u8> },
}

/// One block being made.
pub(crate) struct Execution<'a> {
    pub meta: &'a Meta,
    pub state: State,
    pub netuid: u16,
    pub number: u32,
    pub events: Events,
}

fn account(account: &[u8; 32]) -> Value {
    Value::from_bytes(account)
}

fn number(number: impl Into<u128>) -> Value {
    Value::u128(number.into())
}

impl Execution<'_> {
    pub(crate) fn initialise(&mut self, now_ms: u64) -> Result<(), Error> {
        self.state.put(self.meta, ("System", "Number"), &[], &number(self.number))?;
        self.state.put(self.meta, ("Timestamp", "Now"), &[], &number(now_ms))
    }

    /// The next nonce of an account.
    pub(crate) fn nonce(meta: &Meta, state: &State, who: &[u8; 32]) -> Result<u32, Error> {
        let stored = state.value(meta, ("System", "Account"), &[account(who)])?;
        let nonce = stored.as_ref().and_then(|account| account.at("nonce")).and_then(as_number);
        Ok(nonce.and_then(|nonce| u32::try_from(nonce).ok()).unwrap_or(0))
    }

    fn put_account(&mut self, who: &[u8; 32], nonce: u32) -> Result<(), Error> {
        let data = Value::named_composite([
            ("free", number(BALANCE)),
            ("reserved", number(0_u8)),
            ("frozen", number(0_u8)),
            ("flags", number(0_u8)),
        ]);
        let info = Value::named_composite([
            ("nonce", number(nonce)),
            ("consumers", number(0_u8)),
            ("providers", number(1_u8)),
            ("sufficients", number(0_u8)),
            ("data", data),
        ]);
        self.state.put(self.meta, ("System", "Account"), &[account(who)], &info)
    }

    /// The subnet itself, without neurons.
    pub(crate) fn found_subnet(&mut self) -> Result<(), Error> {
        let netuid = number(self.netuid);
        self.state.put(
            self.meta,
            ("SubtensorModule", "NetworksAdded"),
            std::slice::from_ref(&netuid),
            &Value::bool(true),
        )?;
        self.state.put(self.meta, ("SubtensorModule", "SubnetworkN"), &[netuid], &number(0_u8))
    }

    pub(crate) fn edit(&mut self, edit: &Edit) -> Result<(), Error> {
        match edit {
            Edit::Register { uid, account, stake } => self.register(*uid, account, *stake),
            Edit::RawCommitment { account: who, bytes } => {
                let key = self.meta.key("Commitments", "CommitmentOf", &[number(self.netuid), account(who)])?;
                self.state.put_raw(key, bytes.clone());
                Ok(())
            }
        }
    }

    /// Gives a uid to a hotkey. Who held the uid is no longer registered; what it committed stays, as on the real chain. A hotkey
    /// that held another uid leaves a gap there, which the real chain never has.
    fn register(&mut self, uid: u16, who: &[u8; 32], stake: u64) -> Result<(), Error> {
        const PALLET: &str = "SubtensorModule";
        let (meta, netuid) = (self.meta, number(self.netuid));
        let held = self.state.contains(meta, (PALLET, "Keys"), &[netuid.clone(), number(uid)])?;
        if held && let Some(old) = self.state.value(meta, (PALLET, "Keys"), &[netuid.clone(), number(uid)])? {
            self.state.remove(meta, (PALLET, "Uids"), &[netuid.clone(), old.clone()])?;
            self.state.remove(meta, (PALLET, "IsNetworkMember"), &[old, netuid.clone()])?;
        }
        let own = [netuid.clone(), account(who)];
        if self.state.contains(meta, (PALLET, "Uids"), &own)?
            && let Some(old) = self.state.value(meta, (PALLET, "Uids"), &own)?
        {
            self.state.remove(meta, (PALLET, "Keys"), &[netuid.clone(), old])?;
        }
        let size = self.state.value(meta, (PALLET, "SubnetworkN"), std::slice::from_ref(&netuid))?;
        let size = size.as_ref().and_then(as_number).unwrap_or(0).max(u128::from(uid) + 1);
        self.state.put(meta, (PALLET, "SubnetworkN"), std::slice::from_ref(&netuid), &number(size))?;
        self.state.put(meta, (PALLET, "Keys"), &[netuid.clone(), number(uid)], &account(who))?;
        self.state.put(meta, (PALLET, "Uids"), &own, &number(uid))?;
        self.state.put(meta, (PALLET, "IsNetworkMember"), &[account(who), netuid.clone()], &Value::bool(true))?;
        self.state.put(meta, (PALLET, "Owner"), &[account(who)], &account(who))?;
        self.state.put(meta, (PALLET, "BlockAtRegistration"), &[netuid.clone(), number(uid)], &number(self.number))?;
        self.state.put(meta, (PALLET, "TotalHotkeyAlpha"), &[account(who), netuid], &number(stake))?;
        let nonce = Self::nonce(meta, &self.state, who)?;
        self.put_account(who, nonce)
    }

    /// Executes a transaction whose nonce fits: it is in the block, whether its call succeeds or not.
    pub(crate) fn apply(&mut self, index: u32, extrinsic: &Extrinsic) -> Result<(), Error> {
        self.put_account(&extrinsic.account, extrinsic.nonce.saturating_add(1))?;
        let refused = match &extrinsic.call {
            Call::SetCommitment { netuid, info, length } => {
                self.set_commitment(index, *netuid, &extrinsic.account, info, *length)?
            }
            Call::Other => Some(("System", "CallFiltered")),
        };
        let weight = Value::named_composite([("ref_time", number(0_u8)), ("proof_size", number(0_u8))]);
        let info = Value::named_composite([
            ("weight", weight),
            ("class", Value::unnamed_variant("Normal", [])),
            ("pays_fee", Value::unnamed_variant("Yes", [])),
        ]);
        let event = match refused {
            None => Value::named_variant("ExtrinsicSuccess", [("dispatch_info", info)]),
            Some((pallet, error)) => {
                let error = self.meta.dispatch_error(pallet, error)?;
                Value::named_variant("ExtrinsicFailed", [("dispatch_error", error), ("dispatch_info", info)])
            }
        };
        self.events.emit(index, &self.meta.event("System", event)?);
        Ok(())
    }

    /// The commitments pallet's call; answers the error that it fails with. Nothing is written before all checks passed.
    fn set_commitment(
        &mut self,
        index: u32,
        netuid: u16,
        who: &[u8; 32],
        info: &Value,
        length: u64,
    ) -> Result<Option<(&'static str, &'static str)>, Error> {
        const PALLET: &str = "Commitments";
        let (meta, keys) = (self.meta, [number(netuid), account(who)]);
        if !self.state.contains(meta, ("SubtensorModule", "IsNetworkMember"), &[account(who), number(netuid)])? {
            return Ok(Some((PALLET, "AccountNotAllowedCommit")));
        }
        let plain = |value: Option<Value>| value.as_ref().and_then(as_number).unwrap_or(0);
        let tempo = plain(self.state.value(meta, ("SubtensorModule", "Tempo"), &[number(netuid)])?);
        let epoch = (u128::from(self.number) + u128::from(netuid) + 1) / (tempo + 1);
        let usage = self.state.value(meta, (PALLET, "UsedSpaceOf"), &keys)?;
        let part = |name: &str| usage.as_ref().and_then(|usage| usage.at(name)).and_then(as_number).unwrap_or(0);
        let before = if part("last_epoch") == epoch { part("used_space") } else { 0 };
        let used = before + u128::from(length.max(LEAST_SPACE));
        if used > plain(self.state.value(meta, (PALLET, "MaxSpace"), &[])?) {
            return Ok(Some((PALLET, "SpaceLimitExceeded")));
        }

        let usage = Value::named_composite([("last_epoch", number(epoch)), ("used_space", number(used))]);
        self.state.put(meta, (PALLET, "UsedSpaceOf"), &keys, &usage)?;
        let registration =
            Value::named_composite([("deposit", number(0_u8)), ("block", number(self.number)), ("info", info.clone())]);
        self.state.put(meta, (PALLET, "CommitmentOf"), &keys, &registration)?;
        self.state.put(meta, (PALLET, "LastCommitment"), &keys, &number(self.number))?;
        let event = Value::named_variant("Commitment", [("netuid", number(netuid)), ("who", account(who))]);
        self.events.emit(index, &meta.event(PALLET, event)?);
        Ok(None)
    }
}
