//! The subnet, its neurons and its hyperparameters.

use parity_scale_codec::{Decode, Encode};
use scale_value::Value;

use super::{Execution, account, number, weights::storage_index};
use crate::{Error, Hyperparameter, genesis::public_key, meta::SUBTENSOR};

impl Execution<'_> {
    /// The subnet itself, without neurons.
    pub(crate) fn found_subnet(&mut self, hyperparameters: &[Hyperparameter]) -> Result<(), Error> {
        self.put_subnet("NetworksAdded", &Value::bool(true))?;
        self.put_subnet("SubnetworkN", &number(0_u8))?;
        self.put_subnet_if_known("SubnetEpochIndex", 0)?;
        self.put_subnet_if_known("PendingEpochAt", 0)?;
        hyperparameters.iter().try_for_each(|parameter| self.set_hyperparameter(parameter))
    }

    pub(super) fn set_hyperparameter(&mut self, parameter: &Hyperparameter) -> Result<(), Error> {
        match parameter {
            Hyperparameter::Tempo(tempo) => {
                self.put_subnet("Tempo", &number(*tempo))?;
                if self.schedule_is_stored() {
                    // It begins its count anew.
                    self.put_subnet("LastEpochBlock", &number(self.number))?;
                    self.put_subnet("BlocksSinceLastStep", &number(0_u8))?;
                }
                Ok(())
            }
            Hyperparameter::WeightsRateLimit(blocks) => self.put_subnet("WeightsSetRateLimit", &number(*blocks)),
            Hyperparameter::CommitReveal(on) => self.put_subnet("CommitRevealWeightsEnabled", &Value::bool(*on)),
            Hyperparameter::MinAllowedWeights(least) => self.put_subnet("MinAllowedWeights", &number(*least)),
            Hyperparameter::MaxWeightLimit(most) => self.put_subnet_if_known("MaxWeightsLimit", (*most).into()),
            Hyperparameter::WeightsVersion(version) => self.put_subnet("WeightsVersionKey", &number(*version)),
            Hyperparameter::StakeThreshold(stake) => {
                self.state.put(self.meta, (SUBTENSOR, "StakeThreshold"), &[], &number(*stake))
            }
            Hyperparameter::ActivityCutoff(blocks) => self.put_subnet_if_known("ActivityCutoff", (*blocks).into()),
            Hyperparameter::ActivityCutoffFactor(factor) => {
                self.put_subnet_if_known("ActivityCutoffFactorMilli", (*factor).into())
            }
            Hyperparameter::RevealPeriodEpochs(epochs) => self.put_subnet("RevealPeriodEpochs", &number(*epochs)),
            Hyperparameter::CommitRevealVersion(version) => {
                self.state.put(self.meta, (SUBTENSOR, "CommitRevealWeightsVersion"), &[], &number(*version))
            }
            Hyperparameter::MaxAllowedUids(uids) => self.put_subnet("MaxAllowedUids", &number(*uids)),
            Hyperparameter::Mechanisms(count) if !(1..=16).contains(count) => Err(Error::Mechanisms { count: *count }),
            Hyperparameter::Mechanisms(count) => self.put_subnet_if_known("MechanismCountCurrent", (*count).into()),
            Hyperparameter::OwnerHotkey(hotkey) => self.set_owner(&public_key(hotkey)?),
        }
    }

    fn set_owner(&mut self, who: &[u8; 32]) -> Result<(), Error> {
        self.put_subnet("SubnetOwnerHotkey", &account(who))?;
        self.put_subnet("SubnetOwner", &account(who))
    }

    /// Gives a uid to a hotkey. Who held the uid is no longer registered; its weights and its permit go, what it committed stays,
    /// as on the real chain. A hotkey that held another uid leaves a gap there, which the real chain never has.
    pub(super) fn register(&mut self, uid: u16, who: &[u8; 32], stake: u64) -> Result<(), Error> {
        let (meta, netuid) = (self.meta, number(self.netuid));
        let seat = [netuid.clone(), number(uid)];
        if self.state.contains(meta, (SUBTENSOR, "Keys"), &seat)? {
            let old: [u8; 32] = self.state.get_as_is(meta, (SUBTENSOR, "Keys"), &seat)?;
            self.state.remove(meta, (SUBTENSOR, "Uids"), &[netuid.clone(), account(&old)])?;
            self.state.remove(meta, (SUBTENSOR, "IsNetworkMember"), &[account(&old), netuid.clone()])?;
        }
        let own = [netuid.clone(), account(who)];
        if let Some(old) = self.uid_of(self.netuid, who)? {
            self.state.remove(meta, (SUBTENSOR, "Keys"), &[netuid.clone(), number(old)])?;
        }
        let size = self.subnet_number("SubnetworkN", self.netuid)?.max(u64::from(uid) + 1);
        self.put_subnet("SubnetworkN", &number(size))?;
        self.state.put(meta, (SUBTENSOR, "Keys"), &seat, &account(who))?;
        self.state.put(meta, (SUBTENSOR, "Uids"), &own, &number(uid))?;
        self.state.put(meta, (SUBTENSOR, "IsNetworkMember"), &[account(who), netuid.clone()], &Value::bool(true))?;
        self.state.put(meta, (SUBTENSOR, "Owner"), &[account(who)], &account(who))?;
        self.state.put(meta, (SUBTENSOR, "BlockAtRegistration"), &seat, &number(self.number))?;
        self.set_stake(who, stake)?;
        self.clear_neuron(uid)?;
        if uid == 0 && !self.state.contains(meta, (SUBTENSOR, "SubnetOwnerHotkey"), &[netuid])? {
            self.set_owner(who)?;
        }
        let nonce = Self::nonce(meta, &self.state, who)?;
        self.put_account(who, nonce)
    }

    /// Begins a uid anew in everything that is kept by uid.
    fn clear_neuron(&mut self, uid: u16) -> Result<(), Error> {
        let netuid = self.netuid;
        self.put_in_list("Active", netuid, uid, true)?;
        self.put_in_list("ValidatorPermit", netuid, uid, false)?;
        for name in ["Consensus", "Dividends", "ValidatorTrust"] {
            self.put_in_list(name, netuid, uid, 0_u16)?;
        }
        self.put_in_list("Emission", netuid, uid, 0_u64)?;
        for mechanism in 0..self.mechanisms(netuid)? {
            let index = storage_index(netuid, mechanism);
            self.put_in_list("Incentive", index, uid, 0_u16)?;
            self.put_last_update(index, uid)?;
            self.state.remove(self.meta, (SUBTENSOR, "Weights"), &[number(index), number(uid)])?;
        }
        Ok(())
    }

    pub(super) fn set_stake(&mut self, who: &[u8; 32], stake: u64) -> Result<(), Error> {
        let keys = [account(who), number(self.netuid)];
        self.state.put(self.meta, (SUBTENSOR, "TotalHotkeyAlpha"), &keys, &number(stake))
    }

    pub(super) fn set_permit(&mut self, uid: u16, permit: bool) -> Result<(), Error> {
        let size = self.subnet_number("SubnetworkN", self.netuid)?;
        if u64::from(uid) >= size {
            return Err(Error::NoSuchUid { uid, size });
        }
        self.put_in_list("ValidatorPermit", self.netuid, uid, permit)
    }

    pub(super) fn uid_of(&self, netuid: u16, who: &[u8; 32]) -> Result<Option<u16>, Error> {
        let (entry, keys) = ((SUBTENSOR, "Uids"), [number(netuid), account(who)]);
        if !self.state.contains(self.meta, entry, &keys)? {
            return Ok(None);
        }
        self.state.get_as_is(self.meta, entry, &keys).map(Some)
    }

    pub(super) fn is_owner(&self, netuid: u16, who: &[u8; 32]) -> Result<bool, Error> {
        let owner: [u8; 32] = self.state.get_as_is(self.meta, (SUBTENSOR, "SubnetOwnerHotkey"), &[number(netuid)])?;
        Ok(owner == *who)
    }

    pub(super) fn has_permit(&self, netuid: u16, uid: u16) -> Result<bool, Error> {
        Ok(self.list::<bool>("ValidatorPermit", netuid)?.get(usize::from(uid)).copied().unwrap_or(false))
    }

    pub(super) fn last_update(&self, index: u16, uid: u16) -> Result<u64, Error> {
        Ok(self.list::<u64>("LastUpdate", index)?.get(usize::from(uid)).copied().unwrap_or(0))
    }

    pub(super) fn put_last_update(&mut self, index: u16, uid: u16) -> Result<(), Error> {
        self.put_in_list("LastUpdate", index, uid, u64::from(self.number))
    }

    fn list<T: Decode>(&self, name: &str, index: u16) -> Result<Vec<T>, Error> {
        self.state.get_as_is(self.meta, (SUBTENSOR, name), &[number(index)])
    }

    /// Changes one uid's place in a list, which grows if it has to.
    fn put_in_list<T>(&mut self, name: &str, index: u16, uid: u16, value: T) -> Result<(), Error>
    where
        T: Decode + Encode + Clone + Default,
    {
        let mut list: Vec<T> = self.list(name, index)?;
        let place = usize::from(uid);
        if list.len() <= place {
            list.resize(place + 1, T::default());
        }
        list[place] = value;
        self.state.put_as_is(self.meta, (SUBTENSOR, name), &[number(index)], &list)
    }

    /// How many mechanisms a subnet has: one in a runtime that knows none.
    pub(super) fn mechanisms(&self, netuid: u16) -> Result<u8, Error> {
        const ENTRY: &str = "MechanismCountCurrent";
        if !self.meta.has(SUBTENSOR, ENTRY) {
            return Ok(1);
        }
        Ok(u8::try_from(self.subnet_number(ENTRY, netuid)?).unwrap_or(u8::MAX))
    }

    /// A number that is stored for each subnet, or the metadata's default.
    pub(super) fn subnet_number(&self, name: &str, netuid: u16) -> Result<u64, Error> {
        let value = self.state.value(self.meta, (SUBTENSOR, name), &[number(netuid)])?;
        let value = value.as_ref().and_then(crate::meta::as_number).and_then(|number| u64::try_from(number).ok());
        value.ok_or_else(|| crate::meta::encoding(SUBTENSOR, name, "it has no number"))
    }

    pub(super) fn put_subnet(&mut self, name: &str, value: &Value) -> Result<(), Error> {
        self.state.put(self.meta, (SUBTENSOR, name), &[number(self.netuid)], value)
    }

    /// Stores a number in an entry that not every runtime has.
    pub(super) fn put_subnet_if_known(&mut self, name: &str, value: u64) -> Result<(), Error> {
        if self.meta.has(SUBTENSOR, name) { self.put_subnet(name, &number(value)) } else { Ok(()) }
    }
}
