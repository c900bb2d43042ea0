//! Our own calls against what a real node took, byte by byte (`golden-461.json` and `golden-419.json`, which `make setup`
//! extracts). What does not go through [`Call`] is compared in `tests/recorded.rs`.
#![allow(clippy::unwrap_used)]

use std::{path::Path, sync::Arc};

use kinitro_domain::MinerUid;
use serde_json::Value as Json;
use subxt::{
    Metadata, OfflineClient, SubstrateConfig,
    client::{ClientAtBlock, OfflineClientAtBlockImpl},
    config::{
        DefaultExtrinsicParamsBuilder,
        substrate::{SpecVersionForRange, SubstrateConfigBuilder},
    },
    utils::H256,
};

use crate::{BlockHash, Call, ERA};

const SPECS: [u32; 2] = [461, 419];

struct Recorded {
    at: ClientAtBlock<SubstrateConfig, OfflineClientAtBlockImpl<SubstrateConfig>>,
    golden: Json,
}

fn text(value: &Json) -> &str {
    value.as_str().unwrap()
}

fn hash(value: &Json) -> H256 {
    text(value).parse::<BlockHash>().unwrap().into()
}

fn bytes(value: &Json) -> Vec<u8> {
    hex::decode(text(value).trim_start_matches("0x")).unwrap()
}

impl Recorded {
    fn of(spec: u32) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.vendor/chain");
        let path = folder.join(format!("golden-{spec}.json"));
        let golden = std::fs::read_to_string(&path);
        let golden = golden.unwrap_or_else(|error| panic!("{}: {error}: run `make setup`", path.display()));
        let golden: Json = serde_json::from_str(&golden).unwrap();
        let metadata = std::fs::read(folder.join(format!("metadata-{spec}-v15.scale"))).unwrap();
        let metadata = Arc::new(Metadata::decode_from(&metadata).unwrap());
        let transaction_version = golden["network"]["transaction_version"].as_u64().unwrap().try_into().unwrap();
        let config = SubstrateConfigBuilder::new()
            .set_genesis_hash(hash(&golden["network"]["genesis_hash"]))
            .set_metadata_for_spec_versions([(spec, metadata)])
            .set_spec_version_for_block_ranges([SpecVersionForRange {
                block_range: 0..u64::MAX,
                spec_version: spec,
                transaction_version,
            }])
            .build();
        let at = OfflineClient::new_with_config(config).at_block(1_u64).unwrap();
        Self { at, golden }
    }

    fn all(&self, part: &str) -> impl Iterator<Item = &Json> {
        let found = self.golden[part].as_array().unwrap();
        assert!(!found.is_empty(), "{part}");
        found.iter()
    }

    fn call(&self, call: &Call) -> String {
        call.check().unwrap();
        hex::encode(self.at.tx().call_data(&call.payload()).unwrap())
    }
}

fn weights() -> Vec<(MinerUid, u16)> {
    vec![(MinerUid(0), 100), (MinerUid(1), 200)]
}

#[test]
fn our_weights_are_the_bytes_a_real_node_took() {
    for spec in SPECS {
        let recorded = Recorded::of(spec);
        let real = recorded.all("calls").find(|call| call["function"] == "set_weights").unwrap();
        let call = Call::SetWeights { netuid: 1, weights: weights(), version_key: 0 };
        assert_eq!(format!("0x{}", recorded.call(&call)), text(&real["data_hex"]), "spec {spec}");
    }
}

/// Composed by the Python SDK's `compose_call`: by 10.5.0 over the metadata of spec 461, and by 10.1.0 over that of spec 419, which
/// gave the same bytes. Subnet 258 (1 for the first); the weights 65535 for uid 0, 1 for uid 1, 0 for uid 258, version key 10005000; mechanism 3;
/// sealed weights of the bytes 0 to 69, round 123456789012, version 4.
const HELLO: &str = "12000100040668656c6c6f";
const WEIGHTS: &str = "070002010c0000010002010cffff0100000008aa980000000000";
const MECHANISM_WEIGHTS: &str = "07770201030c0000010002010cffff0100000008aa980000000000";
const SEALED: &str = "077102011901000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f404142434445141a99be1c0000000400";
const MECHANISM_SEALED: &str = "07760201031901000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f404142434445141a99be1c0000000400";

#[test]
fn our_calls_are_the_bytes_that_the_sdk_sends() {
    let (netuid, version_key, mechanism) = (258, 10_005_000, 3);
    let weights = vec![(MinerUid(0), u16::MAX), (MinerUid(1), 1), (MinerUid(258), 0)];
    let sealed = |mechanism| Call::CommitTimelockedWeights {
        netuid,
        mechanism,
        commit: (0..70).collect(),
        reveal_round: 123_456_789_012,
        commit_reveal_version: 4,
    };
    let calls = [
        (Call::SetCommitment { netuid: 1, data: b"hello".to_vec() }, HELLO.to_owned()),
        // The longest: a variant of its own.
        (
            Call::SetCommitment { netuid, data: (0..128).collect() },
            format!("120002010481{}", hex::encode((0..128).collect::<Vec<u8>>())),
        ),
        (Call::SetWeights { netuid, weights: weights.clone(), version_key }, WEIGHTS.to_owned()),
        (Call::SetMechanismWeights { netuid, mechanism, weights, version_key }, MECHANISM_WEIGHTS.to_owned()),
        (sealed(None), SEALED.to_owned()),
        (sealed(Some(mechanism)), MECHANISM_SEALED.to_owned()),
    ];
    for spec in SPECS {
        let recorded = Recorded::of(spec);
        for (call, expected) in &calls {
            assert_eq!(&recorded.call(call), expected, "spec {spec}: {}", call.name());
        }
    }
}

#[test]
fn our_weights_in_a_transaction_are_signed_as_a_real_node_checks_them() {
    for spec in SPECS {
        let recorded = Recorded::of(spec);
        for real in recorded.all("signature_payloads") {
            let (their_call, payload) = (bytes(&real["call_data_hex"]), bytes(&real["payload_hex"]));
            // What follows the call is the same for every call with this nonce and era.
            let rest = payload.strip_prefix(&their_call[..]).unwrap();
            let call = Call::SetWeights { netuid: 1, weights: weights(), version_key: 0 };
            let parameters = DefaultExtrinsicParamsBuilder::new().nonce(real["nonce"].as_u64().unwrap());
            let parameters = match real["era"]["current"].as_u64() {
                Some(current) => parameters.mortal_from_unchecked(ERA, current, hash(&real["era_birth_block_hash"])),
                None => parameters.immortal(),
            };
            let ours = call.payload();
            let signable = recorded.at.tx().create_v4_signable_offline(&ours, parameters.build()).unwrap();
            let expected = [hex::decode(recorded.call(&call)).unwrap(), rest.to_vec()].concat();
            assert_eq!(signable.signer_payload().unwrap(), expected, "spec {spec}");
        }
    }
}
