//! What the state holds about a subnet, under the names that the fields of the runtime's answers have.
//!
//! Not modelled by this chain, and so the neutral value: the subnet's and the pool's emissions that are still pending, the
//! emission history, dividends of single hotkeys, stake in TAO, collateral, the list of commitments in a metagraph, trust and
//! rank (which newer runtimes no longer compute either), and a name where the subnet has set no identity.

use std::cell::OnceCell;

use scale_value::{At as _, Composite, Value, ValueDef};

use super::{
    encode::{Given, Record},
    neuron::Neuron,
};
use crate::{
    Error,
    meta::{Meta, SUBTENSOR, as_number},
    runtime::storage_index,
    state::State,
};

/// One mechanism of one subnet in the state of one block.
#[derive(Clone, Copy)]
pub(super) struct Subnet<'a> {
    pub meta: &'a Meta,
    pub state: &'a State,
    pub netuid: u16,
    /// The key of what is kept for each mechanism.
    pub index: u16,
}

/// Fields that are one storage entry of the subnet.
const ENTRIES: [(&str, &str); 46] = [
    ("rho", "Rho"),
    ("kappa", "Kappa"),
    ("difficulty", "Difficulty"),
    ("immunity_period", "ImmunityPeriod"),
    ("max_allowed_validators", "MaxAllowedValidators"),
    ("max_validators", "MaxAllowedValidators"),
    ("min_allowed_weights", "MinAllowedWeights"),
    ("max_weights_limit", "MaxWeightsLimit"),
    ("scaling_law_power", "ScalingLawPower"),
    ("subnetwork_n", "SubnetworkN"),
    ("num_uids", "SubnetworkN"),
    ("max_allowed_uids", "MaxAllowedUids"),
    ("max_uids", "MaxAllowedUids"),
    ("blocks_since_last_step", "BlocksSinceLastStep"),
    ("last_step", "LastMechansimStepBlock"),
    ("tempo", "Tempo"),
    ("burn", "Burn"),
    ("min_burn", "MinBurn"),
    ("max_burn", "MaxBurn"),
    ("min_difficulty", "MinDifficulty"),
    ("max_difficulty", "MaxDifficulty"),
    ("weights_version", "WeightsVersionKey"),
    ("weights_rate_limit", "WeightsSetRateLimit"),
    ("adjustment_interval", "AdjustmentInterval"),
    ("adjustment_alpha", "AdjustmentAlpha"),
    ("registration_allowed", "NetworkRegistrationAllowed"),
    ("pow_registration_allowed", "NetworkPowRegistrationAllowed"),
    ("target_regs_per_interval", "TargetRegistrationsPerInterval"),
    ("bonds_moving_avg", "BondsMovingAverage"),
    ("max_regs_per_block", "MaxRegistrationsPerBlock"),
    ("serving_rate_limit", "ServingRateLimit"),
    ("commit_reveal_period", "RevealPeriodEpochs"),
    ("commit_reveal_weights_enabled", "CommitRevealWeightsEnabled"),
    ("liquid_alpha_enabled", "LiquidAlphaOn"),
    ("subnet_is_active", "SubtokenEnabled"),
    ("transfers_enabled", "TransferToggle"),
    ("bonds_reset_enabled", "BondsResetOn"),
    ("activity_cutoff_factor", "ActivityCutoffFactorMilli"),
    ("network_registered_at", "NetworkRegisteredAt"),
    ("alpha_in", "SubnetAlphaIn"),
    ("alpha_out", "SubnetAlphaOut"),
    ("tao_in", "SubnetTAO"),
    ("alpha_out_emission", "SubnetAlphaOutEmission"),
    ("alpha_in_emission", "SubnetAlphaInEmission"),
    ("tao_in_emission", "SubnetTaoInEmission"),
    ("subnet_volume", "SubnetVolume"),
];

/// Fields that hold one value for each neuron, and the neuron's own field.
const COLUMNS: [(&str, &str); 23] = [
    ("hotkeys", "hotkey"),
    ("coldkeys", "coldkey"),
    ("identities", "identity"),
    ("axons", "axon_info"),
    ("active", "active"),
    ("validator_permit", "validator_permit"),
    ("pruning_score", "pruning_score"),
    ("last_update", "last_update"),
    ("emission", "emission"),
    ("dividends", "dividends"),
    ("incentives", "incentive"),
    ("consensus", "consensus"),
    ("trust", "trust"),
    ("rank", "rank"),
    ("block_at_registration", "block_at_registration"),
    ("alpha_stake", "alpha_stake"),
    ("tao_stake", "tao_stake"),
    ("total_stake", "alpha_stake"),
    ("tao_dividends_per_hotkey", "dividends_of"),
    ("alpha_dividends_per_hotkey", "dividends_of"),
    ("collateral_locked", "collateral"),
    ("collateral_min", "collateral"),
    ("collateral_earned", "collateral"),
];

impl<'a> Subnet<'a> {
    /// A mechanism of a subnet, if both exist.
    pub(super) fn find(meta: &'a Meta, state: &'a State, netuid: u16, mechanism: u8) -> Result<Option<Self>, Error> {
        let found = Self { meta, state, netuid, index: netuid };
        let exists = found.stored("NetworksAdded")?.and_then(|added| added.as_bool()) == Some(true);
        let mechanisms = found.number("MechanismCountCurrent")?.unwrap_or(1);
        let exists = exists && u128::from(mechanism) < mechanisms.max(1);
        Ok(exists.then(|| Self { index: storage_index(netuid, mechanism), ..found }))
    }

    /// The value of the pallet's entry under these keys; `None` also when this runtime has no such entry.
    pub(super) fn entry(&self, name: &str, keys: &[Value]) -> Result<Option<Value>, Error> {
        if !self.meta.has(SUBTENSOR, name) {
            return Ok(None);
        }
        self.state.value(self.meta, (SUBTENSOR, name), keys)
    }

    /// The bytes of the pallet's entry, with their type; `None` when nothing is stored.
    pub(super) fn encoded(&self, name: &str, keys: &[Value]) -> Result<Option<Given<'static>>, Error> {
        let Some(entry) = self.meta.metadata.pallet_by_name(SUBTENSOR).and_then(|pallet| pallet.storage()) else {
            return Ok(None);
        };
        let Some(entry) = entry.entry_by_name(name) else { return Ok(None) };
        let stored = self.state.get(&self.meta.key(SUBTENSOR, name, keys)?).or_else(|| entry.default_value());
        Ok(stored.map(|bytes| Given::Encoded(entry.value_ty(), bytes.to_vec())))
    }

    fn stored(&self, name: &str) -> Result<Option<Value>, Error> {
        self.entry(name, &[Value::u128(self.netuid.into())])
    }

    pub(super) fn number(&self, name: &str) -> Result<Option<u128>, Error> {
        let stored = self.stored(name)?;
        let signed = |value: &Value| u128::try_from(value.as_i128()?).ok();
        Ok(stored.as_ref().and_then(|value| as_number(value).or_else(|| signed(value))))
    }

    /// How many neurons there are.
    pub(super) fn size(&self) -> Result<u16, Error> {
        Ok(self.number("SubnetworkN")?.and_then(|size| u16::try_from(size).ok()).unwrap_or(0))
    }

    pub(super) fn block(&self) -> Result<u128, Error> {
        Ok(self.state.value(self.meta, ("System", "Number"), &[])?.as_ref().and_then(as_number).unwrap_or(0))
    }

    /// For how many blocks a neuron counts as active: newer runtimes keep a thousandth of the tempo.
    fn activity_cutoff(&self) -> Result<Option<u128>, Error> {
        let Some(factor) = self.number("ActivityCutoffFactorMilli")? else { return self.number("ActivityCutoff") };
        Ok(Some(factor * self.number("Tempo")?.unwrap_or(0) / 1_000))
    }
}

/// A subnet with its neurons, which are read when the first field asks for them.
pub(super) struct Metagraph<'a> {
    subnet: Subnet<'a>,
    neurons: OnceCell<Vec<Neuron<'a>>>,
}

impl<'a> Metagraph<'a> {
    pub(super) fn of(subnet: Subnet<'a>) -> Self {
        Self { subnet, neurons: OnceCell::new() }
    }

    fn neurons(&self) -> Result<&[Neuron<'a>], Error> {
        if let Some(neurons) = self.neurons.get() {
            return Ok(neurons);
        }
        let neurons = Neuron::all(&self.subnet)?;
        Ok(self.neurons.get_or_init(|| neurons))
    }

    fn column(&self, field: &str) -> Result<Given<'static>, Error> {
        let cells = self.neurons()?.iter().map(|neuron| Ok(neuron.known(field)?.unwrap_or(Given::Number(0))));
        Ok(Given::List(cells.collect::<Result<_, Error>>()?))
    }

    fn permitted(&self) -> Result<Given<'static>, Error> {
        let permitted = self.neurons()?.iter().filter(|neuron| neuron.permitted());
        Ok(Given::List(permitted.map(|neuron| Given::Number(neuron.uid.into())).collect()))
    }

    /// The value of a field, which borrows nothing.
    pub(super) fn known(&self, name: &str) -> Result<Option<Given<'static>>, Error> {
        let subnet = &self.subnet;
        if let Some((_, entry)) = ENTRIES.iter().find(|(field, _)| *field == name) {
            return Ok(subnet.stored(entry)?.as_ref().and_then(plain));
        }
        if let Some((_, field)) = COLUMNS.iter().find(|(column, _)| *column == name) {
            return self.column(field).map(Some);
        }
        let netuid = [Value::u128(subnet.netuid.into())];
        let number = |number: Option<u128>| Ok(number.map(Given::Number));
        let alpha = |place: usize| -> Result<Option<Given<'static>>, Error> {
            let values = subnet.stored("AlphaValues")?;
            Ok(values.as_ref().and_then(|values| values.at(place)).and_then(as_number).map(Given::Number))
        };
        match name {
            "netuid" => number(Some(subnet.netuid.into())),
            "block" => number(Some(subnet.block()?)),
            "activity_cutoff" => number(subnet.activity_cutoff()?),
            "alpha_low" => alpha(0),
            "alpha_high" => alpha(1),
            // A fixed-point number with 32 bits after the point.
            "alpha_sigmoid_steepness" => {
                number(subnet.number("AlphaSigmoidSteepness")?.map(|steepness| steepness << 32))
            }
            "yuma_version" => {
                let third = subnet.stored("Yuma3On")?.and_then(|on| on.as_bool()) == Some(true);
                number(Some(if third { 3 } else { 2 }))
            }
            "owner" | "owner_coldkey" => subnet.encoded("SubnetOwner", &netuid),
            "owner_hotkey" => subnet.encoded("SubnetOwnerHotkey", &netuid),
            "symbol" | "token_symbol" => Ok(subnet.stored("TokenSymbol")?.as_ref().and_then(text)),
            "name" | "subnet_name" => {
                let identity = subnet.stored("SubnetIdentitiesV3")?;
                Ok(identity.as_ref().and_then(|identity| identity.at("subnet_name")).and_then(text))
            }
            "identity" | "subnet_identity" => subnet.encoded("SubnetIdentitiesV3", &netuid),
            "moving_price" => subnet.encoded("SubnetMovingPrice", &netuid),
            "validators" => self.permitted().map(Some),
            _ => Ok(None),
        }
    }
}

impl Record for Metagraph<'_> {
    fn field(&self, name: &str, _: usize) -> Result<Option<Given<'_>>, Error> {
        self.known(name)
    }
}

/// A subnet as in `DynamicInfo`, where the emission is the pool's and no list of the neurons'.
pub(super) struct Pool<'a>(pub Metagraph<'a>);

impl Record for Pool<'_> {
    fn field(&self, name: &str, _: usize) -> Result<Option<Given<'_>>, Error> {
        if name == "emission" { Ok(None) } else { self.0.known(name) }
    }
}

/// A subnet of which only the fields at chosen places are told, and always its number.
pub(super) struct Selected<'a> {
    pub metagraph: Metagraph<'a>,
    pub places: Vec<usize>,
}

impl Record for Selected<'_> {
    fn field(&self, name: &str, place: usize) -> Result<Option<Given<'_>>, Error> {
        if name != "netuid" && !self.places.contains(&place) {
            return Ok(None);
        }
        // What is chosen is there, even where it is neutral.
        Ok(Some(self.metagraph.known(name)?.unwrap_or_else(|| Given::Variant("Some", Vec::new()))))
    }
}

/// A number or a truth value.
fn plain(value: &Value) -> Option<Given<'static>> {
    as_number(value).map(Given::Number).or_else(|| value.as_bool().map(Given::Bool))
}

/// A list of bytes.
fn text(value: &Value) -> Option<Given<'static>> {
    let ValueDef::Composite(Composite::Unnamed(items)) = &value.value else { return None };
    let bytes = items.iter().map(|item| u8::try_from(as_number(item)?).ok());
    bytes.collect::<Option<_>>().map(Given::Bytes)
}
