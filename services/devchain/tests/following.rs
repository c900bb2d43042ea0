//! Finality, gaps, reorganisations, outages.
#![allow(clippy::unwrap_used)]

mod support;

use std::{collections::BTreeSet, net::SocketAddr};

use futures::StreamExt as _;
use kinitro_chain::{ChainError, Signer, Wait};
use kinitro_devchain::Devchain;
use kinitro_domain::BlockNumber;
use support::{Clock, NETUID, blocks_until, config, hash, next, world};
use tokio::net::TcpListener;

fn address(url: &str) -> SocketAddr {
    url.strip_prefix("ws://").unwrap().parse().unwrap()
}

#[tokio::test]
async fn the_finalized_head_lags_the_best_one() {
    let world = world().await;
    world.chain.advance(10).unwrap();
    let head = world.client.finalized_head().await.unwrap();
    assert_eq!((world.chain.best_number(), head.number.0), (10, 8));
    assert_eq!(head.hash, hash(&world.chain, 8));
    assert_eq!(
        world.client.block_hash(BlockNumber(0)).await.unwrap(),
        Some(world.client.genesis_hash().await.unwrap())
    );
    assert_eq!(world.client.block_hash(BlockNumber(11)).await.unwrap(), None);
}

#[tokio::test]
async fn every_finalized_block_comes_once_and_in_order() {
    let world = world().await;
    world.chain.advance(5).unwrap();
    let mut stream = world.client.follow_finalized(None);
    assert_eq!(next(&mut stream).await.number.0, 3);
    // Many at once: the announcements may skip, the stream may not.
    world.chain.advance(50).unwrap();
    let (blocks, errors) = blocks_until(&mut stream, 53).await;
    assert!(errors.is_empty(), "{errors:?}");
    assert!(blocks.iter().map(|block| block.number.0).eq(4..=53));
    assert!(blocks.iter().all(|block| block.hash == hash(&world.chain, block.number.0 as u32)));

    let mut later = world.client.follow_finalized(Some(BlockNumber(10)));
    assert_eq!(next(&mut later).await.number.0, 11);
}

#[tokio::test]
async fn a_reorganisation_never_shows_in_the_finalized_stream() {
    let world = world().await;
    world.chain.advance(4).unwrap();
    let mut stream = world.client.follow_finalized(Some(BlockNumber(0)));
    let mut dropped = BTreeSet::new();
    for round in 0..10 {
        let best = world.chain.best_number();
        world.chain.register(0, "//Mallory").unwrap();
        dropped.extend([hash(&world.chain, best), hash(&world.chain, best + 1)]);
        world.chain.reorganise(2).unwrap();
        assert!(!dropped.contains(&hash(&world.chain, best)), "round {round}");
        world.chain.advance(1).unwrap();
    }
    let last = world.chain.finalized_number().into();
    let (blocks, errors) = blocks_until(&mut stream, last).await;
    assert!(errors.is_empty(), "{errors:?}");
    assert!(blocks.iter().map(|block| block.number.0).eq(1..=last));
    for block in blocks {
        assert!(!dropped.contains(&block.hash));
        let neurons = world.client.neurons_at(block.hash, NETUID).await.unwrap();
        assert_eq!(neurons[0].hotkey, Signer::from_uri("//Alice").unwrap().hotkey());
    }
    assert!(world.chain.reorganise(3).is_err());
}

#[tokio::test]
async fn a_transaction_that_was_reorganised_away_gets_into_another_block() {
    let world = world().await;
    world.chain.advance(3).unwrap();
    let client = world.client.clone();
    let commit = tokio::spawn(async move {
        let alice = Signer::from_uri("//Alice").unwrap();
        client.set_commitment(&alice, NETUID, b"data", Wait::Finality).await
    });
    // It waits; the next block takes it in, then that block is dropped.
    let block = loop {
        let block = world.chain.advance(1).unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        let at = world.client.commitments_at(hash(&world.chain, block), NETUID).await.unwrap();
        if !at.is_empty() {
            break block;
        }
    };
    let dropped = hash(&world.chain, block);
    world.chain.reorganise(1).unwrap();
    let _clock = Clock::start(&world.chain);
    let receipt = commit.await.unwrap().unwrap();
    assert_ne!(receipt.block.hash, dropped);
    assert_eq!(world.client.commitments_at(receipt.block.hash, NETUID).await.unwrap().len(), 1);
}

#[tokio::test]
async fn the_stream_survives_a_node_that_goes_away() {
    let world = world().await;
    world.chain.advance(4).unwrap();
    let mut stream = world.client.follow_finalized(None);
    assert_eq!(next(&mut stream).await.number.0, 2);

    let (url, genesis) = (world.server.url(), world.client.genesis_hash().await.unwrap());
    world.server.stop().await;
    let away = stream.next().await.unwrap().unwrap_err();
    assert!(matches!(away, ChainError::Unreachable { .. }), "{away}");
    assert!(away.to_string().contains(&url), "{away}");
    let refused = world.client.finalized_head().await.unwrap_err();
    assert!(matches!(refused, ChainError::Unreachable { .. }), "{refused}");

    world.chain.advance(6).unwrap();
    let server = world.chain.serve(TcpListener::bind(address(&url)).await.unwrap()).unwrap();
    let (blocks, _) = blocks_until(&mut stream, 8).await;
    assert!(blocks.iter().map(|block| block.number.0).eq(3..=8));
    assert_eq!(world.client.genesis_hash().await.unwrap(), genesis);
    server.stop().await;
}

#[tokio::test]
async fn another_chain_at_the_same_address_is_refused() {
    let world = world().await;
    let url = world.server.url();
    world.server.stop().await;
    let other = Devchain::new(&config()).unwrap();
    let _server = other.serve(TcpListener::bind(address(&url)).await.unwrap()).unwrap();
    let refused = loop {
        // The client may first find out that its old connection is gone.
        match world.client.finalized_head().await.unwrap_err() {
            ChainError::Unreachable { .. } => {}
            other => break other,
        }
    };
    assert!(matches!(refused, ChainError::OtherChain { .. }), "{refused}");
}
