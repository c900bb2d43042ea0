//! What a real node answered, byte by byte: `golden-461.json` and `golden-419.json`, the records that `make setup` extracts from
//! two source distributions of the Python SDK. Every part of the chain that has a record is compared with it here.

#![allow(clippy::unwrap_used)]

use parity_scale_codec::Encode as _;
use scale_value::Value;
use serde_json::Value as Json;
use sp_crypto_hashing::blake2_256;

use crate::{
    block::{Hash, Header},
    call::{Call, SentWeights},
    config::SPECS,
    extrinsic::Extrinsic,
    meta::Meta,
};

/// One chain that was recorded, and the metadata it served.
struct Recorded {
    spec: u32,
    meta: Meta,
    golden: Json,
}

/// Both of them.
fn recorded() -> Vec<Recorded> {
    let folder = crate::Config::default().metadata_dir();
    let one = |spec| {
        let path = folder.join(format!("golden-{spec}.json"));
        let text = std::fs::read_to_string(&path);
        let text = text.unwrap_or_else(|error| panic!("{}: {error}: run `make setup`", path.display()));
        Recorded { spec, meta: Meta::load(&folder, spec).unwrap(), golden: serde_json::from_str(&text).unwrap() }
    };
    SPECS.into_iter().map(one).collect()
}

impl Recorded {
    fn all(&self, part: &str) -> impl Iterator<Item = &Json> {
        let found = self.golden[part].as_array().unwrap();
        assert!(!found.is_empty(), "spec {}: no {part}", self.spec);
        found.iter()
    }

    fn genesis(&self) -> Hash {
        hash(&self.golden["network"]["genesis_hash"])
    }
}

fn bytes(hex: &Json) -> Vec<u8> {
    let text = hex.as_str().unwrap();
    hex::decode(text.strip_prefix("0x").unwrap_or(text)).unwrap()
}

fn hash(hex: &Json) -> Hash {
    bytes(hex).try_into().unwrap()
}

fn text(json: &Json) -> &str {
    json.as_str().unwrap()
}

/// A recorded argument or field as a value: addresses and hex digits are bytes, other texts are names of variants.
fn value(json: &Json) -> Value {
    match json {
        Json::Number(number) => Value::u128(number.as_u64().unwrap().into()),
        Json::Bool(flag) => Value::bool(*flag),
        Json::String(text) if text.starts_with("0x") => Value::from_bytes(bytes(json)),
        Json::String(text) if text.len() == 48 => Value::from_bytes(crate::genesis::public_key(text).unwrap()),
        Json::String(text) => Value::unnamed_variant(text.clone(), []),
        Json::Array(items) => Value::unnamed_composite(items.iter().map(value)),
        Json::Object(fields) => Value::named_composite(fields.iter().map(|(name, field)| (name.clone(), value(field)))),
        Json::Null => panic!("nothing recorded has no value"),
    }
}

fn values(json: &Json) -> Vec<Value> {
    json.as_array().unwrap().iter().map(value).collect()
}

#[test]
fn the_specs_and_versions_are_those_of_the_recorded_chains() {
    for chain in recorded() {
        assert_eq!(chain.golden["network"]["spec_version"], chain.meta.spec_version);
        assert_eq!(chain.golden["network"]["transaction_version"], chain.meta.tx_version);
        assert_eq!(chain.spec, chain.meta.spec_version);
    }
}

#[test]
fn storage_keys_are_those_a_real_node_uses() {
    for chain in recorded() {
        for part in ["storage_keys", "storage_values"] {
            for entry in chain.all(part) {
                let (pallet, name) = (text(&entry["pallet"]), text(&entry["storage_function"]));
                let key = chain.meta.key(pallet, name, &values(&entry["params"])).unwrap();
                assert_eq!(key, bytes(&entry["key_hex"]), "spec {}: {pallet}.{name}", chain.spec);
            }
        }
    }
}

#[test]
fn a_maps_keys_are_found_below_the_prefix_a_real_node_uses() {
    for chain in recorded() {
        for map in chain.all("query_maps") {
            let (pallet, name) = (text(&map["pallet"]), text(&map["storage_function"]));
            let (prefix, first) = (values(&map["params"]), bytes(&map["prefix_hex"]));
            for (pair, key) in map["pairs"].as_array().unwrap().iter().zip(map["raw_keys"].as_array().unwrap()) {
                let keys = [prefix.clone(), vec![value(&pair[0])]].concat();
                let ours = chain.meta.key(pallet, name, &keys).unwrap();
                assert_eq!(ours, bytes(key), "spec {}: {pallet}.{name}", chain.spec);
                assert!(ours.starts_with(&first), "spec {}: {pallet}.{name}", chain.spec);
            }
        }
    }
}

#[test]
fn stored_values_are_read_and_written_as_a_real_node_does() {
    for chain in recorded() {
        let mut defaults = 0;
        for entry in chain.all("storage_values") {
            let (pallet, name) = (text(&entry["pallet"]), text(&entry["storage_function"]));
            let raw = (!entry["raw_hex"].is_null()).then(|| bytes(&entry["raw_hex"]));
            defaults += u32::from(raw.is_none());
            let read = chain.meta.read(pallet, name, raw.as_deref()).unwrap().unwrap();
            let written = chain.meta.stored(pallet, name, &read).unwrap();
            if let Some(raw) = raw {
                assert_eq!(written, raw, "spec {}: {pallet}.{name}", chain.spec);
            }
            // Larger numbers than u64 are in the records' accounts alone, whose bytes were just compared.
            if !entry["decoded"].is_object() {
                let ours = chain.meta.stored(pallet, name, &value(&entry["decoded"])).unwrap();
                assert_eq!(ours, written, "spec {}: {pallet}.{name}", chain.spec);
            }
        }
        assert_eq!(defaults, 1, "spec {}: one record is of a key that is not there", chain.spec);
    }
}

#[test]
fn what_is_signed_is_what_a_real_node_checks() {
    for chain in recorded() {
        for payload in chain.all("signature_payloads") {
            // The same call signed by anybody, with this era and nonce.
            let shell = chain.all("extrinsics").find(|extrinsic| extrinsic["era"] == payload["era"]).unwrap();
            let whole = bytes(&shell["extrinsic_hex"]);
            let call = bytes(&payload["call_data_hex"]);
            let era_length = if payload["era"].is_string() { 1 } else { 2 };
            // Length, version, address, signature; then era, nonce, tip, mode.
            let nonce_at = 2 + 1 + 33 + 65 + era_length;
            assert_eq!(whole.len(), nonce_at + 3 + call.len());
            let mut changed = whole.clone();
            changed[nonce_at] = u8::try_from(payload["nonce"].as_u64().unwrap() << 2).unwrap();
            let extrinsic = Extrinsic::decode(&chain.meta, &changed).unwrap();
            let birth = &payload["era_birth_block_hash"];
            let birth = if birth.is_null() { chain.genesis() } else { hash(birth) };
            let ours = extrinsic.payload(&chain.meta, &chain.genesis(), &birth);
            assert_eq!(hex::encode(ours), hex::encode(bytes(&payload["payload_hex"])), "spec {}", chain.spec);
        }
    }
}

#[test]
fn transactions_are_read_and_hashed_as_on_a_real_node() {
    for chain in recorded() {
        for recorded in chain.all("extrinsics") {
            let extrinsic = Extrinsic::decode(&chain.meta, &bytes(&recorded["extrinsic_hex"])).unwrap();
            assert_eq!(extrinsic.hash, hash(&recorded["extrinsic_hash"]), "spec {}", chain.spec);
            assert_eq!(extrinsic.account, hash(&recorded["public_key_hex"]), "spec {}", chain.spec);
            assert_eq!(recorded["nonce"], extrinsic.nonce, "spec {}", chain.spec);
            // It was signed at the block that its era is born in.
            let current = recorded["era"]["current"].as_u64().unwrap_or(0);
            assert_eq!(extrinsic.era.birth(current), current, "spec {}", chain.spec);
            // The signature in these records is made up.
            assert!(!extrinsic.signature_is_good(&chain.meta, &chain.genesis(), &chain.genesis()));
        }
    }
}

#[test]
fn the_recorded_weights_are_read() {
    for chain in recorded() {
        let record = chain.all("calls").find(|call| call["function"] == "set_weights").unwrap();
        let Call::SetWeights { netuid, mechanism, weights } =
            Call::decode(&chain.meta, &bytes(&record["data_hex"])).unwrap()
        else {
            panic!("spec {}: no weights", chain.spec);
        };
        assert_eq!((netuid, mechanism), (1, 0), "spec {}", chain.spec);
        assert_eq!(weights, SentWeights { uids: vec![0, 1], values: vec![100, 200], version_key: 0 });
        // The other recorded calls are none that this chain executes.
        for other in chain.all("calls").filter(|call| call["function"] != "set_weights") {
            let call = Call::decode(&chain.meta, &bytes(&other["data_hex"])).unwrap();
            assert!(matches!(call, Call::Other), "spec {}: {}", chain.spec, other["function"]);
        }
    }
}

/// Composed by the Python SDK's `compose_call`, by 10.5.0 over the metadata of spec 461 and by 10.1.0 over that of spec 419 alike. Subnet
/// 258, mechanism 3.
const SDK_WEIGHTS: &str = "07770201030c0000010002010cffff0100000008aa980000000000";
const SDK_SEALED: &str = "07760201031901000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f404142434445141a99be1c0000000400";

#[test]
fn the_calls_that_the_sdk_sends_are_read() {
    for chain in recorded() {
        let Call::SetWeights { netuid: 258, mechanism: 3, weights } =
            Call::decode(&chain.meta, &hex::decode(SDK_WEIGHTS).unwrap()).unwrap()
        else {
            panic!("spec {}: no weights", chain.spec);
        };
        let (uids, values) = (vec![0, 1, 258], vec![u16::MAX, 1, 0]);
        assert_eq!(weights, SentWeights { uids, values, version_key: 10_005_000 }, "spec {}", chain.spec);
        let Call::CommitTimelockedWeights { netuid: 258, mechanism: 3, sealed } =
            Call::decode(&chain.meta, &hex::decode(SDK_SEALED).unwrap()).unwrap()
        else {
            panic!("spec {}: no sealed weights", chain.spec);
        };
        assert_eq!(sealed.commit, (0..70).collect::<Vec<u8>>(), "spec {}", chain.spec);
        assert_eq!((sealed.reveal_round, sealed.version), (123_456_789_012, 4), "spec {}", chain.spec);
    }
}

#[test]
fn the_signature_of_a_transaction_in_a_real_block_is_good() {
    for chain in recorded() {
        let block = &chain.golden["block"];
        let transactions = block["raw"]["block"]["extrinsics"].as_array().unwrap();
        let transfer = transactions.last().unwrap();
        let extrinsic = Extrinsic::decode(&chain.meta, &bytes(transfer)).unwrap();
        assert_eq!(extrinsic.account, crate::genesis::public_key("//Alice").unwrap());
        let recorded = block["decoded_extrinsics"].as_array().unwrap().last().unwrap();
        assert_eq!(extrinsic.hash, hash(&recorded["extrinsic_hash"]), "spec {}", chain.spec);
        // It is immortal: born with the chain.
        assert!(extrinsic.signature_is_good(&chain.meta, &chain.genesis(), &chain.genesis()), "spec {}", chain.spec);
        let another: Hash = [7; 32];
        assert!(!extrinsic.signature_is_good(&chain.meta, &another, &another), "spec {}", chain.spec);
    }
}

#[test]
fn events_are_written_as_a_real_node_does() {
    for chain in recorded() {
        let events = &chain.golden["events"];
        let decoded = events["decoded"].as_array().unwrap();
        let mut ours = parity_scale_codec::Compact(u32::try_from(decoded.len()).unwrap()).encode();
        for record in decoded {
            match record["extrinsic_idx"].as_u64() {
                Some(index) => ours.extend((0_u8, u32::try_from(index).unwrap()).encode()),
                None => ours.push(if record["phase"] == "Finalization" { 1 } else { 2 }),
            }
            let (pallet, event) = (text(&record["module_id"]), &record["event"]);
            let fields = event["attributes"].as_object().unwrap();
            let fields = fields.iter().map(|(name, field)| (name.clone(), value(field)));
            let event = Value::named_variant(text(&event["event_id"]), fields);
            ours.extend(chain.meta.event(pallet, event).unwrap());
            // No topics.
            ours.push(0);
        }
        assert_eq!(hex::encode(&ours), hex::encode(bytes(&events["raw_hex"])), "spec {}", chain.spec);
        let read = chain.meta.read("System", "Events", Some(&ours)).unwrap().unwrap();
        assert_eq!(chain.meta.stored("System", "Events", &read).unwrap(), ours, "spec {}", chain.spec);
    }
}

#[test]
fn a_header_is_hashed_as_on_a_real_node() {
    for chain in recorded() {
        let header = &chain.golden["block"]["raw"]["block"]["header"];
        let number = text(&header["number"]).trim_start_matches("0x");
        let ours = Header {
            parent: hash(&header["parentHash"]),
            number: u32::from_str_radix(number, 16).unwrap(),
            state_root: hash(&header["stateRoot"]),
            extrinsics_root: hash(&header["extrinsicsRoot"]),
        };
        // A real header has digests, ours has none: everything before them is the same, and so is how it is hashed.
        let digests: Vec<_> = header["digest"]["logs"].as_array().unwrap().iter().map(bytes).collect();
        let real = ours.encode_with(&digests);
        assert_eq!(blake2_256(&real), hash(&chain.golden["block"]["block_hash"]), "spec {}", chain.spec);
        assert_eq!(ours.hash(), blake2_256(&ours.encode_with(&[])), "spec {}", chain.spec);
    }
}

#[test]
fn answers_of_runtime_calls_have_the_types_that_a_real_node_gives_them() {
    for chain in recorded() {
        for call in chain.all("runtime_calls") {
            let (api, method) = (text(&call["api"]), text(&call["method"]));
            let types = chain.meta.metadata.types();
            let known = chain.meta.metadata.runtime_api_trait_by_name(api).unwrap().method_by_name(method).unwrap();
            let mut parameters = Vec::new();
            for (input, parameter) in known.inputs().zip(values(&call["params"])) {
                parameters.extend(chain.meta.encode(&parameter, input.id).unwrap());
            }
            assert_eq!(parameters, bytes(&call["encoded_params_hex"]), "spec {}: {api}_{method}", chain.spec);
            let raw = bytes(&call["raw_hex"]);
            let mut rest = raw.as_slice();
            let answer = scale_value::scale::decode_as_type(&mut rest, known.output_ty(), types).unwrap();
            assert!(rest.is_empty(), "spec {}: {api}_{method}: {} bytes are left over", chain.spec, rest.len());
            let written = chain.meta.encode(&answer.remove_context(), known.output_ty()).unwrap();
            assert_eq!(written, raw, "spec {}: {api}_{method}", chain.spec);
        }
    }
}
