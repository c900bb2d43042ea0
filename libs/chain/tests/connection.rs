//! Nodes that are not there, or are no nodes.
#![allow(clippy::unwrap_used)]

use futures::StreamExt as _;
use kinitro_chain::{ChainClient, ChainError};
use tokio::net::TcpListener;

/// A socket that hangs up on everybody; its port.
async fn rude() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            drop(listener.accept().await);
        }
    });
    port
}

#[tokio::test]
async fn a_node_that_hangs_up_is_unreachable_with_its_address() {
    let port = rude().await;
    for scheme in ["ws", "wss"] {
        let address = format!("{scheme}://127.0.0.1:{port}");
        let refused = ChainClient::connect(&address).await.unwrap_err();
        assert!(matches!(refused, ChainError::Unreachable { .. }), "{refused}");
        assert!(refused.to_string().contains(&address), "{refused}");
    }
}

#[tokio::test]
async fn following_a_node_that_is_away_reports_it_and_goes_on() {
    let client = ChainClient::new(&format!("ws://127.0.0.1:{}", rude().await)).unwrap();
    let mut blocks = client.follow_finalized(None);
    for _ in 0..3 {
        let item = blocks.next().await.unwrap();
        assert!(matches!(item, Err(ChainError::Unreachable { .. })), "{item:?}");
    }
}
