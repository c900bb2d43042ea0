//! What the state holds about a neuron, under the names that the fields of the runtime's answers have.

use std::rc::Rc;

use scale_value::{Composite, Value, ValueDef};

use super::{
    encode::{Given, Record},
    subnet::Subnet,
};
use crate::{
    Error,
    meta::{SUBTENSOR, as_number},
};

/// The pruning score of a neuron that was never scored.
const UNSCORED: u128 = u16::MAX as u128;

/// The subnet's lists, which have an item for each uid.
struct Lists {
    active: Vec<Value>,
    permits: Vec<Value>,
    last_update: Vec<Value>,
    emission: Vec<Value>,
    incentive: Vec<Value>,
    consensus: Vec<Value>,
    dividends: Vec<Value>,
    validator_trust: Vec<Value>,
}

/// Who holds a uid.
#[derive(Clone)]
pub(super) struct Neuron<'a> {
    subnet: Subnet<'a>,
    lists: Rc<Lists>,
    pub uid: u16,
    hotkey: [u8; 32],
    coldkey: [u8; 32],
}

impl<'a> Neuron<'a> {
    /// Every neuron of a subnet, by uid.
    pub(super) fn all(subnet: &Subnet<'a>) -> Result<Vec<Self>, Error> {
        let lists = Rc::new(Lists::read(subnet)?);
        let neurons = (0..subnet.size()?).map(|uid| Self::read(subnet, uid, &lists));
        neurons.filter_map(Result::transpose).collect()
    }

    /// The neuron with a uid, if there is one.
    pub(super) fn one(subnet: &Subnet<'a>, uid: u16) -> Result<Option<Self>, Error> {
        if uid >= subnet.size()? {
            return Ok(None);
        }
        Self::read(subnet, uid, &Rc::new(Lists::read(subnet)?))
    }

    fn read(subnet: &Subnet<'a>, uid: u16, lists: &Rc<Lists>) -> Result<Option<Self>, Error> {
        let keys = [number(subnet.netuid), number(uid)];
        if !subnet.state.contains(subnet.meta, (SUBTENSOR, "Keys"), &keys)? {
            return Ok(None);
        }
        let Some(hotkey) = subnet.entry("Keys", &keys)?.as_ref().and_then(account_bytes) else { return Ok(None) };
        let owner = subnet.entry("Owner", &[Value::from_bytes(hotkey)])?;
        let coldkey = owner.as_ref().and_then(account_bytes).unwrap_or(hotkey);
        Ok(Some(Self { subnet: *subnet, lists: lists.clone(), uid, hotkey, coldkey }))
    }

    pub(super) fn permitted(&self) -> bool {
        truth(&self.lists.permits, self.uid).unwrap_or(false)
    }

    fn of_hotkey(&self) -> [Value; 2] {
        [number(self.subnet.netuid), Value::from_bytes(self.hotkey)]
    }

    /// The stake on this subnet.
    fn stake(&self) -> Result<u128, Error> {
        let [netuid, hotkey] = self.of_hotkey();
        let stake = self.subnet.entry("TotalHotkeyAlpha", &[hotkey, netuid])?;
        Ok(stake.as_ref().and_then(as_number).unwrap_or(0))
    }

    /// Pairs of a uid and a value, kept for each mechanism.
    fn pairs(&self, entry: &str) -> Result<Given<'static>, Error> {
        let stored = self.subnet.entry(entry, &[number(self.subnet.index), number(self.uid)])?;
        let pairs = items(stored).into_iter().filter_map(|pair| {
            let pair: Vec<_> = items(Some(pair)).iter().filter_map(as_number).map(Given::Number).collect();
            (pair.len() == 2).then_some(Given::Tuple(pair))
        });
        Ok(Given::List(pairs.collect()))
    }

    /// The value of a field, which borrows nothing; `None` when it is not modelled.
    pub(super) fn known(&self, name: &str) -> Result<Option<Given<'static>>, Error> {
        let cell = |list: &[Value]| Given::Number(list.get(usize::from(self.uid)).and_then(as_number).unwrap_or(0));
        Ok(Some(match name {
            "hotkey" => Given::Bytes(self.hotkey.to_vec()),
            "coldkey" => Given::Bytes(self.coldkey.to_vec()),
            "uid" => Given::Number(self.uid.into()),
            "netuid" => Given::Number(self.subnet.netuid.into()),
            // Who has just registered is active.
            "active" => Given::Bool(truth(&self.lists.active, self.uid).unwrap_or(true)),
            "validator_permit" => Given::Bool(self.permitted()),
            "last_update" => cell(&self.lists.last_update),
            "emission" => cell(&self.lists.emission),
            "incentive" => cell(&self.lists.incentive),
            "consensus" => cell(&self.lists.consensus),
            "dividends" => cell(&self.lists.dividends),
            "validator_trust" => cell(&self.lists.validator_trust),
            "pruning_score" => Given::Number(UNSCORED),
            "stake" => {
                let stake = vec![Given::Bytes(self.coldkey.to_vec()), Given::Number(self.stake()?)];
                Given::List(vec![Given::Tuple(stake)])
            }
            "alpha_stake" => Given::Number(self.stake()?),
            "block_at_registration" => {
                let keys = [number(self.subnet.netuid), number(self.uid)];
                let block = self.subnet.entry("BlockAtRegistration", &keys)?;
                Given::Number(block.as_ref().and_then(as_number).unwrap_or(0))
            }
            "dividends_of" => Given::Tuple(vec![Given::Bytes(self.hotkey.to_vec()), Given::Number(0)]),
            "identity" => {
                let identity = self.subnet.encoded("IdentitiesV2", &[Value::from_bytes(self.coldkey)])?;
                identity.unwrap_or(Given::Nothing)
            }
            "axon_info" => match self.subnet.encoded("Axons", &self.of_hotkey())? {
                Some(axon) => axon,
                None => Given::Record(Box::new(Neutral)),
            },
            "prometheus_info" => match self.subnet.encoded("Prometheus", &self.of_hotkey())? {
                Some(prometheus) => prometheus,
                None => Given::Record(Box::new(Neutral)),
            },
            "weights" => self.pairs("Weights")?,
            "bonds" => self.pairs("Bonds")?,
            _ => return Ok(None),
        }))
    }
}

impl Record for Neuron<'_> {
    fn field(&self, name: &str, _: usize) -> Result<Option<Given<'_>>, Error> {
        self.known(name)
    }
}

/// A structure of which nothing is known.
struct Neutral;

impl Record for Neutral {
    fn field(&self, _: &str, _: usize) -> Result<Option<Given<'_>>, Error> {
        Ok(None)
    }
}

impl Lists {
    fn read(subnet: &Subnet<'_>) -> Result<Self, Error> {
        let of_subnet = |entry| subnet.entry(entry, &[number(subnet.netuid)]).map(items);
        let of_mechanism = |entry| subnet.entry(entry, &[number(subnet.index)]).map(items);
        Ok(Self {
            active: of_subnet("Active")?,
            permits: of_subnet("ValidatorPermit")?,
            last_update: of_mechanism("LastUpdate")?,
            emission: of_subnet("Emission")?,
            incentive: of_mechanism("Incentive")?,
            consensus: of_subnet("Consensus")?,
            dividends: of_subnet("Dividends")?,
            validator_trust: of_subnet("ValidatorTrust")?,
        })
    }
}

fn number(number: u16) -> Value {
    Value::u128(number.into())
}

fn truth(list: &[Value], uid: u16) -> Option<bool> {
    list.get(usize::from(uid)).and_then(Value::as_bool)
}

/// What is in a list or a tuple.
fn items(value: Option<Value>) -> Vec<Value> {
    match value.map(|value| value.value) {
        Some(ValueDef::Composite(Composite::Unnamed(items))) => items,
        _ => Vec::new(),
    }
}

/// The 32 bytes of an account, in however many wrappers.
fn account_bytes(value: &Value) -> Option<[u8; 32]> {
    let ValueDef::Composite(Composite::Unnamed(values)) = &value.value else { return None };
    if let [inner] = values.as_slice() {
        return account_bytes(inner);
    }
    let bytes: Vec<u8> = values.iter().map(|byte| u8::try_from(as_number(byte)?).ok()).collect::<Option<_>>()?;
    bytes.try_into().ok()
}
