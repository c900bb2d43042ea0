//! What the runtime is asked, with both runtimes, decoded by the metadata that the chain itself serves.
#![allow(clippy::unwrap_used)]

mod support;

use kinitro_devchain::{Config, Devchain, NeuronSeed, RpcServer};
use scale_value::{At as _, Composite, Value, ValueDef};
use serde_json::json;
use subxt::{dynamic::runtime_api_call, rpcs::RpcClient, transactions::ValidationResult};
use support::{
    NETUID, SPECS, config,
    rpc::{Api, api, call, connect, refusal, signed},
    serve,
};

const STAKE: u64 = 1_500_000_000;
const NEURONS: &str = "NeuronInfoRuntimeApi";
const SUBNETS: &str = "SubnetInfoRuntimeApi";

struct World {
    spec: u32,
    chain: Devchain,
    rpc: RpcClient,
    api: Api,
    _server: RpcServer,
}

/// For each runtime a chain with Alice as a validator and Bob as a miner.
async fn worlds() -> Vec<World> {
    let mut worlds = Vec::new();
    for spec in SPECS {
        let neurons = vec![NeuronSeed::validator("//Alice", STAKE), NeuronSeed::new("//Bob")];
        let (chain, server) = serve(&Config { spec, neurons, ..config() }).await;
        chain.advance(4).unwrap();
        let rpc = connect(&server).await;
        let api = api(&rpc).await;
        worlds.push(World { spec, chain, rpc, api, _server: server });
    }
    worlds
}

impl World {
    /// Calls with the types of the metadata, at the finalized head; no byte of the answer may be left over.
    async fn ask(&self, api: &str, method: &str, arguments: Vec<Value>) -> Value {
        let payload = runtime_api_call::<_, Value>(api, method, arguments);
        let at = self.api.at_current_block().await.unwrap();
        at.runtime_apis()
            .call(payload)
            .await
            .unwrap_or_else(|error| panic!("spec {}: {api}_{method}: {error}", self.spec))
    }

    async fn subnet(&self, method: &str) -> Value {
        self.ask(SUBNETS, method, vec![number(NETUID)]).await
    }
}

fn number(number: impl Into<u128>) -> Value {
    Value::u128(number.into())
}

/// What is in `Some`.
fn some(value: &Value) -> &Value {
    match &value.value {
        ValueDef::Variant(variant) if variant.name == "Some" => variant.values.values().next().unwrap(),
        _ => panic!("{value}"),
    }
}

fn items(value: &Value) -> Vec<&Value> {
    match &value.value {
        ValueDef::Composite(Composite::Unnamed(items)) => items.iter().collect(),
        _ => panic!("{value}"),
    }
}

/// A number in however many wrappers.
fn plain(value: &Value) -> u128 {
    match &value.value {
        ValueDef::Composite(Composite::Unnamed(items)) if items.len() == 1 => plain(&items[0]),
        _ => value.as_u128().or_else(|| u128::try_from(value.as_i128()?).ok()).unwrap_or_else(|| panic!("{value}")),
    }
}

fn bytes(value: &Value) -> Vec<u8> {
    match &value.value {
        ValueDef::Composite(Composite::Unnamed(items)) if items.len() == 1 => bytes(&items[0]),
        ValueDef::Composite(Composite::Unnamed(items)) => items.iter().map(|byte| plain(byte) as u8).collect(),
        _ => panic!("{value}"),
    }
}

fn key(uri: &str) -> Vec<u8> {
    let keypair = subxt_signer::sr25519::Keypair::from_uri(&uri.parse().unwrap()).unwrap();
    keypair.public_key().0.to_vec()
}

#[tokio::test]
async fn neurons_are_told_with_stake_permit_and_keys() {
    for world in worlds().await {
        for method in ["get_neurons", "get_neurons_lite"] {
            let neurons = world.ask(NEURONS, method, vec![number(NETUID)]).await;
            let neurons = items(&neurons);
            assert_eq!(neurons.len(), 2, "spec {}", world.spec);
            for (uid, (uri, stake, permit)) in [("//Alice", STAKE, true), ("//Bob", 0, false)].into_iter().enumerate() {
                let neuron = neurons[uid];
                assert_eq!(bytes(neuron.at("hotkey").unwrap()), key(uri));
                assert_eq!(plain(neuron.at("uid").unwrap()), uid as u128);
                assert_eq!(plain(neuron.at("netuid").unwrap()), NETUID.into());
                assert_eq!(neuron.at("validator_permit").unwrap().as_bool(), Some(permit));
                assert_eq!(neuron.at("active").unwrap().as_bool(), Some(true));
                let backers = items(neuron.at("stake").unwrap());
                assert_eq!(plain(backers[0].at(1).unwrap()), stake.into());
            }
            assert!(items(&world.ask(NEURONS, method, vec![number(99_u8)]).await).is_empty());
        }
        for method in ["get_neuron", "get_neuron_lite"] {
            let bob = world.ask(NEURONS, method, vec![number(NETUID), number(1_u8)]).await;
            assert_eq!(bytes(some(&bob).at("hotkey").unwrap()), key("//Bob"));
            let nobody = world.ask(NEURONS, method, vec![number(NETUID), number(2_u8)]).await;
            assert_eq!(nobody, Value::unnamed_variant("None", []));
        }
    }
}

#[tokio::test]
async fn every_subnet_api_decodes_and_knows_no_other_subnet() {
    let indexes = || Value::unnamed_composite((0..74_u8).map(number));
    for world in worlds().await {
        for (method, arguments) in [
            ("get_subnet_info", vec![]),
            ("get_subnet_info_v2", vec![]),
            ("get_subnet_hyperparams", vec![]),
            ("get_subnet_hyperparams_v2", vec![]),
            ("get_subnet_hyperparams_v3", vec![]),
            ("get_dynamic_info", vec![]),
            ("get_metagraph", vec![]),
            ("get_mechagraph", vec![number(0_u8)]),
            ("get_selective_metagraph", vec![indexes()]),
            ("get_selective_mechagraph", vec![number(0_u8), indexes()]),
            ("get_subnet_state", vec![]),
        ] {
            let ask = |netuid: u16| {
                let arguments = [vec![number(netuid)], arguments.clone()].concat();
                world.ask(SUBNETS, method, arguments)
            };
            some(&ask(NETUID).await);
            assert_eq!(ask(99).await, Value::unnamed_variant("None", []), "spec {}: {method}", world.spec);
        }
        // The subnet has one mechanism.
        let second = world.ask(SUBNETS, "get_mechagraph", vec![number(NETUID), number(1_u8)]).await;
        assert_eq!(second, Value::unnamed_variant("None", []));
    }
}

#[tokio::test]
async fn hyperparameters_follow_the_state() {
    for world in worlds().await {
        for (name, value) in [
            ("tempo", json!(33)),
            ("weights_rate_limit", json!(12)),
            ("commit_reveal", json!(true)),
            ("weights_version", json!(9)),
        ] {
            call(&world.rpc, "dev_setHyperparameter", json!([name, value])).await.unwrap();
        }
        world.chain.advance(2).unwrap();
        for method in ["get_subnet_hyperparams", "get_subnet_hyperparams_v2", "get_metagraph"] {
            let answer = world.subnet(method).await;
            let answer = some(&answer);
            let of = |name: &str| plain(answer.at(name).unwrap());
            let told = (of("tempo"), of("weights_rate_limit"), of("weights_version"));
            assert_eq!(told, (33, 12, 9), "spec {}: {method}", world.spec);
            assert_eq!(answer.at("commit_reveal_weights_enabled").unwrap().as_bool(), Some(true));
        }
        let list = world.subnet("get_subnet_hyperparams_v3").await;
        let entry = |name: &str| {
            let found =
                items(some(&list)).into_iter().find(|entry| bytes(entry.at("name").unwrap()) == name.as_bytes());
            let value = found.unwrap_or_else(|| panic!("no {name}")).at("value").unwrap();
            match &value.value {
                ValueDef::Variant(variant) => (variant.name.clone(), variant.values.values().next().unwrap().clone()),
                _ => panic!("{value}"),
            }
        };
        for (name, kind, value) in [
            ("tempo", "U16", 33),
            ("weights_rate_limit", "U64", 12),
            ("weights_version", "U64", 9),
            ("max_weight_limit", "U16", 65_535),
            ("max_burn", "TaoBalance", 100_000_000_000),
        ] {
            let (told, number) = entry(name);
            assert_eq!((told.as_str(), plain(&number)), (kind, value), "spec {}: {name}", world.spec);
        }
        let (kind, on) = entry("commit_reveal_weights_enabled");
        assert_eq!((kind.as_str(), on.as_bool()), ("Bool", Some(true)));
        let (kind, steepness) = entry("alpha_sigmoid_steepness");
        assert_eq!((kind.as_str(), plain(steepness.at("bits").unwrap())), ("I32F32", 1_000 << 32));
    }
}

#[tokio::test]
async fn a_metagraph_holds_what_was_chosen() {
    for world in worlds().await {
        // Hotkeys, permits, stake, the uids of validators.
        let chosen = Value::unnamed_composite([52_u8, 57, 67, 72].map(number));
        let answer = world.ask(SUBNETS, "get_selective_mechagraph", vec![number(NETUID), number(0_u8), chosen]).await;
        let answer = some(&answer);
        assert_eq!(plain(answer.at("netuid").unwrap()), NETUID.into());
        let hotkeys: Vec<_> = items(some(answer.at("hotkeys").unwrap())).into_iter().map(bytes).collect();
        assert_eq!(hotkeys, [key("//Alice"), key("//Bob")]);
        let stakes: Vec<_> = items(some(answer.at("alpha_stake").unwrap())).into_iter().map(plain).collect();
        assert_eq!(stakes, [STAKE.into(), 0]);
        let permits: Vec<_> =
            items(some(answer.at("validator_permit").unwrap())).into_iter().map(Value::as_bool).collect();
        assert_eq!(permits, [Some(true), Some(false)]);
        assert_eq!(items(some(answer.at("validators").unwrap())).into_iter().map(plain).collect::<Vec<_>>(), [0]);
        for other in ["name", "tempo", "coldkeys", "identity", "moving_price"] {
            assert_eq!(answer.at(other), Some(&Value::unnamed_variant("None", [])), "spec {}: {other}", world.spec);
        }

        let whole = world.subnet("get_subnet_state").await;
        let total: Vec<_> = items(some(&whole).at("total_stake").unwrap()).into_iter().map(plain).collect();
        assert_eq!(total, [STAKE.into(), 0]);
    }
}

#[tokio::test]
async fn a_transaction_is_validated_before_it_is_sent() {
    for world in worlds().await {
        let at = world.api.at_current_block().await.unwrap();
        let good = signed(&world.rpc, 0, 64).await;
        let validate = async |bytes: &[u8]| at.tx().from_bytes(bytes.to_vec()).validate().await.unwrap();
        let ValidationResult::Valid(valid) = validate(&good).await else { panic!("it is valid") };
        assert!(valid.requires.is_empty() && valid.provides.len() == 1 && valid.propagate);
        assert!((1..=64).contains(&valid.longevity), "{}", valid.longevity);
        let ValidationResult::Valid(valid) = validate(&signed(&world.rpc, 2, 64).await).await else {
            panic!("it may wait")
        };
        assert_eq!(valid.requires.len(), 1);

        let mut tampered = good.clone();
        let last = tampered.len() - 1;
        tampered[last] ^= 1;
        let refused = validate(&tampered).await;
        assert!(matches!(refused, ValidationResult::Invalid(_)), "{refused:?}");
        assert!(format!("{refused:?}").contains("BadProof"), "{refused:?}");

        support::rpc::submit(&world.rpc, &good).await.unwrap();
        world.chain.advance(3).unwrap();
        let at = world.api.at_current_block().await.unwrap();
        let stale = at.tx().from_bytes(good).validate().await.unwrap();
        assert!(format!("{stale:?}").contains("Stale"), "{stale:?}");

        let payment =
            world.ask("TransactionPaymentApi", "query_info", vec![Value::from_bytes([1, 2, 3]), number(3_u8)]).await;
        assert_eq!(plain(payment.at("partial_fee").unwrap()), 0);
    }
}

#[tokio::test]
async fn what_is_not_served_or_makes_no_sense_is_refused_like_by_a_runtime_that_lacks_it() {
    for world in worlds().await {
        for function in ["X", "X_y", "Core_execute_block", "AuraApi_authorities", "Core_", "_", ""] {
            let (code, reason) = refusal(call(&world.rpc, "state_call", json!([function, "0x"])).await);
            assert_eq!(code, 4003, "{function}");
            let expected = format!("Client error: Execution failed: Exported method {function} is not found");
            assert!(reason.starts_with(&expected), "{reason}");
        }
        for (function, data) in [
            ("Core_version", "00"),
            ("Metadata_metadata_at_version", "0f00"),
            ("AccountNonceApi_account_nonce", "00"),
            ("NeuronInfoRuntimeApi_get_neurons", ""),
            ("NeuronInfoRuntimeApi_get_neurons", "070000"),
            ("SubnetInfoRuntimeApi_get_selective_metagraph", "0700feffffff"),
            ("TaggedTransactionQueue_validate_transaction", "02feffffff"),
            ("TransactionPaymentApi_query_info", "0300"),
        ] {
            let (code, reason) = refusal(call(&world.rpc, "state_call", json!([function, data])).await);
            let expected = format!("Bad input data provided to {function}");
            assert!(code == 4003 && reason.contains(&expected), "{code} {reason}");
        }
        world.chain.advance(600).unwrap();
        let first = world.chain.block_hash(1).unwrap();
        let old = call(&world.rpc, "state_call", json!(["Core_version", "", hex::encode(first)])).await;
        let (code, reason) = refusal(old);
        assert!(code == 4003 && reason.contains("already discarded"), "{code} {reason}");
    }
}

#[tokio::test]
async fn a_full_subnet_is_answered_whole() {
    for spec in SPECS {
        let neurons = (0..256).map(|uid| NeuronSeed::validator(format!("//Neuron{uid}"), uid)).collect();
        let (chain, server) = serve(&Config { spec, neurons, ..config() }).await;
        chain.advance(2).unwrap();
        let rpc = connect(&server).await;
        let world = World { spec, chain, api: api(&rpc).await, rpc, _server: server };
        let neurons = world.ask(NEURONS, "get_neurons", vec![number(NETUID)]).await;
        let stakes =
            items(&neurons).into_iter().map(|neuron| plain(items(neuron.at("stake").unwrap())[0].at(1).unwrap()));
        assert!(stakes.eq(0..256), "spec {spec}");
        let metagraph = world.subnet("get_metagraph").await;
        let stakes = items(some(&metagraph).at("alpha_stake").unwrap()).into_iter().map(plain);
        assert!(stakes.eq(0..256), "spec {spec}");
    }
}
