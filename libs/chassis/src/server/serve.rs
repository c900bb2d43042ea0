//! The HTTP server under every port: both versions without TLS, clients that stall cut off, a drain that lets requests finish.
//!
//! A connection costs a stranger nothing and us a file descriptor, so none is kept for nothing: its first request must be there in
//! time (also while it is open which version is spoken, where hyper itself waits for ever), the head of a further one too, and an
//! HTTP/2 client must answer pings.

use std::{
    future::Future,
    net::SocketAddr,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{Router, body::Body, extract::ConnectInfo};
use http::Request;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto::Builder,
};
use tokio::{
    net::{TcpListener, TcpStream},
    time::sleep,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::ServiceExt as _;

/// The first request of a connection must begin within this time, and so must the head of the next one over HTTP/1.
const HEAD_LIMIT: Duration = Duration::from_secs(30);
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(20);
const KEEP_ALIVE_LIMIT: Duration = Duration::from_secs(20);
const MAX_STREAMS: u32 = 256;
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until `close` resolves; then takes no connection, and returns when the last request is answered. Each request carries
/// its [`ConnectInfo`].
pub async fn serve_http(listener: TcpListener, router: Router, close: impl Future<Output = ()>) {
    serve_within(HEAD_LIMIT, listener, router, close).await;
}

async fn serve_within(head_limit: Duration, listener: TcpListener, router: Router, close: impl Future<Output = ()>) {
    let mut server = Builder::new(TokioExecutor::new());
    server.http1().timer(TokioTimer::new()).header_read_timeout(head_limit);
    server
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(KEEP_ALIVE_INTERVAL)
        .keep_alive_timeout(KEEP_ALIVE_LIMIT)
        .max_concurrent_streams(MAX_STREAMS);
    let (connections, closing) = (TaskTracker::new(), CancellationToken::new());
    let mut close = pin!(close);
    loop {
        let accepted = tokio::select! {
            () = close.as_mut() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                let connection = Connection { server: server.clone(), peer, head_limit, closing: closing.clone() };
                connections.spawn(connection.serve(stream, router.clone()));
            }
            Err(error) => {
                // Most often all file descriptors are in use: others must finish first.
                tracing::warn!(%error, "a connection could not be accepted");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    closing.cancel();
    connections.close();
    connections.wait().await;
}

struct Connection {
    server: Builder<TokioExecutor>,
    peer: SocketAddr,
    head_limit: Duration,
    closing: CancellationToken,
}

impl Connection {
    async fn serve(self, stream: TcpStream, router: Router) {
        let Self { server, peer, head_limit, closing } = self;
        // Small answers must not wait for more; a connection without the option works, only slower.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, %peer, "could not set TCP_NODELAY");
        }
        let asked = Arc::new(AtomicBool::new(false));
        let heard = asked.clone();
        let service = service_fn(move |request: Request<Incoming>| {
            heard.store(true, Ordering::Relaxed);
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(ConnectInfo(peer));
            router.clone().oneshot(request)
        });
        let mut served = pin!(server.serve_connection_with_upgrades(TokioIo::new(stream), service));
        let mut patience = pin!(sleep(head_limit));
        let (mut waiting, mut told) = (true, false);
        let ended = loop {
            tokio::select! {
                ended = served.as_mut() => break ended,
                () = closing.cancelled(), if !told => {
                    told = true;
                    served.as_mut().graceful_shutdown();
                }
                () = patience.as_mut(), if waiting => {
                    waiting = false;
                    if !asked.load(Ordering::Relaxed) {
                        tracing::debug!(%peer, "a connection without a request is closed");
                        return;
                    }
                }
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, %peer, "a connection ended badly");
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use axum::routing::get;
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        time::timeout,
    };

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(60);

    /// A server with little patience, and its address.
    async fn served(limit: Duration, close: CancellationToken) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let peer = |ConnectInfo(peer): ConnectInfo<SocketAddr>| async move { peer.to_string() };
        let router = Router::new().route("/peer", get(peer));
        tokio::spawn(async move { serve_within(limit, listener, router, close.cancelled_owned()).await });
        address
    }

    /// Sends the bytes and reads until the server closes the connection.
    async fn until_closed(address: SocketAddr, sent: &[u8]) -> (TcpStream, Vec<u8>) {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(sent).await.unwrap();
        let mut answer = Vec::new();
        let read = timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
        read.expect("the server closes the connection").ok();
        (stream, answer)
    }

    #[tokio::test]
    async fn a_connection_without_a_whole_request_is_closed_whatever_was_sent() {
        let address = served(Duration::from_millis(200), CancellationToken::new()).await;
        let settings = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
        for sent in [&b""[..], b"P", b"PRI * HTTP/2.0\r\n", b"GET /peer HTTP/1.1\r\nHost: x\r\n", settings] {
            until_closed(address, sent).await;
        }
        let (stream, answer) = until_closed(address, b"GET /peer HTTP/1.1\r\nHost: x\r\n\r\n").await;
        let (peer, answer) = (stream.local_addr().unwrap().to_string(), String::from_utf8(answer).unwrap());
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with(&peer), "{answer}");
    }

    #[tokio::test]
    async fn a_drain_closes_connections_that_ask_for_nothing() {
        let close = CancellationToken::new();
        let address = served(PATIENCE * 60, close.clone()).await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"P").await.unwrap();
        close.cancel();
        let read = timeout(PATIENCE, stream.read_to_end(&mut Vec::new())).await;
        read.expect("the drain closes the connection").ok();
    }
}
