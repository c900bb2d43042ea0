//! A node that answers nonsense costs an error, never a panic, a hang or the memory.
#![allow(clippy::unwrap_used)]

use std::{convert::Infallible, time::Duration};

use jsonrpsee::{RpcModule, server::Server};
use kinitro_chain::{BlockHash, BlockRef, Call, ChainClient, Signer, Ticket, Wait};
use kinitro_domain::{BlockNumber, MinerUid};
use serde_json::{Value as Json, json};
use tokio::time::timeout;

/// Nothing here takes longer unless it hangs. Errors come at once, or after a few attempts with pauses.
const PATIENCE: Duration = Duration::from_secs(90);

const METHODS: [&str; 12] = [
    "rpc_methods",
    "chain_getBlockHash",
    "chain_getFinalizedHead",
    "chain_getHeader",
    "chain_getBlock",
    "state_call",
    "state_getStorage",
    "state_getKeysPaged",
    "state_queryStorageAt",
    "system_accountNextIndex",
    "author_submitExtrinsic",
    "state_getMetadata",
];

fn nonsense() -> Vec<Json> {
    let header = json!({ "parentHash": "0x00", "number": "0xffffffffffffffffffff", "stateRoot": 1, "extrinsicsRoot": [], "digest": {} });
    vec![
        json!(null),
        json!(true),
        json!(-1),
        json!("0x"),
        json!("0xzz"),
        json!(format!("0x{}", "ff".repeat(200_000))),
        json!(format!("0x{}", "00".repeat(32))),
        json!(vec![0; 100_000]),
        json!({ "block": { "header": header, "extrinsics": vec!["0x00"; 10_000] } }),
        header,
    ]
}

/// A node that answers everything with the same, but for the genesis block when that is to work.
async fn node(answer: Json, connects: bool) -> String {
    let mut module = RpcModule::new(answer);
    for method in METHODS {
        let registered = module.register_method(method, move |_, answer, _| {
            let genesis = json!(format!("0x{}", "11".repeat(32)));
            if connects && method == "chain_getBlockHash" { genesis } else { answer.clone() }
        });
        registered.unwrap();
    }
    let config = jsonrpsee::server::ServerConfig::builder().max_response_body_size(64 * 1024 * 1024).build();
    let server = Server::builder().set_config(config).build("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}", server.local_addr().unwrap());
    tokio::spawn(server.start(module).stopped());
    url
}

#[tokio::test]
async fn every_read_of_nonsense_is_an_error() {
    for answer in nonsense() {
        for connects in [false, true] {
            let client = ChainClient::new(&node(answer.clone(), connects).await).unwrap();
            let (block, alice) = (BlockHash([1; 32]), Signer::from_uri("//Alice").unwrap());
            let call = Call::SetCommitment { netuid: 1, data: vec![1] };
            let hotkey = alice.hotkey();
            let reads = async {
                let _ = client.best_head().await;
                let _ = client.block_hash(BlockNumber(1)).await;
                [
                    client.finalized_head().await.is_err(),
                    client.neurons_at(block, 1).await.is_err(),
                    client.commitments_at(block, 1).await.is_err(),
                    client.commitment_at(block, 1, &hotkey).await.is_err(),
                    client.subnet_at(block, 1).await.is_err(),
                    client.validator_at(block, 1, &hotkey).await.is_err(),
                    client.weights_at(block, 1, MinerUid(0)).await.is_err(),
                    client.beacon_at(block).await.is_err(),
                    client.execute(&alice, &call, Wait::Finality, |_| Ok::<_, Infallible>(())).await.is_err(),
                ]
            };
            let failed = timeout(PATIENCE, reads).await.expect("an end in time");
            assert_eq!(failed, [true; 9], "{} {connects}", answer.to_string().chars().take(60).collect::<String>());
        }
    }
}

#[tokio::test]
async fn the_fate_of_a_transaction_is_never_made_up_from_nonsense() {
    let birth = BlockRef { number: BlockNumber(5), hash: BlockHash([0x11; 32]) };
    let ticket = Ticket {
        hash: BlockHash([2; 32]),
        hotkey: Signer::from_uri("//Alice").unwrap().hotkey(),
        call: "Commitments.set_commitment".to_owned(),
        nonce: 0,
        birth,
        last_block: BlockNumber(68),
        signed: None,
    };
    // Each is asked a few times, with pauses: all at once.
    let fates = nonsense().into_iter().step_by(3).map(async |answer| {
        let client = ChainClient::new(&node(answer, true).await).unwrap();
        timeout(PATIENCE, client.fate(&ticket, Wait::Finality)).await.expect("an end in time")
    });
    for fate in futures::future::join_all(fates).await {
        assert!(fate.is_err(), "{fate:?}");
    }
}

#[tokio::test]
async fn an_answer_larger_than_any_that_is_needed_is_not_read() {
    let client = ChainClient::new(&node(json!("x".repeat(20 * 1024 * 1024)), true).await).unwrap();
    let read = timeout(PATIENCE, client.finalized_head()).await.expect("an end in time");
    assert!(read.is_err(), "{read:?}");
}
