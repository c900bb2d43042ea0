//! What is broken on purpose breaks as it says, and nothing else does.
#![allow(clippy::unwrap_used)]

mod support;

use kinitro_devchain::LostSubmission;
use serde_json::json;
use support::{
    config,
    rpc::{call, connect, hex, message, post, refusal, signed, submit, subscribe, watch},
    serve,
};

const HEADS: [&str; 2] = ["chain_subscribeFinalizedHeads", "chain_unsubscribeFinalizedHeads"];

#[tokio::test]
async fn all_connections_drop_at_once_and_the_node_stays() {
    let (chain, server) = serve(&config()).await;
    let (first, second) = (connect(&server).await, connect(&server).await);
    let genesis = call(&first, "chain_getBlockHash", json!([0])).await.unwrap();
    let mut heads = subscribe(&second, HEADS, json!([])).await.unwrap();
    assert!(message(&mut heads).await.is_some());

    chain.drop_connections();
    assert_eq!(message(&mut heads).await, None);
    for broken in [&first, &second] {
        assert!(call(broken, "system_name", json!([])).await.is_err());
    }
    let again = connect(&server).await;
    assert_eq!(call(&again, "chain_getBlockHash", json!([0])).await.unwrap(), genesis);

    // The same over the wire: who asks is cut off too.
    assert!(call(&again, "dev_dropConnections", json!([])).await.is_err());
    assert!(call(&again, "system_name", json!([])).await.is_err());
    assert!(call(&connect(&server).await, "system_name", json!([])).await.is_ok());
    server.stop().await;
}

#[tokio::test]
async fn a_method_fails_as_often_as_ordered() {
    let (chain, server) = serve(&config()).await;
    let rpc = connect(&server).await;
    let order = json!(["chain_getHeader", 3, 1234, "out of order"]);
    call(&rpc, "dev_failNext", order).await.unwrap();
    let refused = (1234, "out of order ".to_owned());
    assert_eq!(refusal(call(&rpc, "chain_getHeader", json!([])).await), refused);
    assert!(call(&rpc, "chain_getFinalizedHead", json!([])).await.is_ok());
    // In a batch as well.
    let one = json!({ "jsonrpc": "2.0", "id": 1, "method": "chain_getHeader", "params": [] });
    let answers = post(&server, &json!([one, one, one]).to_string()).await;
    let codes: Vec<_> = (0..3).map(|at| answers[at]["error"]["code"].clone()).collect();
    assert_eq!(codes, [json!(1234), json!(1234), json!(null)]);

    for (method, ends) in [(HEADS[0], HEADS[1]), ("author_submitAndWatchExtrinsic", "author_unwatchExtrinsic")] {
        chain.fail_next(method, 1, -5, "no more");
        let refused = subscribe(&rpc, [method, ends], json!(["0x00"])).await.err().unwrap();
        assert!(refused.to_string().contains("no more"), "{refused}");
    }
    assert!(message(&mut subscribe(&rpc, HEADS, json!([])).await.unwrap()).await.is_some());

    // A blocking method fails too; an order is taken back with 0.
    chain.fail_next("state_call", 2, 7, "later");
    assert_eq!(refusal(call(&rpc, "state_call", json!(["Core_version", "0x"])).await).0, 7);
    call(&rpc, "dev_failNext", json!(["state_call", 0, 7, ""])).await.unwrap();
    assert!(call(&rpc, "state_call", json!(["Core_version", "0x"])).await.is_ok());
}

#[tokio::test]
async fn a_submission_is_lost_before_or_after_it_is_taken() {
    let (chain, server) = serve(&config()).await;
    let bystander = connect(&server).await;
    let mut heads = subscribe(&bystander, HEADS, json!([])).await.unwrap();
    assert!(message(&mut heads).await.is_some());
    let mut nonce = 0;
    for watching in [false, true] {
        for kind in [LostSubmission::Before, LostSubmission::After] {
            let sender = connect(&server).await;
            let extrinsic = signed(&sender, nonce, 64).await;
            chain.lose_next_submission(kind);
            let told = if watching {
                watch(&sender, &extrinsic).await.is_ok()
            } else {
                submit(&sender, &extrinsic).await.is_ok()
            };
            assert!(!told, "{kind:?}, watching: {watching}");
            assert!(call(&sender, "system_name", json!([])).await.is_err());

            let pending = call(&bystander, "author_pendingExtrinsics", json!([])).await.unwrap();
            let taken = pending.as_array().unwrap().contains(&json!(hex(&extrinsic)));
            assert_eq!(taken, kind == LostSubmission::After, "{kind:?}, watching: {watching}");
            if taken {
                nonce += 1;
            }
        }
    }
    // Only the sender lost its connection, and only once.
    chain.advance(3).unwrap();
    assert!(message(&mut heads).await.is_some());
    assert!(submit(&bystander, &signed(&bystander, nonce, 64).await).await.is_ok());
}

#[tokio::test]
async fn held_transactions_wait_in_the_pool() {
    let (chain, server) = serve(&config()).await;
    let rpc = connect(&server).await;
    call(&rpc, "dev_holdTransactions", json!([true])).await.unwrap();
    submit(&rpc, &signed(&rpc, 0, 64).await).await.unwrap();
    chain.advance(3).unwrap();
    let pending = call(&rpc, "author_pendingExtrinsics", json!([])).await.unwrap();
    assert_eq!(pending.as_array().unwrap().len(), 1);
    call(&rpc, "dev_holdTransactions", json!([false])).await.unwrap();
    chain.advance(1).unwrap();
    let block = call(&rpc, "chain_getBlock", json!([])).await.unwrap();
    assert_eq!(block["block"]["extrinsics"], pending);
    assert_eq!(call(&rpc, "author_pendingExtrinsics", json!([])).await.unwrap(), json!([]));
}

#[tokio::test]
async fn many_connections_come_and_go() {
    let (chain, server) = serve(&config()).await;
    for _ in 0..20 {
        let connections = futures::future::join_all((0..16).map(|_| connect(&server))).await;
        for rpc in &connections {
            let mut heads = subscribe(rpc, HEADS, json!([])).await.unwrap();
            assert!(message(&mut heads).await.is_some());
        }
        chain.drop_connections();
    }
    // More than the server takes at once: each was let go.
    assert!(call(&connect(&server).await, "system_name", json!([])).await.is_ok());
    server.stop().await;
}
