//! The HTTP server under every port: both versions without TLS, clients that stall cut off, a drain that lets requests finish.
//!
//! A connection costs a stranger nothing and us a file descriptor and memory, so none is kept for nothing ([`ServerLimits`]): its first
//! request must be there in time (also while it is open which version is spoken, where hyper itself waits for ever), the head of a
//! further one too, an HTTP/2 client must answer pings, and what is answered must be taken. There are caps in all and for each address.

use std::{future::Future, pin::pin, sync::Arc, time::Duration};

use axum::Router;
use hyper_util::{
    rt::{TokioExecutor, TokioTimer},
    server::conn::auto::Builder,
};
use tokio::{net::TcpListener, time::sleep};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{connection::Connection, limits::ServerLimits, open_files::open_files, seats::Seats};

const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(20);
const KEEP_ALIVE_LIMIT: Duration = Duration::from_secs(20);
/// What HTTP/1 keeps of a request's head and of an answer that is being written.
const HTTP1_BUFFER: usize = 64 << 10;
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until `close` resolves; then takes no connection, and returns when the last request is answered. Each request carries
/// its [`ConnectInfo`](axum::extract::ConnectInfo).
pub async fn serve_http(listener: TcpListener, router: Router, limits: ServerLimits, close: impl Future<Output = ()>) {
    let limits = Arc::new(limits.within(open_files()));
    let server = server(&limits);
    let seats = Seats::new(&limits);
    let (connections, closing) = (TaskTracker::new(), CancellationToken::new());
    let mut close = pin!(close);
    loop {
        let accepted = tokio::select! {
            () = close.as_mut() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                let Ok(seat) = seats.take(peer.ip()) else { continue };
                let (server, limits, closing) = (server.clone(), limits.clone(), closing.clone());
                let connection = Connection { server, limits, peer, seat, closing };
                connections.spawn(connection.serve(stream, router.clone()));
            }
            Err(error) => {
                // Most often all file descriptors are in use: others must finish first.
                let made_room = seats.make_room();
                tracing::warn!(%error, made_room, "a connection could not be accepted");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    closing.cancel();
    connections.close();
    connections.wait().await;
}

fn server(limits: &ServerLimits) -> Builder<TokioExecutor> {
    let mut server = Builder::new(TokioExecutor::new());
    server.http1().timer(TokioTimer::new()).header_read_timeout(limits.head).max_buf_size(HTTP1_BUFFER);
    server
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(KEEP_ALIVE_INTERVAL)
        .keep_alive_timeout(KEEP_ALIVE_LIMIT)
        .max_concurrent_streams(limits.streams)
        .max_send_buf_size(limits.send_buffer);
    server
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::net::SocketAddr;

    use axum::{extract::ConnectInfo, routing::get};
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpStream,
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
        let limits = ServerLimits { head: limit, ..ServerLimits::mesh() };
        tokio::spawn(async move { serve_http(listener, router, limits, close.cancelled_owned()).await });
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
