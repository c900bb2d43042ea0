//! Clients that do not take their answers, and connections without a request, against the server of every port.
#![allow(clippy::unwrap_used)]

use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Router,
    body::{Body, Bytes},
    response::Response,
    routing::get,
};
use futures::{StreamExt as _, stream};
use kinitro_chassis::{ServerLimits, hold_until_sent, serve_http};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::timeout,
};

/// Generous: what never happens fails.
const PATIENCE: Duration = Duration::from_secs(60);
/// Far longer than the patience of a test: no such limit plays a part in it.
const NEVER: Duration = Duration::from_secs(3600);
/// More than the buffers of two sockets.
const LARGE: usize = 32 << 20;

fn patient() -> ServerLimits {
    ServerLimits { head: NEVER, idle: None, stall: NEVER, ..ServerLimits::public() }
}

/// Serves `/large`, whose answer holds a permit of `slots`, `/small`, and `/stream`, which sends one piece and then nothing.
async fn served(limits: ServerLimits, slots: Arc<Semaphore>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let large = move || {
        let slots = slots.clone();
        async move {
            let mut response = Response::new(Body::from(vec![7; LARGE]));
            hold_until_sent(&mut response, slots.acquire_owned().await.unwrap());
            response
        }
    };
    let quiet = || async {
        let first = stream::iter([Ok::<_, Infallible>(Bytes::from_static(b"first"))]);
        Response::new(Body::from_stream(first.chain(stream::pending())))
    };
    let router = Router::new()
        .route("/large", get(large))
        .route("/small", get(|| async { "small" }))
        .route("/stream", get(quiet));
    tokio::spawn(serve_http(listener, router, limits, std::future::pending()));
    address
}

async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let waited = timeout(PATIENCE, async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    waited.await.unwrap_or_else(|_| panic!("waited in vain: {what}"));
}

struct Http2 {
    sender: h2::client::SendRequest<Bytes>,
    ended: tokio::task::JoinHandle<Result<(), h2::Error>>,
}

impl Http2 {
    async fn connect(to: SocketAddr, window: u32) -> Self {
        let stream = TcpStream::connect(to).await.unwrap();
        let mut builder = h2::client::Builder::new();
        let (sender, connection) = builder.initial_window_size(window).handshake(stream).await.unwrap();
        Self { sender, ended: tokio::spawn(connection) }
    }

    async fn get(&mut self, path: &str) -> h2::RecvStream {
        let request = http::Request::get(format!("http://server{path}")).body(()).unwrap();
        self.sender = self.sender.clone().ready().await.unwrap();
        let answer = self.sender.send_request(request, true).unwrap().0.await.unwrap();
        assert_eq!(answer.status(), 200);
        answer.into_body()
    }
}

#[tokio::test]
async fn what_is_held_for_an_answer_is_given_back_when_its_last_byte_was_taken() {
    let slots = Arc::new(Semaphore::new(1));
    let address = served(patient(), slots.clone()).await;
    let mut client = Http2::connect(address, 1).await;
    let mut body = client.get("/large").await;
    assert_eq!(timeout(PATIENCE, body.data()).await.unwrap().unwrap().unwrap().len(), 1);
    assert_eq!(slots.available_permits(), 0);
    drop((body, client));
    eventually("the permit comes back when the client hangs up", || slots.available_permits() == 1).await;

    let mut client = Http2::connect(address, 1 << 20).await;
    let mut body = client.get("/large").await;
    let mut taken = 0;
    while let Some(piece) = timeout(PATIENCE, body.data()).await.unwrap() {
        let piece = piece.unwrap();
        assert!(piece.iter().all(|byte| *byte == 7));
        taken += piece.len();
        body.flow_control().release_capacity(piece.len()).unwrap();
    }
    assert_eq!(taken, LARGE);
    eventually("the permit comes back when all is sent", || slots.available_permits() == 1).await;
}

#[tokio::test]
async fn a_client_that_takes_nothing_of_an_answer_is_cut_off_over_both_protocols() {
    let slots = Arc::new(Semaphore::new(8));
    let address = served(ServerLimits { stall: Duration::from_millis(300), ..patient() }, slots.clone()).await;
    for window in [0, 1, 20_000] {
        let mut client = Http2::connect(address, window).await;
        let _body = client.get("/large").await;
        timeout(PATIENCE, client.ended)
            .await
            .unwrap_or_else(|_| panic!("window {window}: never cut off"))
            .unwrap()
            .ok();
    }
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET /large HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    assert_eq!(timeout(PATIENCE, stream.read_u8()).await.unwrap().unwrap(), b'H');
    eventually("all permits are back", || slots.available_permits() == 8).await;
    let mut rest = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut rest)).await.unwrap().ok();
    assert!(rest.len() < LARGE, "it is cut off before the end");
}

#[tokio::test]
async fn a_stream_that_has_nothing_to_send_is_not_cut_off() {
    let limits = ServerLimits { stall: Duration::from_secs(2), idle: Some(Duration::from_millis(100)), ..patient() };
    let address = served(limits, Arc::new(Semaphore::new(1))).await;
    let mut client = Http2::connect(address, 1 << 20).await;
    let mut body = client.get("/stream").await;
    let piece = timeout(PATIENCE, body.data()).await.unwrap().unwrap().unwrap();
    assert_eq!(piece, "first");
    // Much longer than all limits.
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert!(!client.ended.is_finished());
    drop(client.get("/small").await);
}

#[tokio::test]
async fn an_http2_connection_that_asks_nothing_more_is_told_to_go() {
    let address =
        served(ServerLimits { idle: Some(Duration::from_millis(200)), ..patient() }, Arc::new(Semaphore::new(1))).await;
    let mut client = Http2::connect(address, 1 << 20).await;
    drop(client.get("/small").await);
    let ended = timeout(PATIENCE, client.ended).await.expect("it is closed").unwrap();
    assert!(ended.is_ok(), "politely: {ended:?}");
}

#[tokio::test]
async fn idle_connections_make_room_for_new_ones() {
    let limits = ServerLimits { connections: 8, connections_per_address: None, ..patient() };
    let address = served(limits, Arc::new(Semaphore::new(1))).await;
    let mut idle = Vec::new();
    for _ in 0..50 {
        idle.push(TcpStream::connect(address).await.unwrap());
    }
    let ask = async {
        // While fifty come at once, one may be refused: the next try finds room.
        loop {
            let mut stream = TcpStream::connect(address).await.unwrap();
            let mut answer = String::new();
            let asked = stream.write_all(b"GET /small HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
            if asked.is_ok() && stream.read_to_string(&mut answer).await.is_ok() && answer.ends_with("small") {
                break;
            }
        }
    };
    timeout(PATIENCE, ask).await.expect("an answer beside fifty idle connections");
}
