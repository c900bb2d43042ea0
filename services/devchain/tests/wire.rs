//! What the RPC refuses: bad signatures, stale nonces, expired eras, nonsense. And how answers look on the wire.
#![allow(clippy::unwrap_used)]

mod support;

use std::time::Duration;

use kinitro_chassis::Supervisor;
use kinitro_devchain::{Config, start};
use serde_json::json;
use subxt::rpcs::RpcClient;
use support::{
    SPECS, config,
    rpc::{call, connect, message, post, refusal, signed, submit, subscribe},
    serve, world,
};
use tokio::net::TcpListener;

#[tokio::test]
async fn a_tampered_signature_is_refused() {
    let world = world().await;
    let rpc = connect(&world.server).await;
    let good = signed(&rpc, 0, 64).await;
    // The account and the signature begin after two length bytes, the version and two kinds; the call is at the end.
    let account = good.iter().position(|byte| *byte == 0x84).unwrap() + 2;
    for at in [account, account + 40, account + 33 + 50, good.len() - 1] {
        let mut tampered = good.clone();
        tampered[at] ^= 1;
        let (code, reason) = refusal(submit(&rpc, &tampered).await);
        assert_eq!(code, 1010, "byte {at}: {reason}");
        assert!(reason.contains("bad signature"), "byte {at}: {reason}");
    }
    submit(&rpc, &good).await.unwrap();
    let (code, reason) = refusal(submit(&rpc, &good).await);
    assert_eq!((code, reason.contains("waiting")), (1013, true));
}

#[tokio::test]
async fn a_stale_nonce_is_refused_and_a_future_one_waits() {
    let world = world().await;
    let rpc = connect(&world.server).await;
    submit(&rpc, &signed(&rpc, 0, 64).await).await.unwrap();
    submit(&rpc, &signed(&rpc, 2, 64).await).await.unwrap();
    let alice = kinitro_chain::Signer::from_uri("//Alice").unwrap().hotkey();
    let next = call(&rpc, "system_accountNextIndex", json!([alice])).await.unwrap();
    assert_eq!(next, 1);
    world.chain.advance(1).unwrap();
    let (code, reason) = refusal(submit(&rpc, &signed(&rpc, 0, 32).await).await);
    assert_eq!(code, 1010);
    assert!(reason.contains("outdated"), "{reason}");

    submit(&rpc, &signed(&rpc, 1, 64).await).await.unwrap();
    world.chain.advance(1).unwrap();
    let next = call(&rpc, "system_accountNextIndex", json!([alice])).await.unwrap();
    assert_eq!(next, 3);
}

#[tokio::test]
async fn an_expired_transaction_is_refused() {
    let world = world().await;
    world.chain.advance(10).unwrap();
    let rpc = connect(&world.server).await;
    let mortal = signed(&rpc, 0, 4).await;
    world.chain.advance(8).unwrap();
    let (code, reason) = refusal(submit(&rpc, &mortal).await);
    assert_eq!(code, 1010);
    assert!(reason.contains("bad signature"), "{reason}");
}

#[tokio::test]
async fn nonsense_is_refused_and_the_server_lives_on() {
    let world = world().await;
    let rpc = connect(&world.server).await;
    let listed = call(&rpc, "rpc_methods", json!([])).await.unwrap();
    let methods: Vec<String> = serde_json::from_value(listed["methods"].clone()).unwrap();
    assert!(methods.len() > 30 && !methods.iter().any(|name| name.starts_with("chainHead")));
    let long = "f".repeat(100_000);
    // Subscriptions, and what cuts the connection by order.
    let except = |name: &str| name.contains("ubscribe") || name.contains("atch") || name == "dev_dropConnections";
    for method in methods.iter().filter(|name| !except(name)) {
        for params in [
            json!([]),
            json!([null, null, null, null]),
            json!([-1]),
            json!([18_446_744_073_709_551_615_u64, 4_294_967_296_u64]),
            json!(["0x"]),
            json!(["0xzz"]),
            json!(["0xffffffffffffffffff"]),
            json!([long]),
            json!([format!("0x{long}"), "0x00"]),
            json!([vec!["0x00"; 2_000]]),
            json!([{ "a": [1] }, {}]),
            json!(["0x", 4_000_000_000_u64]),
            json!(["\u{fc}\u{0}", "\u{fc}"]),
            json!([1, 2, 3, 4, 5, 6, 7, 8, 9]),
        ] {
            let _ = call(&rpc, method, params).await;
        }
        call(&rpc, "system_health", json!([])).await.unwrap_or_else(|error| panic!("{method}: {error}"));
    }
    for (function, data) in
        [("Metadata_metadata_at_version", "0x01"), ("AccountNonceApi_account_nonce", "0x"), ("X", "0x")]
    {
        assert!(call(&rpc, "state_call", json!([function, data])).await.is_err());
    }
    for depth in [4_294_967_295_u64, 3] {
        assert!(call(&rpc, "dev_reorg", json!([depth])).await.is_err());
    }
}

#[tokio::test]
async fn the_service_makes_blocks_by_itself_and_hides_the_control_interface() {
    let supervisor = Supervisor::new();
    let config = Config { block_ms: 20, control: false, ..config() };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let service = start(config, listener, &supervisor).await.unwrap();
    let rpc = RpcClient::from_insecure_url(&service.url).await.unwrap();
    assert!(call(&rpc, "dev_advance", json!([1])).await.is_err());
    let client = kinitro_chain::ChainClient::connect(&service.url).await.unwrap();
    let mut blocks = client.follow_finalized(None);
    let (blocks, _) = support::blocks_until(&mut blocks, 5).await;
    assert!(blocks.len() >= 2);
    supervisor.shutdown();
    supervisor.join(Duration::from_secs(30)).await.unwrap();
    assert!(client.finalized_head().await.is_err());
}

#[tokio::test]
async fn batches_are_answered_in_order_and_bounded() {
    let (_chain, server) = serve(&config()).await;
    let one = |id: usize, method: &str| json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": [] });
    let batch = [one(1, "system_name"), one(2, "no_such_method"), one(3, "system_chainType")];
    let answers = post(&server, &json!(batch).to_string()).await;
    assert_eq!(answers[0]["result"], "kinitro-devchain");
    assert_eq!(answers[1]["error"]["code"], -32601);
    assert_eq!((&answers[2]["id"], &answers[2]["result"]), (&json!(3), &json!("Development")));

    let many: Vec<_> = (0..65).map(|id| one(id, "system_name")).collect();
    let answer = post(&server, &json!(many).to_string()).await;
    assert!(answer["error"]["message"].as_str().unwrap().contains("batch"), "{answer}");
    let long = format!("[\"{}\"]", "f".repeat(300_000));
    let answer = post(&server, &long).await;
    assert!(answer["error"].is_object(), "{answer}");
}

#[tokio::test]
async fn subscriptions_have_ids_of_text() {
    let (_chain, server) = serve(&config()).await;
    let rpc = connect(&server).await;
    let heads = subscribe(&rpc, ["chain_subscribeNewHeads", "chain_unsubscribeNewHeads"], json!([])).await.unwrap();
    // The id as JSON: with quotation marks.
    let id = heads.subscription_id().unwrap().to_owned();
    assert!(id.trim_matches('"').len() == 16 && id.parse::<u64>().is_err(), "{id}");
}

#[tokio::test]
async fn the_runtime_version_is_told_for_every_block_and_before_the_first() {
    for spec in SPECS {
        let (chain, server) = serve(&Config { spec, ..config() }).await;
        let rpc = connect(&server).await;
        chain.advance(700).unwrap();
        let genesis = call(&rpc, "chain_getBlockHash", json!([0])).await.unwrap();
        let parent = call(&rpc, "chain_getHeader", json!([genesis])).await.unwrap()["parentHash"].clone();
        assert_eq!(parent, format!("0x{}", "0".repeat(64)));
        let bare = genesis.as_str().unwrap().trim_start_matches("0x");
        for at in [json!([]), json!([null]), json!([genesis]), json!([bare]), json!([parent])] {
            let version = call(&rpc, "state_getRuntimeVersion", at.clone()).await.unwrap();
            assert_eq!(
                (&version["specVersion"], &version["specName"]),
                (&json!(spec), &json!("node-subtensor")),
                "{at}"
            );
            assert!(version["apis"].as_array().unwrap().len() > 10);
        }
        let (code, reason) = refusal(call(&rpc, "state_getRuntimeVersion", json!(["11".repeat(32)])).await);
        assert!(code == 4003 && reason.contains("UnknownBlock"), "{reason}");
    }
}

#[tokio::test]
async fn hex_is_read_with_and_without_its_prefix() {
    let (_chain, server) = serve(&config()).await;
    let rpc = connect(&server).await;
    // System.Number.
    let key = "26aa394eea5630e07c48ae0c9558cef702a5c1b19ab7a04f536c519aca4983ac";
    for key in [key.to_owned(), format!("0x{key}")] {
        assert_eq!(call(&rpc, "state_getStorage", json!([key])).await.unwrap(), "0x00000000");
    }
    let hashes = call(&rpc, "chain_getBlockHash", json!([["0x0", 0, 7]])).await.unwrap();
    assert_eq!((&hashes[0], &hashes[2]), (&hashes[1], &json!(null)));
}

#[tokio::test]
async fn after_a_reorganisation_all_heads_are_told_or_only_the_best() {
    let (chain, server) = serve(&config()).await;
    let rpc = connect(&server).await;
    chain.advance(4).unwrap();
    let mut best = subscribe(&rpc, ["chain_subscribeNewHeads", "chain_unsubscribeNewHeads"], json!([])).await.unwrap();
    let mut all = subscribe(&rpc, ["chain_subscribeAllHeads", "chain_unsubscribeAllHeads"], json!([])).await.unwrap();
    for heads in [&mut best, &mut all] {
        assert_eq!(message(heads).await.unwrap()["number"], "0x4");
    }
    chain.reorganise(2).unwrap();
    assert_eq!(message(&mut best).await.unwrap()["number"], "0x5");
    for number in ["0x3", "0x4", "0x5"] {
        assert_eq!(message(&mut all).await.unwrap()["number"], number);
    }
    chain.advance(1).unwrap();
    for heads in [&mut best, &mut all] {
        assert_eq!(message(heads).await.unwrap()["number"], "0x6");
    }
}
