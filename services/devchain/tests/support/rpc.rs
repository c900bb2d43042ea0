//! The bare RPC, without the chain client.
#![allow(clippy::unwrap_used, dead_code, reason = "every test file uses a part of this")]

use kinitro_devchain::RpcServer;
use scale_value::Value;
use serde_json::{Value as Json, json};
use subxt::{
    OnlineClient, SubstrateConfig,
    config::DefaultExtrinsicParamsBuilder,
    rpcs::{
        Error as RpcError, RpcClient,
        client::{RpcParams, RpcSubscription},
    },
    tx::{self, DynamicPayload},
    utils::H256,
};
use subxt_signer::sr25519::{Keypair, dev};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use super::{NETUID, PATIENCE};

pub type Api = OnlineClient<SubstrateConfig>;

pub async fn connect(server: &RpcServer) -> RpcClient {
    RpcClient::from_insecure_url(server.url()).await.unwrap()
}

pub async fn api(rpc: &RpcClient) -> Api {
    Api::from_rpc_client(rpc.clone()).await.unwrap()
}

fn params(given: &Json) -> RpcParams {
    let mut params = RpcParams::new();
    for param in given.as_array().unwrap() {
        params.push(param).unwrap();
    }
    params
}

pub async fn call(rpc: &RpcClient, method: &str, given: Json) -> Result<Json, RpcError> {
    timeout(PATIENCE, rpc.request(method, params(&given))).await.expect("an answer in time")
}

pub async fn subscribe(
    rpc: &RpcClient,
    [method, end]: [&str; 2],
    given: Json,
) -> Result<RpcSubscription<Json>, RpcError> {
    timeout(PATIENCE, rpc.subscribe(method, params(&given), end)).await.expect("an answer in time")
}

/// The next message of a subscription; `None` when it ended or broke.
pub async fn message(subscription: &mut RpcSubscription<Json>) -> Option<Json> {
    timeout(PATIENCE, subscription.next()).await.expect("a message in time")?.ok()
}

/// The code, the message and the reason of a refusal.
pub fn refusal<T: std::fmt::Debug>(answer: Result<T, RpcError>) -> (i32, String) {
    match answer.unwrap_err() {
        RpcError::User(error) => {
            let data = error.data.map(|data| data.get().to_owned()).unwrap_or_default();
            (error.code, format!("{} {data}", error.message))
        }
        other => panic!("{other}"),
    }
}

/// A signed commitment, with the lifetime in blocks from the finalized head.
pub async fn signed_by(signer: &Keypair, rpc: &RpcClient, nonce: u64, lifetime: u64) -> Vec<u8> {
    let head = call(rpc, "chain_getFinalizedHead", json!([])).await.unwrap();
    signed_at(head.as_str().unwrap(), signer, rpc, nonce, lifetime).await
}

/// A signed commitment, with the lifetime in blocks from the block with this hash.
pub async fn signed_at(hash: &str, signer: &Keypair, rpc: &RpcClient, nonce: u64, lifetime: u64) -> Vec<u8> {
    let parameters = DefaultExtrinsicParamsBuilder::new().nonce(nonce).mortal(lifetime).build();
    let call = commitment(vec![Value::unnamed_variant("Raw4", [Value::from_bytes(b"data")])]);
    let at = api(rpc).await.at_block(hash.parse::<H256>().unwrap()).await.unwrap();
    at.tx().create_signed(&call, signer, parameters).await.unwrap().into_encoded()
}

/// A call that commits these fields.
pub fn commitment(fields: Vec<Value>) -> DynamicPayload<Vec<Value>> {
    let info = Value::named_composite([("fields", Value::unnamed_composite(fields))]);
    tx::dynamic("Commitments", "set_commitment", vec![Value::u128(NETUID.into()), info])
}

/// A signed commitment of Alice.
pub async fn signed(rpc: &RpcClient, nonce: u64, lifetime: u64) -> Vec<u8> {
    signed_by(&dev::alice(), rpc, nonce, lifetime).await
}

pub fn hex(bytes: &[u8]) -> String {
    format!("0x{}", hex::encode(bytes))
}

pub async fn submit(rpc: &RpcClient, extrinsic: &[u8]) -> Result<Json, RpcError> {
    call(rpc, "author_submitExtrinsic", json!([hex(extrinsic)])).await
}

pub async fn watch(rpc: &RpcClient, extrinsic: &[u8]) -> Result<RpcSubscription<Json>, RpcError> {
    subscribe(rpc, ["author_submitAndWatchExtrinsic", "author_unwatchExtrinsic"], json!([hex(extrinsic)])).await
}

/// The body of an HTTP answer to this JSON, sent as it is.
pub async fn post(server: &RpcServer, body: &str) -> Json {
    let address = server.url().trim_start_matches("ws://").to_owned();
    let mut stream = TcpStream::connect(&address).await.unwrap();
    let head = format!(
        "POST / HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(body.as_bytes()).await.unwrap();
    let mut answer = String::new();
    timeout(PATIENCE, stream.read_to_string(&mut answer)).await.expect("an answer in time").unwrap();
    let (_, json) = answer.split_once("\r\n\r\n").unwrap();
    serde_json::from_str(json).unwrap_or_else(|error| panic!("{error}: {answer}"))
}
