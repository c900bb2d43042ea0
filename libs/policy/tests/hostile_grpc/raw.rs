//! Servers below HTTP/2's own rules: bytes and frames as no library would send them.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

/// The kinds of frames that are used here.
pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
const GOAWAY: u8 = 7;
pub const CONTINUATION: u8 = 9;
/// A kind that HTTP/2 tells everybody to ignore.
pub const UNKNOWN: u8 = 0xfa;

const ACK: u8 = 1;

/// As a setting: a stream takes 1000 bytes unless room is made for more.
const SMALL_WINDOW: &[u8] = &[0, 4, 0, 0, 3, 0xe8];

/// `:status: 200` and `content-type: application/grpc`, as HPACK with static names.
pub const GRPC_HEAD: &[u8] = b"\x88\x0f\x10\x10application/grpc";

/// Writes these bytes to whoever connects, and hangs up or not.
pub async fn answering(bytes: &'static [u8], hang_up: bool) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                // Something must have been said, as a server would wait for it.
                let mut heard = [0; 24];
                let _ = stream.read_exact(&mut heard).await;
                let _ = stream.write_all(bytes).await;
                if !hang_up {
                    std::future::pending::<()>().await;
                }
                // Who closes with something unread breaks what was written.
                let _ = stream.shutdown().await;
                let _ = stream.read_to_end(&mut Vec::new()).await;
            });
        }
    });
    address
}

/// Stands before a server as a balancer does that changes over: of connections that are made to it, the first so many answer PINGs and go
/// away by the book when a stream begins, which they do not process. The others are led to the server, after a while.
pub async fn draining(first: usize, server: SocketAddr, wait: Duration) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        for number in 0.. {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                if number < first {
                    until(&mut stream, HEADERS).await?;
                    stream.write_all(&frame(GOAWAY, 0, 0, &[0; 8])).await.ok()?;
                    return std::future::pending().await;
                }
                tokio::time::sleep(wait).await;
                let mut behind = TcpStream::connect(server).await.ok()?;
                tokio::io::copy_bidirectional(&mut stream, &mut behind).await.ok()
            });
        }
    });
    address
}

/// Shakes hands, answers PINGs, and when the first message comes reads no more: it writes these frames once and then the others until
/// the client hangs up.
pub async fn framing(once: Vec<Vec<u8>>, forever: Vec<u8>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(serve(stream, once.concat(), forever.clone()));
        }
    });
    address
}

async fn serve(mut stream: TcpStream, once: Vec<u8>, forever: Vec<u8>) -> Option<()> {
    until(&mut stream, DATA).await?;
    stream.write_all(&once).await.ok()?;
    while !forever.is_empty() {
        stream.write_all(&forever).await.ok()?;
    }
    std::future::pending().await
}

/// Shakes hands and answers PINGs until a frame of a kind comes.
async fn until(stream: &mut TcpStream, kind: u8) -> Option<()> {
    let mut preface = [0; 24];
    stream.read_exact(&mut preface).await.ok()?;
    stream.write_all(&frame(SETTINGS, 0, 0, SMALL_WINDOW)).await.ok()?;
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).await.ok()?;
        let mut content = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
        stream.read_exact(&mut content).await.ok()?;
        match (head[3], head[4] & ACK) {
            (SETTINGS, 0) => stream.write_all(&frame(SETTINGS, ACK, 0, &[])).await.ok()?,
            (PING, 0) => stream.write_all(&frame(PING, ACK, 0, &content)).await.ok()?,
            (other, _) if other == kind => return Some(()),
            _ => {}
        }
    }
}

pub fn frame(kind: u8, flags: u8, stream: u32, content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), content].concat()
}
