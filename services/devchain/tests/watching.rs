//! What a sender is told about its transaction.
#![allow(clippy::unwrap_used)]

mod support;

use serde_json::{Value as Json, json};
use subxt::rpcs::client::RpcSubscription;
use subxt_signer::sr25519::dev;
use support::{
    config, hash,
    rpc::{call, connect, message, refusal, signed, signed_at, submit, subscribe, watch},
    serve,
};

async fn expect(watched: &mut RpcSubscription<Json>, statuses: &[Json]) {
    for status in statuses {
        assert_eq!(message(watched).await.as_ref(), Some(status));
    }
}

fn text(block: kinitro_chain::BlockHash) -> String {
    format!("0x{}", hex::encode(block.0))
}

#[tokio::test]
async fn a_transaction_is_followed_through_a_reorganisation_to_finality() {
    let (chain, server) = serve(&config()).await;
    let rpc = connect(&server).await;
    chain.advance(3).unwrap();
    let mut watched = watch(&rpc, &signed(&rpc, 0, 64).await).await.unwrap();
    expect(&mut watched, &[json!("ready"), json!({ "broadcast": [] })]).await;

    let first = text(hash(&chain, chain.advance(1).unwrap()));
    expect(&mut watched, &[json!({ "inBlock": first })]).await;
    // Two empty blocks take the place of the one, then it waits for the next.
    chain.reorganise(1).unwrap();
    expect(&mut watched, &[json!({ "retracted": first })]).await;
    let second = text(hash(&chain, chain.advance(1).unwrap()));
    assert_ne!(second, first);
    expect(&mut watched, &[json!({ "inBlock": second })]).await;
    chain.advance(2).unwrap();
    expect(&mut watched, &[json!({ "finalized": second })]).await;
}

#[tokio::test]
async fn a_transaction_whose_era_ended_is_invalid() {
    let (chain, server) = serve(&config()).await;
    let rpc = connect(&server).await;
    chain.advance(10).unwrap();
    chain.hold_transactions(true);
    let mut watched = watch(&rpc, &signed(&rpc, 0, 4).await).await.unwrap();
    expect(&mut watched, &[json!("ready"), json!({ "broadcast": [] })]).await;
    chain.advance(8).unwrap();
    expect(&mut watched, &[json!("invalid")]).await;
    assert_eq!(call(&rpc, "author_pendingExtrinsics", json!([])).await.unwrap(), json!([]));
}

#[tokio::test]
async fn a_transaction_whose_birth_block_was_reorganised_away_is_invalid() {
    let (chain, server) = serve(&config()).await;
    let rpc = connect(&server).await;
    chain.advance(10).unwrap();
    let best = text(hash(&chain, 10));
    let mut watched = watch(&rpc, &signed_at(&best, &dev::alice(), &rpc, 0, 64).await).await.unwrap();
    expect(&mut watched, &[json!("ready"), json!({ "broadcast": [] })]).await;
    let block = text(hash(&chain, chain.advance(1).unwrap()));
    expect(&mut watched, &[json!({ "inBlock": block })]).await;
    chain.reorganise(2).unwrap();
    expect(&mut watched, &[json!({ "retracted": block }), json!("invalid")]).await;
    assert_eq!(call(&rpc, "author_pendingExtrinsics", json!([])).await.unwrap(), json!([]));
}

#[tokio::test]
async fn a_transaction_that_came_too_early_is_ready_once_the_one_before_it_is_there() {
    let (chain, server) = serve(&config()).await;
    let rpc = connect(&server).await;
    let mut watched = watch(&rpc, &signed(&rpc, 1, 64).await).await.unwrap();
    expect(&mut watched, &[json!("future")]).await;
    chain.advance(1).unwrap();
    submit(&rpc, &signed(&rpc, 0, 64).await).await.unwrap();
    let block = text(hash(&chain, chain.advance(1).unwrap()));
    expect(&mut watched, &[json!("ready"), json!({ "broadcast": [] }), json!({ "inBlock": block })]).await;
}

#[tokio::test]
async fn a_refused_transaction_is_not_watched() {
    let (chain, server) = serve(&config()).await;
    let rpc = connect(&server).await;
    let mut tampered = signed(&rpc, 0, 64).await;
    let last = tampered.len() - 1;
    tampered[last] ^= 1;
    let refused = watch(&rpc, &tampered).await;
    let (code, reason) = refusal(refused.map(|_| ()));
    assert!(code == 1010 && reason.contains("bad signature"), "{code} {reason}");
    chain.advance(1).unwrap();
}

#[tokio::test]
async fn subscriptions_that_end_make_room_for_others() {
    let (chain, server) = serve(&config()).await;
    let rpc = connect(&server).await;
    // Four times as many as a connection may have at a time.
    for round in 0..1_024 {
        let mut heads =
            subscribe(&rpc, ["chain_subscribeNewHeads", "chain_unsubscribeNewHeads"], json!([])).await.unwrap();
        assert!(message(&mut heads).await.is_some(), "round {round}");
    }
    chain.hold_transactions(true);
    let watched = watch(&rpc, &signed(&rpc, 0, 64).await).await.unwrap();
    let id = watched.subscription_id().unwrap().trim_matches('"').to_owned();
    assert_eq!(call(&rpc, "author_unwatchExtrinsic", json!([id])).await.unwrap(), true);
    assert_eq!(call(&rpc, "author_unwatchExtrinsic", json!([id])).await.unwrap(), false);
    // The transaction itself goes on waiting.
    let pending = call(&rpc, "author_pendingExtrinsics", json!([])).await.unwrap();
    assert_eq!(pending.as_array().unwrap().len(), 1);
}
