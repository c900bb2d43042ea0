//! What a real node took and answered, byte by byte, against subxt and our own code: `golden-461.json` and `golden-419.json`, the
//! records that `make setup` extracts from two source distributions of the Python SDK. The devchain is compared with the same
//! records in its own tests.

#![allow(clippy::unwrap_used)]

use std::path::Path;

use kinitro_chain::{account_of, hotkey_of};
use kinitro_domain::Hotkey;
use scale_value::{At as _, Composite, Value, ValueDef};
use serde_json::Value as Json;
use subxt::{
    Metadata, OfflineClient, OfflineClientAtBlock, SubstrateConfig,
    config::{
        DefaultExtrinsicParamsBuilder, Hasher as _,
        substrate::{SpecVersionForRange, SubstrateHeader},
    },
    dynamic,
    events::Phase,
    ext::codec::Encode as _,
    utils::{AccountId32, H256, MultiSignature},
};

/// One chain that was recorded, and a client that has its metadata and nothing else.
struct Recorded {
    golden: Json,
    client: OfflineClientAtBlock<SubstrateConfig>,
}

/// Both of them.
fn recorded() -> Vec<Recorded> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.vendor/chain");
    let read = |name: String| {
        let path = folder.join(name);
        std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}: run `make setup`", path.display()))
    };
    let one = |spec_version: u32| {
        let golden: Json = serde_json::from_slice(&read(format!("golden-{spec_version}.json"))).unwrap();
        let metadata = Metadata::decode_from(&read(format!("metadata-{spec_version}-v15.scale"))).unwrap().arc();
        let versions = SpecVersionForRange { block_range: 0..u64::MAX, spec_version, transaction_version: 1 };
        let config = SubstrateConfig::builder()
            .set_genesis_hash(hash(&golden["network"]["genesis_hash"]))
            .set_spec_version_for_block_ranges([versions])
            .set_metadata_for_spec_versions([(spec_version, metadata)])
            .build();
        Recorded { golden, client: OfflineClient::new_with_config(config).at_block(0_u64).unwrap() }
    };
    [461, 419].into_iter().map(one).collect()
}

impl Recorded {
    fn all(&self, part: &str) -> impl Iterator<Item = &Json> {
        let found = self.golden[part].as_array().unwrap();
        assert!(!found.is_empty(), "no {part}");
        found.iter()
    }

    fn spec(&self) -> u32 {
        self.client.spec_version()
    }

    fn decode(&self, bytes: &[u8], ty: u32) -> Value {
        let mut rest = bytes;
        let value = scale_value::scale::decode_as_type(&mut rest, ty, self.client.metadata_ref().types()).unwrap();
        assert!(rest.is_empty(), "spec {}: bytes are left over", self.spec());
        value.remove_context()
    }
}

fn bytes(hex: &Json) -> Vec<u8> {
    let text = hex.as_str().unwrap();
    hex::decode(text.strip_prefix("0x").unwrap_or(text)).unwrap()
}

fn hash(hex: &Json) -> H256 {
    H256::from_slice(&bytes(hex))
}

fn text(json: &Json) -> &str {
    json.as_str().unwrap()
}

fn account(address: &str) -> [u8; 32] {
    account_of(&Hotkey::try_from(address.to_owned()).unwrap()).unwrap()
}

/// A recorded argument: addresses and hex digits are bytes.
fn argument(json: &Json) -> Value {
    match json {
        Json::Number(number) => Value::u128(number.as_u64().unwrap().into()),
        Json::String(text) if text.starts_with("0x") => Value::from_bytes(bytes(json)),
        Json::String(text) => Value::from_bytes(account(text)),
        Json::Array(items) => Value::unnamed_composite(items.iter().map(argument)),
        _ => panic!("no argument: {json}"),
    }
}

fn arguments(json: &Json) -> Vec<Value> {
    json.as_array().unwrap().iter().map(argument).collect()
}

/// The value inside wrappers of one part: newtypes and `Some`.
fn inner(value: &Value) -> &Value {
    match &value.value {
        ValueDef::Composite(composite) if composite.len() == 1 => composite.values().next().map_or(value, inner),
        ValueDef::Variant(variant) if variant.name == "Some" => variant.values.values().next().map_or(value, inner),
        _ => value,
    }
}

/// Checks every part of a decoded value against the record; answers how many single values were compared.
fn compare(ours: &Value, record: &Json, place: &str) -> usize {
    match record {
        Json::Object(fields) => {
            let whole = if ours.at(fields.keys().next().unwrap().as_str()).is_some() { ours } else { inner(ours) };
            let one = |(name, field): (&String, &Json)| {
                let part = whole.at(name.as_str()).unwrap_or_else(|| panic!("{place}: no {name} in {whole}"));
                compare(part, field, &format!("{place}.{name}"))
            };
            fields.iter().map(one).sum()
        }
        Json::Array(items) => {
            let found = |value: &Value| match &value.value {
                ValueDef::Composite(composite) => composite.values().cloned().collect::<Vec<_>>(),
                _ => panic!("{place}: no list: {value}"),
            };
            let mut parts = found(ours);
            while parts.len() != items.len() || (parts.len() == 1 && items[0].is_array() && is_wrapper(&parts[0])) {
                assert_eq!(parts.len(), 1, "{place}: {} parts, recorded {}", parts.len(), items.len());
                parts = found(&parts[0]);
            }
            parts.iter().zip(items).map(|(part, item)| compare(part, item, place)).sum()
        }
        Json::Null => 0,
        Json::Bool(flag) => {
            assert_eq!(inner(ours).as_bool(), Some(*flag), "{place}");
            1
        }
        Json::Number(number) => {
            let ours = inner(ours).as_u128().unwrap_or_else(|| panic!("{place}: no number: {ours}"));
            match number.as_u64() {
                Some(number) => assert_eq!(ours, u128::from(number), "{place}"),
                // serde_json keeps larger numbers as floats; the one recorded is a power of two.
                None => assert_eq!(ours as f64, number.as_f64().unwrap(), "{place}"),
            }
            1
        }
        Json::String(text) => {
            match &inner(ours).value {
                ValueDef::Variant(variant) => assert_eq!(&variant.name, text, "{place}"),
                ValueDef::Composite(Composite::Unnamed(numbers)) => {
                    let key: Vec<_> =
                        numbers.iter().map(|byte| u8::try_from(byte.as_u128().unwrap()).unwrap()).collect();
                    assert_eq!(key, account(text), "{place}");
                }
                _ => panic!("{place}: {ours}, recorded {text}"),
            }
            1
        }
    }
}

fn is_wrapper(value: &Value) -> bool {
    matches!(&value.value, ValueDef::Composite(composite) if composite.len() == 1)
}

#[test]
fn storage_keys_are_those_a_real_node_uses() {
    for chain in recorded() {
        for part in ["storage_keys", "storage_values"] {
            for entry in chain.all(part) {
                let (pallet, name) = (text(&entry["pallet"]), text(&entry["storage_function"]));
                let address = dynamic::storage::<Vec<Value>, Value>(pallet, name);
                let key = chain.client.storage().entry(address).unwrap().fetch_key(arguments(&entry["params"]));
                let key = hex::encode(key.unwrap());
                assert_eq!(key, hex::encode(bytes(&entry["key_hex"])), "spec {}: {pallet}.{name}", chain.spec());
            }
        }
    }
}

#[test]
fn keys_of_maps_are_asked_for_by_the_prefix_a_real_node_uses() {
    for chain in recorded() {
        for map in chain.all("query_maps") {
            let (pallet, name) = (text(&map["pallet"]), text(&map["storage_function"]));
            let address = dynamic::storage::<Vec<Value>, Value>(pallet, name);
            let prefix = chain.client.storage().entry(address).unwrap().iter_key(arguments(&map["params"])).unwrap();
            assert_eq!(prefix, bytes(&map["prefix_hex"]), "spec {}: {pallet}.{name}", chain.spec());
        }
    }
}

#[test]
fn stored_values_are_read_as_a_real_node_meant_them() {
    for chain in recorded() {
        for entry in chain.all("storage_values") {
            let (pallet, name) = (text(&entry["pallet"]), text(&entry["storage_function"]));
            let found = chain.client.metadata_ref().pallet_by_name(pallet).and_then(|pallet| pallet.storage());
            let known = found.and_then(|storage| storage.entry_by_name(name)).unwrap();
            let raw = match &entry["raw_hex"] {
                Json::Null => known.default_value().unwrap().to_vec(),
                raw => bytes(raw),
            };
            let place = format!("spec {}: {pallet}.{name}", chain.spec());
            assert!(compare(&chain.decode(&raw, known.value_ty()), &entry["decoded"], &place) > 0, "{place}");
        }
    }
}

#[test]
fn calls_have_the_bytes_a_real_node_takes() {
    for chain in recorded() {
        for call in chain.all("calls") {
            let (pallet, name, expected) = (text(&call["module"]), text(&call["function"]), bytes(&call["data_hex"]));
            let place = format!("spec {}: {pallet}.{name}", chain.spec());
            let read = chain.client.tx().from_call_data_bytes(&expected).unwrap();
            assert_eq!((read.pallet_name(), read.call_name()), (pallet, name), "{place}");
            assert_eq!(chain.client.tx().call_data(&read).unwrap(), expected, "{place}");
            // Calls inside calls are recorded in words.
            if ["Sudo", "Utility", "Proxy"].contains(&pallet) {
                continue;
            }
            let fields = call["params"].as_object().unwrap().iter().map(|(field, recorded)| {
                let bare = argument(recorded);
                let of_account = pallet == "Balances" && field == "dest";
                (field.clone(), if of_account { Value::unnamed_variant("Id", [bare]) } else { bare })
            });
            let ours = dynamic::tx(pallet, name, Composite::named(fields.collect::<Vec<_>>()));
            assert_eq!(chain.client.tx().call_data(&ours).unwrap(), expected, "{place}");
        }
    }
}

/// The nonce and the era of a record as we give them to subxt.
fn parameters(record: &Json) -> DefaultExtrinsicParamsBuilder<SubstrateConfig> {
    let parameters = DefaultExtrinsicParamsBuilder::new().nonce(record["nonce"].as_u64().unwrap());
    let era = &record["era"];
    match (era["period"].as_u64(), era["current"].as_u64()) {
        (Some(period), Some(current)) => {
            let birth = &record["era_birth_block_hash"];
            let birth = if birth.is_null() { H256::zero() } else { hash(birth) };
            parameters.mortal_from_unchecked(period, current, birth)
        }
        _ => parameters.immortal(),
    }
}

#[test]
fn what_we_sign_is_what_a_real_node_checks() {
    for chain in recorded() {
        for record in chain.all("signature_payloads") {
            let call = chain.client.tx().from_call_data_bytes(&bytes(&record["call_data_hex"])).unwrap();
            let signable = chain.client.tx().create_signable_offline(&call, parameters(record).build()).unwrap();
            let ours = hex::encode(signable.signer_payload().unwrap());
            assert_eq!(ours, hex::encode(bytes(&record["payload_hex"])), "spec {}: {}", chain.spec(), record["era"]);
        }
    }
}

#[test]
fn transactions_and_their_hashes_are_those_a_real_node_takes() {
    for chain in recorded() {
        for record in chain.all("extrinsics") {
            let call = chain.client.tx().from_call_data_bytes(&bytes(&record["call_data_hex"])).unwrap();
            let mut signable = chain.client.tx().create_signable_offline(&call, parameters(record).build()).unwrap();
            let signature = MultiSignature::Sr25519(bytes(&record["signature_hex"]).try_into().unwrap());
            let signer = AccountId32(account(text(&record["address"])));
            let ours = signable.sign_with_account_and_signature(&signer, &signature).unwrap();
            assert_eq!(hex::encode(ours.encoded()), hex::encode(bytes(&record["extrinsic_hex"])), "{}", chain.spec());
            assert_eq!(ours.hash(), hash(&record["extrinsic_hash"]), "spec {}", chain.spec());
        }
    }
}

#[test]
fn events_are_read_as_a_real_node_meant_them() {
    for chain in recorded() {
        let record = &chain.golden["events"];
        let decoded = record["decoded"].as_array().unwrap();
        let events = chain.client.events().from_bytes(bytes(&record["raw_hex"]));
        assert_eq!(events.len() as usize, decoded.len());
        for (event, recorded) in events.iter().zip(decoded) {
            let event = event.unwrap();
            let place = format!("spec {}: {}.{}", chain.spec(), event.pallet_name(), event.event_name());
            assert_eq!(event.pallet_name(), text(&recorded["module_id"]), "{place}");
            assert_eq!(event.event_name(), text(&recorded["event_id"]), "{place}");
            let phase = match recorded["extrinsic_idx"].as_u64() {
                Some(index) => Phase::ApplyExtrinsic(u32::try_from(index).unwrap()),
                None => Phase::Initialization,
            };
            assert_eq!(event.phase(), phase, "{place}");
            let fields = event.decode_fields_unchecked_as::<Composite<()>>().unwrap();
            let fields = Value { value: ValueDef::Composite(fields), context: () };
            assert!(compare(&fields, &recorded["event"]["attributes"], &place) > 0, "{place}");
        }
    }
}

#[test]
fn answers_of_runtime_calls_are_read_as_a_real_node_meant_them() {
    for chain in recorded() {
        for call in chain.all("runtime_calls") {
            let (api, method) = (text(&call["api"]), text(&call["method"]));
            let place = format!("spec {}: {api}_{method}", chain.spec());
            let payload = dynamic::runtime_api_call::<Vec<Value>, Value>(api, method, arguments(&call["params"]));
            let parameters = chain.client.runtime_apis().encode_args(payload).unwrap();
            assert_eq!(parameters, bytes(&call["encoded_params_hex"]), "{place}");
            let known = chain.client.metadata_ref().runtime_api_trait_by_name(api).unwrap();
            let ty = known.method_by_name(method).unwrap().output_ty();
            let answer = chain.decode(&bytes(&call["raw_hex"]), ty);
            assert!(compare(&answer, &call["decoded"], &place) > 0, "{place}");
        }
    }
}

/// Changes the n-th single value of a record; false when it has fewer.
fn change(record: &mut Json, n: &mut usize) -> bool {
    match record {
        Json::Array(items) => items.iter_mut().any(|item| change(item, n)),
        Json::Object(fields) => fields.values_mut().any(|field| change(field, n)),
        Json::Null => false,
        _ if *n > 0 => {
            *n -= 1;
            false
        }
        single => {
            *single = match single {
                Json::Bool(flag) => Json::Bool(!*flag),
                Json::Number(number) => Json::from(number.as_u64().unwrap_or(0) ^ 1),
                _ => Json::from("5C4hrfjw9DjXZTzV3MwzrrAr9P1MJhSrvWGWqi1eSuyUpnhN"),
            };
            true
        }
    }
}

#[test]
fn a_single_other_value_in_an_answer_would_be_noticed() {
    let chain = recorded().remove(0);
    for call in chain.all("runtime_calls") {
        let known = chain.client.metadata_ref().runtime_api_trait_by_name(text(&call["api"])).unwrap();
        let ty = known.method_by_name(text(&call["method"])).unwrap().output_ty();
        let answer = chain.decode(&bytes(&call["raw_hex"]), ty);
        let compared = compare(&answer, &call["decoded"], "");
        for at in 0..compared {
            let mut other = call["decoded"].clone();
            assert!(change(&mut other, &mut { at }), "{}: value {at} of {compared}", call["method"]);
            let noticed = std::panic::catch_unwind(|| compare(&answer, &other, "")).is_err();
            assert!(noticed, "{}: value {at} of {compared}: {other}", call["method"]);
        }
    }
}

#[test]
fn a_blocks_hash_is_that_of_its_header() {
    for chain in recorded() {
        let block = &chain.golden["block"];
        let header: SubstrateHeader<H256> = serde_json::from_value(block["raw"]["block"]["header"].clone()).unwrap();
        assert_eq!(header.number, block["decoded_header"]["number"].as_u64().unwrap());
        let ours = chain.client.hasher().hash(&header.encode());
        assert_eq!(ours, hash(&block["block_hash"]), "spec {}", chain.spec());
    }
}

#[test]
fn addresses_are_those_a_real_node_writes() {
    for chain in recorded() {
        for record in chain.all("ss58") {
            let key: [u8; 32] = bytes(&record["public_key_hex"]).try_into().unwrap();
            assert_eq!(hotkey_of(key).as_str(), text(&record["address"]));
            assert_eq!(account(text(&record["address"])), key);
        }
    }
}
