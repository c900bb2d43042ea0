//! The rules by which a block changes the state: our own, after the real pallets.

mod commitments;
mod epochs;
mod reveal;
#[cfg(test)]
mod reveal_tests;
mod subnet;
#[cfg(test)]
mod tests;
mod weights;

use parity_scale_codec::{Compact, Encode};
use scale_value::{At as _, Value};

pub(crate) use self::weights::storage_index;
use crate::{
    Error, Hyperparameter,
    beacon::ChainBeacon,
    call::Call,
    extrinsic::Extrinsic,
    meta::{Meta, SUBTENSOR, as_number},
    state::State,
};

/// One TAO in rao, a thousand times: enough to look like an account in use. Nothing is ever charged.
const BALANCE: u128 = 1_000_000_000_000;

/// The pallet and the name of the error that a call fails with.
pub(crate) type Refusal = (&'static str, &'static str);

/// Why a call ends early. All checks come before the first change, so nothing has to be taken back.
#[derive(Debug)]
pub(crate) enum Stop {
    /// By a rule of the chain: the transaction is in the block, its call failed.
    Refused(Refusal),
    /// By a mistake of ours: the block is not made.
    Failed(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// Refuses with an error of the subtensor pallet unless a condition holds.
fn ensure(holds: bool, otherwise: &'static str) -> Result<(), Stop> {
    if holds { Ok(()) } else { Err(Stop::Refused((SUBTENSOR, otherwise))) }
}

/// When in a block an event happened.
#[derive(Debug, Clone, Copy, Encode)]
enum Phase {
    #[codec(index = 0)]
    ApplyExtrinsic(u32),
    #[codec(index = 2)]
    Initialization,
}

/// The events of one block, in the encoding of `System.Events`.
struct Events {
    phase: Phase,
    records: Vec<u8>,
    count: u32,
}

/// What the control interface changes in a block.
#[derive(Debug, Clone, Encode)]
pub(crate) enum Edit {
    Register { uid: u16, account: [u8; 32], stake: u64 },
    RawCommitment { account: [u8; 32], bytes: Vec<u8> },
    Stake { account: [u8; 32], stake: u64 },
    Permit { uid: u16, permit: bool },
    Set(Hyperparameter),
}

/// One block being made.
pub(crate) struct Execution<'a> {
    meta: &'a Meta,
    beacon: &'a ChainBeacon,
    pub state: State,
    netuid: u16,
    number: u32,
    events: Events,
}

fn account(account: &[u8; 32]) -> Value {
    Value::from_bytes(account)
}

fn number(number: impl Into<u128>) -> Value {
    Value::u128(number.into())
}

impl<'a> Execution<'a> {
    pub(crate) fn new(meta: &'a Meta, beacon: &'a ChainBeacon, state: State, netuid: u16, number: u32) -> Self {
        let events = Events { phase: Phase::Initialization, records: Vec::new(), count: 0 };
        Self { meta, beacon, state, netuid, number, events }
    }
}

impl Execution<'_> {
    /// Everything that happens in a block before its transactions.
    pub(crate) fn initialise(&mut self, now_ms: u64) -> Result<(), Error> {
        self.state.put(self.meta, ("System", "Number"), &[], &number(self.number))?;
        self.state.put(self.meta, ("Timestamp", "Now"), &[], &number(now_ms))?;
        let round = self.beacon.round_at(now_ms);
        self.state.put(self.meta, ("Drand", "LastStoredRound"), &[], &number(round))?;
        if self.number == 0 {
            return self.state.put_as_is(self.meta, ("Drand", "BeaconConfig"), &[], &self.beacon.config());
        }
        self.reveal_weights()?;
        self.count_epochs()
    }

    /// Ends the block: the bytes of its events, which are in the state then.
    pub(crate) fn finish(&mut self) -> Result<Vec<u8>, Error> {
        let events = [Compact(self.events.count).encode(), std::mem::take(&mut self.events.records)].concat();
        self.state.put_raw(self.meta.key("System", "Events", &[])?, events.clone());
        Ok(events)
    }

    fn emit(&mut self, pallet: &str, event: Value) -> Result<(), Error> {
        let event = self.meta.event(pallet, event)?;
        let topics: Vec<[u8; 32]> = Vec::new();
        self.events.records.extend([self.events.phase.encode(), event, topics.encode()].concat());
        self.events.count += 1;
        Ok(())
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

    pub(crate) fn edit(&mut self, edit: &Edit) -> Result<(), Error> {
        match edit {
            Edit::Register { uid, account, stake } => self.register(*uid, account, *stake),
            Edit::RawCommitment { account: who, bytes } => {
                let key = self.meta.key("Commitments", "CommitmentOf", &[number(self.netuid), account(who)])?;
                self.state.put_raw(key, bytes.clone());
                Ok(())
            }
            Edit::Stake { account, stake } => self.set_stake(account, *stake),
            Edit::Permit { uid, permit } => self.set_permit(*uid, *permit),
            Edit::Set(parameter) => self.set_hyperparameter(parameter),
        }
    }

    /// Executes a transaction whose nonce fits: it is in the block, whether its call succeeds or not.
    pub(crate) fn apply(&mut self, index: u32, extrinsic: &Extrinsic) -> Result<(), Error> {
        self.events.phase = Phase::ApplyExtrinsic(index);
        self.put_account(&extrinsic.account, extrinsic.nonce.saturating_add(1))?;
        self.execute(&extrinsic.account, &extrinsic.call)
    }

    /// Executes a call, and says in the block's events how it ended.
    fn execute(&mut self, who: &[u8; 32], call: &Call) -> Result<(), Error> {
        let refused = match self.dispatch(who, call) {
            Ok(()) => None,
            Err(Stop::Refused(refusal)) => Some(refusal),
            Err(Stop::Failed(error)) => return Err(error),
        };
        let fee = Value::named_variant(
            "TransactionFeePaid",
            [("who", account(who)), ("actual_fee", number(0_u8)), ("tip", number(0_u8))],
        );
        self.emit("TransactionPayment", fee)?;
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
        self.emit("System", event)
    }

    /// Executes a call of an account.
    fn dispatch(&mut self, who: &[u8; 32], call: &Call) -> Result<(), Stop> {
        match call {
            Call::SetCommitment { netuid, info, length } => self.set_commitment(*netuid, who, info, *length),
            Call::SetWeights { netuid, mechanism, weights } => self.set_weights(who, *netuid, *mechanism, weights),
            Call::CommitTimelockedWeights { netuid, mechanism, sealed } => {
                self.commit_timelocked_weights(who, *netuid, *mechanism, sealed)
            }
            Call::Other => Err(Stop::Refused(("System", "CallFiltered"))),
        }
    }
}
