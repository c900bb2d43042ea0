//! One transaction, one effect: nonces, lost connections, reorganisations, restarts.
#![allow(clippy::unwrap_used)]

mod support;

use std::{convert::Infallible, net::SocketAddr, time::Duration};

use futures::future::join_all;
use kinitro_chain::{BlockHash, Call, ChainClient, ChainError, ERA, ErrorKind, Fate, Receipt, Signer, Ticket, Wait};
use kinitro_devchain::{Devchain, LostSubmission};
use serde_json::json;
use support::{
    Clock, NETUID, PATIENCE, World, hash,
    rpc::{call, connect, hex, signed, submit},
    world,
};
use tokio::{net::TcpListener, runtime::Handle, task::JoinHandle, time::timeout};

fn alice() -> Signer {
    Signer::from_uri("//Alice").unwrap()
}

fn commit(data: &[u8]) -> Call {
    Call::SetCommitment { netuid: NETUID, data: data.to_vec() }
}

/// Executes a call, and keeps the tickets that were given out.
async fn execute(client: &ChainClient, call: &Call, wait: Wait) -> (Vec<Ticket>, Result<Receipt, ChainError>) {
    let mut tickets = Vec::new();
    let before = |ticket: &Ticket| {
        tickets.push(ticket.clone());
        Ok::<_, Infallible>(())
    };
    let result = timeout(PATIENCE, client.execute(&alice(), call, wait, before)).await.expect("a result in time");
    (tickets, result)
}

fn spawn(
    client: &ChainClient,
    data: &'static [u8],
    wait: Wait,
) -> JoinHandle<(Vec<Ticket>, Result<Receipt, ChainError>)> {
    let client = client.clone();
    tokio::spawn(async move { execute(&client, &commit(data), wait).await })
}

async fn fate(client: &ChainClient, ticket: &Ticket, wait: Wait) -> Result<Fate, ChainError> {
    timeout(PATIENCE, client.fate(ticket, wait)).await.expect("a fate in time")
}

/// How many signed transactions are in the best chain.
async fn transactions(world: &World) -> usize {
    let rpc = connect(&world.server).await;
    let mut found = 0;
    for number in 1..=world.chain.best_number() {
        let block = call(&rpc, "chain_getBlock", json!([hash(&world.chain, number).to_string()])).await.unwrap();
        let extrinsics = block["block"]["extrinsics"].as_array().unwrap();
        // Version 4, signed, after a length of 1, 2 or 4 bytes.
        found += extrinsics.iter().filter(|bytes| bytes.as_str().unwrap()[..12].contains("8400")).count();
    }
    found
}

/// Until a transaction waits at the node.
async fn pending(world: &World) {
    let rpc = connect(&world.server).await;
    let waits = async {
        while call(&rpc, "author_pendingExtrinsics", json!([])).await.unwrap().as_array().unwrap().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, waits).await.expect("a transaction in time");
}

async fn committed(client: &ChainClient, block: BlockHash) -> Vec<u8> {
    let stored = client.commitment_at(block, NETUID, &alice().hotkey()).await.unwrap();
    stored.unwrap().data.unwrap()
}

#[tokio::test]
async fn a_burst_through_two_clients_uses_every_nonce_once() {
    let world = world().await;
    let _clock = Clock::start(&world.chain);
    let clients = [world.client.clone(), ChainClient::connect(&world.server.url()).await.unwrap()];
    let results = join_all((0..20_u8).map(|i| {
        let client = clients[usize::from(i % 2)].clone();
        async move { execute(&client, &commit(&[i + 1]), Wait::Inclusion).await }
    }))
    .await;
    let mut nonces = Vec::new();
    for (tickets, result) in results {
        result.unwrap();
        nonces.extend(tickets.iter().map(|ticket| ticket.nonce));
    }
    nonces.sort_unstable();
    assert!(nonces.into_iter().eq(0..20));
    assert_eq!(transactions(&world).await, 20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_nonce_that_another_process_took_is_replaced() {
    for in_block in [false, true] {
        let world = world().await;
        let rpc = connect(&world.server).await;
        let other = signed(&rpc, 0, 64).await;
        let mut tickets = Vec::new();
        let clock = |chain: &Devchain| Clock::start(chain);
        let (chain, client) = (world.chain.clone(), world.client.clone());
        let mut running = None;
        let before = |ticket: &Ticket| {
            if tickets.is_empty() {
                tokio::task::block_in_place(|| Handle::current().block_on(submit(&rpc, &other))).unwrap();
                if in_block {
                    chain.advance(1).unwrap();
                }
            } else {
                running = Some(clock(&chain));
            }
            tickets.push(ticket.clone());
            Ok::<_, Infallible>(())
        };
        let receipt = client.execute(&alice(), &commit(b"ours"), Wait::Finality, before).await.unwrap();
        assert_eq!(tickets.iter().map(|ticket| ticket.nonce).collect::<Vec<_>>(), [0, 1], "in a block: {in_block}");
        assert_eq!(tickets[1].hash, receipt.transaction);
        assert_eq!(committed(&client, receipt.block.hash).await, b"ours");
        assert_eq!(fate(&client, &tickets[0], Wait::Finality).await.unwrap(), Fate::NeverIncluded);
        assert_eq!(transactions(&world).await, 2);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_nonce_that_the_transaction_itself_took_is_not_replaced() {
    for in_block in [false, true] {
        let world = world().await;
        let rpc = connect(&world.server).await;
        let (chain, client, mut tickets, mut running) = (world.chain.clone(), world.client.clone(), Vec::new(), None);
        // A proxy that repeats a request whose answer it lost.
        let before = |ticket: &Ticket| {
            let bytes = ticket.signed.as_ref().unwrap().as_bytes();
            tokio::task::block_in_place(|| Handle::current().block_on(submit(&rpc, bytes))).unwrap();
            if in_block {
                chain.advance(1).unwrap();
            } else {
                chain.fail_next("author_submitExtrinsic", 1, 1014, "Priority is too low");
                chain.hold_transactions(true);
            }
            tickets.push(ticket.clone());
            let chain = chain.clone();
            running = Some(tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(500)).await;
                chain.hold_transactions(false);
                Clock::start(&chain)
            }));
            Ok::<_, Infallible>(())
        };
        let receipt = client.execute(&alice(), &commit(b"ours"), Wait::Finality, before).await.unwrap();
        assert_eq!((tickets.len(), tickets[0].hash), (1, receipt.transaction), "in a block: {in_block}");
        assert_eq!(transactions(&world).await, 1, "in a block: {in_block}");
    }
}

#[tokio::test]
async fn a_nonce_that_is_taken_again_and_again_is_an_error_in_the_end() {
    let world = world().await;
    world.chain.fail_next("author_submitExtrinsic", 5, 1014, "Priority is too low");
    let (tickets, result) = execute(&world.client, &commit(b"data"), Wait::Finality).await;
    let error = result.unwrap_err();
    assert_eq!((tickets.len(), error.kind()), (5, ErrorKind::StaleNonce), "{error}");
    world.chain.advance(3).unwrap();
    assert_eq!(transactions(&world).await, 0);
}

#[tokio::test]
async fn a_ticket_that_cannot_be_recorded_sends_nothing() {
    let world = world().await;
    let refused = world.client.execute(&alice(), &commit(b"data"), Wait::Inclusion, |_| Err("the disk is full")).await;
    assert!(refused.as_ref().is_err_and(|error| error.to_string().contains("the disk is full")), "{refused:?}");
    world.chain.advance(3).unwrap();
    assert_eq!(transactions(&world).await, 0);
}

#[tokio::test]
async fn a_connection_lost_around_the_submission_changes_nothing() {
    for kind in [LostSubmission::Before, LostSubmission::After] {
        let world = world().await;
        world.chain.lose_next_submission(kind);
        let _clock = Clock::start(&world.chain);
        let (tickets, result) = execute(&world.client, &commit(b"data"), Wait::Finality).await;
        let receipt = result.unwrap();
        assert_eq!((tickets.len(), tickets[0].hash), (1, receipt.transaction), "{kind:?}");
        assert_eq!(committed(&world.client, receipt.block.hash).await, b"data");
        assert_eq!(transactions(&world).await, 1, "{kind:?}");
    }
}

#[tokio::test]
async fn a_connection_lost_between_submission_and_inclusion_changes_nothing() {
    for wait in [Wait::Inclusion, Wait::Finality] {
        let world = world().await;
        world.chain.hold_transactions(true);
        let running = spawn(&world.client, b"data", wait);
        pending(&world).await;
        world.chain.drop_connections();
        world.chain.hold_transactions(false);
        let _clock = Clock::start(&world.chain);
        let (_, result) = running.await.unwrap();
        assert_eq!(committed(&world.client, result.unwrap().block.hash).await, b"data");
        assert_eq!(transactions(&world).await, 1);
    }
}

#[tokio::test]
async fn a_node_that_goes_away_while_the_transaction_gets_into_a_block_is_waited_for() {
    let mut world = world().await;
    let running = spawn(&world.client, b"data", Wait::Finality);
    pending(&world).await;
    let url: SocketAddr = world.server.url().strip_prefix("ws://").unwrap().parse().unwrap();
    world.server.stop().await;
    world.chain.advance(8).unwrap();
    world.server = world.chain.serve(TcpListener::bind(url).await.unwrap()).unwrap();
    let (tickets, result) = running.await.unwrap();
    assert_eq!((tickets.len(), result.unwrap().block.number.0), (1, 1));
    assert_eq!(transactions(&world).await, 1);
}

#[tokio::test]
async fn a_reorganisation_moves_the_transaction_and_finality_waits_for_that() {
    let world = world().await;
    world.chain.advance(3).unwrap();
    let finality = spawn(&world.client, b"final", Wait::Finality);
    pending(&world).await;
    let block = world.chain.advance(1).unwrap();
    let dropped = hash(&world.chain, block);
    world.chain.reorganise(1).unwrap();
    let _clock = Clock::start(&world.chain);
    let (tickets, result) = finality.await.unwrap();
    let receipt = result.unwrap();
    assert_ne!(receipt.block.hash, dropped);
    assert!(world.client.finalized_head().await.unwrap().number >= receipt.block.number);
    assert_eq!(receipt.block.hash, hash(&world.chain, receipt.block.number.0.try_into().unwrap()));
    assert_eq!(fate(&world.client, &tickets[0], Wait::Inclusion).await, Ok(Fate::Included(receipt)));
    assert_eq!(transactions(&world).await, 1);
}

#[tokio::test]
async fn an_inclusion_that_a_reorganisation_undid_is_found_again_by_its_ticket() {
    let world = world().await;
    world.chain.advance(3).unwrap();
    let inclusion = spawn(&world.client, b"data", Wait::Inclusion);
    pending(&world).await;
    world.chain.advance(1).unwrap();
    let (tickets, result) = inclusion.await.unwrap();
    let included = result.unwrap();
    world.chain.reorganise(1).unwrap();
    let _clock = Clock::start(&world.chain);
    let Fate::Included(finalized) = fate(&world.client, &tickets[0], Wait::Finality).await.unwrap() else {
        panic!("the transaction is still valid")
    };
    assert_eq!(finalized.transaction, included.transaction);
    assert_ne!(finalized.block.hash, included.block.hash);
    assert_eq!(transactions(&world).await, 1);
}

#[tokio::test]
async fn a_transaction_whose_era_is_over_is_never_included_and_may_be_signed_anew() {
    let world = world().await;
    world.chain.hold_transactions(true);
    let running = spawn(&world.client, b"first", Wait::Inclusion);
    pending(&world).await;
    world.chain.advance(ERA as u32 + 3).unwrap();
    let (tickets, result) = running.await.unwrap();
    let error = result.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Expired, "{error}");
    assert_eq!(fate(&world.client, &tickets[0], Wait::Finality).await, Ok(Fate::NeverIncluded));
    world.chain.hold_transactions(false);
    world.chain.advance(1).unwrap();
    let _clock = Clock::start(&world.chain);
    let (_, second) = execute(&world.client, &commit(b"second"), Wait::Finality).await;
    assert_eq!(committed(&world.client, second.unwrap().block.hash).await, b"second");
    assert_eq!(transactions(&world).await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_that_lost_its_nonce_with_the_connection_is_not_signed_again_by_itself() {
    let world = world().await;
    let rpc = connect(&world.server).await;
    let other = signed(&rpc, 0, 64).await;
    let (chain, mut tickets) = (world.chain.clone(), Vec::new());
    let mut running = None;
    let before = |ticket: &Ticket| {
        tickets.push(ticket.clone());
        tokio::task::block_in_place(|| Handle::current().block_on(submit(&rpc, &other))).unwrap();
        chain.lose_next_submission(LostSubmission::Before);
        running = Some(Clock::start(&chain));
        Ok::<_, Infallible>(())
    };
    let error = world.client.execute(&alice(), &commit(b"ours"), Wait::Finality, before).await.unwrap_err();
    assert_eq!((error.kind(), tickets.len()), (ErrorKind::Expired, 1), "{error}");
    assert_eq!(transactions(&world).await, 1);
    let head = world.client.finalized_head().await.unwrap();
    assert_eq!(committed(&world.client, head.hash).await, b"data", "{}", hex(&other));
}

#[tokio::test]
async fn a_ticket_has_the_same_fate_after_a_restart() {
    let world = world().await;
    let clock = Clock::start(&world.chain);
    let (tickets, result) = execute(&world.client, &commit(b"data"), Wait::Finality).await;
    let written = serde_json::to_string(&tickets[0]).unwrap();
    // Alice loses her place, so her next commitment fails.
    world.chain.register(0, "//Eve").unwrap();
    let (failing, failed) = execute(&world.client, &commit(b"more"), Wait::Finality).await;
    drop(clock);
    world.chain.advance(3).unwrap();

    let restarted = ChainClient::new(&world.server.url()).unwrap();
    let ticket: Ticket = serde_json::from_str(&written).unwrap();
    for wait in [Wait::Inclusion, Wait::Finality] {
        assert_eq!(fate(&restarted, &ticket, wait).await, Ok(Fate::Included(result.clone().unwrap())));
        assert_eq!(fate(&restarted, &failing[0], wait).await, Ok(Fate::Failed(failed.clone().unwrap_err())));
    }
    assert_eq!(failed.unwrap_err().kind(), ErrorKind::NotRegistered);
    assert_eq!(transactions(&world).await, 2);
}

#[tokio::test]
async fn a_ticket_that_was_written_down_and_never_sent_is_handed_in_after_the_restart() {
    let world = world().await;
    let mut written = String::new();
    // The process dies between the ticket and the first byte.
    let before = |ticket: &Ticket| {
        written = serde_json::to_string(ticket).unwrap();
        Err("killed")
    };
    world.client.execute(&alice(), &commit(b"data"), Wait::Finality, before).await.unwrap_err();
    world.chain.advance(5).unwrap();
    assert_eq!(transactions(&world).await, 0);

    let restarted = ChainClient::new(&world.server.url()).unwrap();
    let ticket: Ticket = serde_json::from_str(&written).unwrap();
    let _clock = Clock::start(&world.chain);
    let Ok(Fate::Included(receipt)) = fate(&restarted, &ticket, Wait::Finality).await else {
        panic!("the transaction is still valid")
    };
    assert_eq!(committed(&restarted, receipt.block.hash).await, b"data");
    assert_eq!(transactions(&world).await, 1);
}

#[tokio::test]
async fn a_ticket_of_another_chain_or_of_a_forgotten_block_has_an_error_of_its_own() {
    let first = world().await;
    let clock = Clock::start(&first.chain);
    let (tickets, _) = execute(&first.client, &commit(b"data"), Wait::Finality).await;
    drop(clock);
    let other = world().await;
    other.chain.advance(90).unwrap();
    let elsewhere = fate(&other.client, &tickets[0], Wait::Finality).await.unwrap_err();
    assert_eq!(elsewhere.kind(), ErrorKind::OtherChain, "{elsewhere}");

    first.chain.advance(700).unwrap();
    let forgotten = fate(&first.client, &tickets[0], Wait::Finality).await.unwrap_err();
    assert_eq!(forgotten.kind(), ErrorKind::Forgotten, "{forgotten}");
}

#[tokio::test]
async fn a_node_that_fails_for_a_while_is_asked_again_and_one_that_always_fails_is_an_error() {
    let world = world().await;
    for method in ["chain_getBlock", "chain_subscribeNewHeads", "chain_getFinalizedHead", "state_call"] {
        world.chain.hold_transactions(true);
        let running = spawn(&world.client, b"data", Wait::Finality);
        pending(&world).await;
        world.chain.fail_next(method, 2, -32_000, "not now");
        world.chain.hold_transactions(false);
        let clock = Clock::start(&world.chain);
        running.await.unwrap().1.unwrap();
        drop(clock);
    }
    let before = transactions(&world).await;
    world.chain.hold_transactions(true);
    let running = spawn(&world.client, b"data", Wait::Finality);
    pending(&world).await;
    world.chain.fail_next("chain_getFinalizedHead", 1_000, -32_000, "never");
    world.chain.hold_transactions(false);
    world.chain.advance(4).unwrap();
    let (tickets, result) = running.await.unwrap();
    assert_eq!(result.as_ref().map_err(ChainError::kind), Err(ErrorKind::Node), "{result:?}");
    world.chain.fail_next("chain_getFinalizedHead", 0, 0, "");
    assert!(matches!(fate(&world.client, &tickets[0], Wait::Finality).await, Ok(Fate::Included(_))));
    assert_eq!((before, transactions(&world).await), (4, 5));
}
