//! Our answers against those that a real node gave for the same state, byte for byte.
#![allow(clippy::unwrap_used)]

use scale_value::Value;
use serde_json::Value as Json;

use super::{
    encode::{Given, encode},
    hyperparameters,
    neuron::Neuron,
    subnet::{Metagraph, Subnet},
};
use crate::{
    Config,
    config::SPECS,
    meta::{Meta, SUBTENSOR},
    state::State,
};

const NETUID: u16 = 1;

struct Recorded {
    meta: Meta,
    calls: Json,
}

fn recorded() -> impl Iterator<Item = Recorded> {
    let folder = Config::default().metadata_dir();
    SPECS.into_iter().map(move |spec| {
        let golden = std::fs::read(folder.join(format!("golden-{spec}.json"))).unwrap();
        let golden: Json = serde_json::from_slice(&golden).unwrap();
        Recorded { meta: Meta::load(&folder, spec).unwrap(), calls: golden["runtime_calls"].clone() }
    })
}

impl Recorded {
    /// What the real node answered.
    fn answer(&self, method: &str) -> String {
        let call = self.calls.as_array().unwrap().iter().find(|call| call["method"] == method).unwrap();
        call["raw_hex"].as_str().unwrap().trim_start_matches("0x").to_owned()
    }

    fn ours(&self, api: &str, method: &str, given: Given<'_>) -> String {
        let method = self.meta.metadata.runtime_api_trait_by_name(api).unwrap().method_by_name(method).unwrap();
        hex::encode(encode(self.meta.metadata.types(), method.output_ty(), given).unwrap())
    }

    fn subnet<'a>(&'a self, state: &'a State) -> Subnet<'a> {
        Subnet { meta: &self.meta, state, netuid: NETUID, index: NETUID }
    }
}

fn netuid() -> Value {
    Value::u128(NETUID.into())
}

#[test]
fn hyperparameters_are_those_of_a_real_node() {
    for recorded in recorded() {
        let mut state = State::default();
        for (entry, value) in [("Tempo", 100), ("MinAllowedWeights", 0), ("MaxAllowedValidators", 64)] {
            state.put(&recorded.meta, (SUBTENSOR, entry), &[netuid()], &Value::u128(value)).unwrap();
        }
        let given = Given::Record(Box::new(Metagraph::of(recorded.subnet(&state))));
        let ours = recorded.ours("SubnetInfoRuntimeApi", "get_subnet_hyperparams", given);
        assert_eq!(ours, recorded.answer("get_subnet_hyperparams"), "spec {}", recorded.meta.spec_version);
    }
}

#[test]
fn neurons_are_those_of_a_real_node() {
    for recorded in recorded() {
        let (meta, mut state) = (&recorded.meta, State::default());
        // The recorded subnets have one neuron, the account of zeros, and differ in these two.
        let newer = meta.spec_version == 461;
        let nobody = || Value::from_bytes([0; 32]);
        state.put(meta, (SUBTENSOR, "SubnetworkN"), &[netuid()], &Value::u128(1)).unwrap();
        state.put(meta, (SUBTENSOR, "Keys"), &[netuid(), Value::u128(0)], &nobody()).unwrap();
        state.put(meta, (SUBTENSOR, "TotalHotkeyAlpha"), &[nobody(), netuid()], &Value::u128(1_000_000_000)).unwrap();
        state.put_as_is(meta, (SUBTENSOR, "Active"), &[netuid()], &vec![newer]).unwrap();
        state.put_as_is(meta, (SUBTENSOR, "ValidatorPermit"), &[netuid()], &vec![!newer]).unwrap();
        let neurons = Neuron::all(&recorded.subnet(&state)).unwrap().into_iter();
        let given = Given::List(neurons.map(|neuron| Given::Record(Box::new(neuron))).collect());
        let ours = recorded.ours("NeuronInfoRuntimeApi", "get_neurons_lite", given);
        assert_eq!(ours, recorded.answer("get_neurons_lite"), "spec {}", recorded.meta.spec_version);
    }
}

#[test]
fn the_list_of_hyperparameters_names_each_once() {
    for recorded in recorded() {
        let state = State::default();
        let subnet = Metagraph::of(recorded.subnet(&state));
        let Given::List(entries) = hyperparameters::list(&recorded.meta, &subnet).unwrap() else { panic!("no list") };
        let names: Vec<Vec<u8>> = entries
            .iter()
            .map(|entry| match entry {
                Given::Record(record) => match record.field("name", 0).unwrap() {
                    Some(Given::Bytes(name)) => name,
                    _ => panic!("a name is bytes"),
                },
                _ => panic!("an entry is a structure"),
            })
            .collect();
        for name in ["tempo", "weights_rate_limit", "commit_reveal_period", "commit_reveal_weights_enabled"] {
            assert_eq!(names.iter().filter(|given| *given == name.as_bytes()).count(), 1, "{name}");
        }
        let types = recorded.ours("SubnetInfoRuntimeApi", "get_subnet_hyperparams_v3", Given::List(entries));
        assert!(types.starts_with("01"), "{types}");
    }
}
