//! What the RPC refuses: bad signatures, stale nonces, expired eras, nonsense.
#![allow(clippy::unwrap_used)]

mod support;

use std::time::Duration;

use kinitro_chassis::Supervisor;
use kinitro_devchain::{Config, start};
use scale_value::Value;
use subxt::{
    OnlineClient, SubstrateConfig,
    config::DefaultExtrinsicParamsBuilder,
    rpcs::{Error as RpcError, RpcClient, client::RpcParams},
    tx,
};
use subxt_signer::sr25519::dev;
use support::{NETUID, World, world};
use tokio::net::TcpListener;

async fn rpc(world: &World) -> RpcClient {
    RpcClient::from_insecure_url(world.server.url()).await.unwrap()
}

async fn call(rpc: &RpcClient, method: &str, params: serde_json::Value) -> Result<serde_json::Value, RpcError> {
    let mut given = RpcParams::new();
    for param in params.as_array().unwrap() {
        given.push(param).unwrap();
    }
    rpc.request(method, given).await
}

/// A signed commitment of Alice, with the lifetime in blocks.
async fn signed(rpc: &RpcClient, nonce: u64, lifetime: u64) -> Vec<u8> {
    let api = OnlineClient::<SubstrateConfig>::from_rpc_client(rpc.clone()).await.unwrap();
    let field = Value::unnamed_variant("Raw4", [Value::from_bytes(b"data")]);
    let info = Value::named_composite([("fields", Value::unnamed_composite([field]))]);
    let call = tx::dynamic("Commitments", "set_commitment", vec![Value::u128(NETUID.into()), info]);
    let parameters = DefaultExtrinsicParamsBuilder::new().nonce(nonce).mortal(lifetime).build();
    let at = api.at_current_block().await.unwrap();
    at.tx().create_signed(&call, &dev::alice(), parameters).await.unwrap().into_encoded()
}

async fn submit(rpc: &RpcClient, extrinsic: &[u8]) -> Result<serde_json::Value, RpcError> {
    call(rpc, "author_submitExtrinsic", serde_json::json!([format!("0x{}", hex::encode(extrinsic))])).await
}

/// The code and the reason of a refusal.
fn refusal(answer: Result<serde_json::Value, RpcError>) -> (i32, String) {
    match answer.unwrap_err() {
        RpcError::User(error) => (error.code, error.data.map(|data| data.get().to_owned()).unwrap_or_default()),
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_tampered_signature_is_refused() {
    let world = world().await;
    let rpc = rpc(&world).await;
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
    let rpc = rpc(&world).await;
    submit(&rpc, &signed(&rpc, 0, 64).await).await.unwrap();
    submit(&rpc, &signed(&rpc, 2, 64).await).await.unwrap();
    let alice = kinitro_chain::Signer::from_uri("//Alice").unwrap().hotkey();
    let next = call(&rpc, "system_accountNextIndex", serde_json::json!([alice])).await.unwrap();
    assert_eq!(next, 1);
    world.chain.advance(1).unwrap();
    let (code, reason) = refusal(submit(&rpc, &signed(&rpc, 0, 32).await).await);
    assert_eq!(code, 1010);
    assert!(reason.contains("outdated"), "{reason}");

    submit(&rpc, &signed(&rpc, 1, 64).await).await.unwrap();
    world.chain.advance(1).unwrap();
    let next = call(&rpc, "system_accountNextIndex", serde_json::json!([alice])).await.unwrap();
    assert_eq!(next, 3);
}

#[tokio::test]
async fn an_expired_transaction_is_refused() {
    let world = world().await;
    world.chain.advance(10).unwrap();
    let rpc = rpc(&world).await;
    let mortal = signed(&rpc, 0, 4).await;
    world.chain.advance(8).unwrap();
    let (code, reason) = refusal(submit(&rpc, &mortal).await);
    assert_eq!(code, 1010);
    assert!(reason.contains("bad signature"), "{reason}");
}

#[tokio::test]
async fn nonsense_is_refused_and_the_server_lives_on() {
    let world = world().await;
    let rpc = rpc(&world).await;
    let listed = call(&rpc, "rpc_methods", serde_json::json!([])).await.unwrap();
    let methods: Vec<String> = serde_json::from_value(listed["methods"].clone()).unwrap();
    assert!(methods.len() > 30 && !methods.iter().any(|name| name.starts_with("chainHead")));
    let long = "f".repeat(100_000);
    for method in methods.iter().filter(|name| !name.contains("ubscribe") && !name.contains("atch")) {
        for params in [
            serde_json::json!([]),
            serde_json::json!([null, null, null, null]),
            serde_json::json!([-1]),
            serde_json::json!([18_446_744_073_709_551_615_u64, 4_294_967_296_u64]),
            serde_json::json!(["0x"]),
            serde_json::json!(["0xzz"]),
            serde_json::json!(["0xffffffffffffffffff"]),
            serde_json::json!([long]),
            serde_json::json!([format!("0x{long}"), "0x00"]),
            serde_json::json!([vec!["0x00"; 2_000]]),
            serde_json::json!([{ "a": [1] }, {}]),
            serde_json::json!(["0x", 4_000_000_000_u64]),
            serde_json::json!(["\u{fc}\u{0}", "\u{fc}"]),
            serde_json::json!([1, 2, 3, 4, 5, 6, 7, 8, 9]),
        ] {
            let _ = call(&rpc, method, params).await;
        }
        call(&rpc, "system_health", serde_json::json!([])).await.unwrap_or_else(|error| panic!("{method}: {error}"));
    }
    for (function, data) in
        [("Metadata_metadata_at_version", "0x01"), ("AccountNonceApi_account_nonce", "0x"), ("X", "0x")]
    {
        assert!(call(&rpc, "state_call", serde_json::json!([function, data])).await.is_err());
    }
    for depth in [4_294_967_295_u64, 3] {
        assert!(call(&rpc, "dev_reorg", serde_json::json!([depth])).await.is_err());
    }
}

#[tokio::test]
async fn the_control_interface_works_over_the_wire() {
    let world = world().await;
    let rpc = rpc(&world).await;
    assert_eq!(call(&rpc, "dev_advance", serde_json::json!([5])).await.unwrap(), 5);
    assert_eq!(call(&rpc, "dev_register", serde_json::json!([2, "//Eve"])).await.unwrap(), 6);
    assert_eq!(call(&rpc, "dev_reorg", serde_json::json!([1])).await.unwrap(), 7);
    assert_eq!(call(&rpc, "dev_setCommitmentRaw", serde_json::json!(["//Eve", "0x1234"])).await.unwrap(), 8);
    assert_eq!(world.chain.best_number(), 8);
}

#[tokio::test]
async fn the_service_makes_blocks_by_itself_and_hides_the_control_interface() {
    let supervisor = Supervisor::new();
    let config = Config { block_ms: 20, control: false, ..support::config() };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let service = start(config, listener, &supervisor).await.unwrap();
    let rpc = RpcClient::from_insecure_url(&service.url).await.unwrap();
    assert!(call(&rpc, "dev_advance", serde_json::json!([1])).await.is_err());
    let client = kinitro_chain::ChainClient::connect(&service.url).await.unwrap();
    let mut blocks = client.follow_finalized(None);
    let (blocks, _) = support::blocks_until(&mut blocks, 5).await;
    assert!(blocks.len() >= 2);
    supervisor.shutdown();
    supervisor.join(Duration::from_secs(30)).await.unwrap();
    assert!(client.finalized_head().await.is_err());
}
