//! A connection that is open and of no use: it is left, and the next one is used.
#![allow(clippy::unwrap_used)]

mod support;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use kinitro_chain::{ChainClient, ErrorKind};
use support::{PATIENCE, world};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, copy},
    net::{TcpListener, TcpStream},
    time::timeout,
};

/// A way to a node that can go silent.
#[derive(Clone, Default)]
struct Proxy {
    /// How many connections were made.
    made: Arc<AtomicU64>,
    /// Connections up to this one forward nothing to the node any more, and stay open.
    silent: Arc<AtomicU64>,
}

impl Proxy {
    async fn start(&self, node: &str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("ws://{}", listener.local_addr().unwrap());
        let (proxy, node) = (self.clone(), node.strip_prefix("ws://").unwrap().to_owned());
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let number = proxy.made.fetch_add(1, Ordering::SeqCst) + 1;
                let server = TcpStream::connect(&node).await.unwrap();
                tokio::spawn(proxy.clone().forward(number, client, server));
            }
        });
        url
    }

    async fn forward(self, number: u64, client: TcpStream, server: TcpStream) {
        let ((mut from, mut back), (mut answers, mut to)) = (client.into_split(), server.into_split());
        tokio::spawn(async move { copy(&mut answers, &mut back).await });
        let mut bytes = vec![0; 65_536];
        while let Ok(read @ 1..) = from.read(&mut bytes).await {
            if number > self.silent.load(Ordering::SeqCst) {
                to.write_all(&bytes[..read]).await.unwrap();
            }
        }
    }

    fn made(&self) -> u64 {
        self.made.load(Ordering::SeqCst)
    }
}

#[tokio::test]
async fn a_connection_over_which_nothing_is_answered_is_not_used_again() {
    let world = world().await;
    let proxy = Proxy::default();
    let url = proxy.start(&world.server.url()).await;
    let client = ChainClient::with_request_limit(&url, Duration::from_secs(3)).unwrap();
    client.finalized_head().await.unwrap();
    proxy.silent.store(1, Ordering::SeqCst);
    let unanswered = timeout(PATIENCE, client.finalized_head()).await.expect("an end in time").unwrap_err();
    assert_eq!(unanswered.kind(), ErrorKind::Unreachable, "{unanswered}");
    timeout(PATIENCE, client.finalized_head()).await.expect("an end in time").unwrap();
    assert_eq!(proxy.made(), 2);
}

#[tokio::test]
async fn a_connection_that_a_caller_gave_up_is_not_used_again() {
    let world = world().await;
    let proxy = Proxy::default();
    let client = ChainClient::connect(&proxy.start(&world.server.url()).await).await.unwrap();
    client.finalized_head().await.unwrap();
    assert_eq!(proxy.made(), 1);
    client.drop_connection();
    client.finalized_head().await.unwrap();
    client.finalized_head().await.unwrap();
    assert_eq!(proxy.made(), 2);
}
