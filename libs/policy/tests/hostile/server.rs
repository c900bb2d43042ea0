//! An HTTP server that does what it is told to, down to the byte.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time::timeout,
};

/// What is done instead of an ordinary answer.
#[derive(Clone)]
pub enum Reply {
    /// 200 with this JSON.
    Json(String),
    /// These bytes, and the connection stays open.
    Raw(Vec<u8>),
    /// These bytes first, then this chunk again and again.
    Endless(&'static [u8], Vec<u8>),
    /// 200 with this JSON, the head first and the body in a packet of its own, as many servers do.
    InTwo(String),
    /// 200 with this JSON, but only after a while.
    Late(Duration, String),
    /// Nothing, ever.
    Silence,
    /// The connection is closed.
    Close,
    /// 200 with this JSON, and the connection is closed.
    JsonAndClose(String),
}

type Requests = Mutex<Vec<(String, Vec<u8>)>>;

pub struct Server {
    pub address: SocketAddr,
    /// Head and body of each request.
    pub requests: Arc<Requests>,
    pub connections: Arc<AtomicUsize>,
    /// Bytes that the client took.
    pub written: Arc<AtomicUsize>,
}

/// What a server is like apart from its answers.
#[derive(Clone, Copy)]
pub struct Habits {
    /// A new connection's first answer takes so much longer.
    pub first: Duration,
    /// A connection on which nothing is asked for so long is closed.
    pub keep_alive: Duration,
}

impl Server {
    pub async fn start(reply: impl Fn(&str) -> Reply + Send + Sync + 'static) -> Self {
        Self::start_with(Habits { first: Duration::ZERO, keep_alive: Duration::from_secs(3600) }, reply).await
    }

    pub async fn start_with(habits: Habits, reply: impl Fn(&str) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self {
            address: listener.local_addr().unwrap(),
            requests: Arc::default(),
            connections: Arc::default(),
            written: Arc::default(),
        };
        let reply = Arc::new(reply);
        let (requests, connections, written) =
            (server.requests.clone(), server.connections.clone(), server.written.clone());
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                stream.set_nodelay(true).unwrap();
                connections.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(serve(stream, habits, reply.clone(), requests.clone(), written.clone()));
            }
        });
        server
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

pub const GOOD_ACTION: &str =
    r#"{"action":{"continuous":{"ee_twist":[0,0,0,0,0,0],"gripper":[1]},"discrete":{},"extra":{}}}"#;

/// A policy as it should be.
pub fn good(path: &str) -> Reply {
    Reply::Json(match path {
        "/health" => r#"{"status":"ok","model_loaded":true,"uptime_seconds":1.5}"#.to_owned(),
        "/reset" => r#"{"status":"ok","episode_id":"1"}"#.to_owned(),
        _ => GOOD_ACTION.to_owned(),
    })
}

async fn serve(
    mut stream: TcpStream,
    habits: Habits,
    reply: Arc<impl Fn(&str) -> Reply>,
    requests: Arc<Requests>,
    written: Arc<AtomicUsize>,
) -> Option<()> {
    let mut buffer = Vec::new();
    let mut first = habits.first;
    loop {
        let (head, body) = timeout(habits.keep_alive, read_request(&mut stream, &mut buffer)).await.ok()??;
        tokio::time::sleep(std::mem::take(&mut first)).await;
        let path = head.split_whitespace().nth(1)?.to_owned();
        requests.lock().unwrap().push((head, body));
        match reply(&path) {
            Reply::Json(text) => stream.write_all(&json(&text)).await.ok()?,
            Reply::Raw(bytes) => stream.write_all(&bytes).await.ok()?,
            Reply::Endless(head, chunk) => {
                stream.write_all(head).await.ok()?;
                loop {
                    stream.write_all(&chunk).await.ok()?;
                    written.fetch_add(chunk.len(), Ordering::Relaxed);
                }
            }
            Reply::InTwo(text) => {
                let answer = json(&text);
                let (head, body) = answer.split_at(answer.len() - text.len());
                stream.write_all(head).await.ok()?;
                tokio::task::yield_now().await;
                stream.write_all(body).await.ok()?;
            }
            Reply::Late(wait, text) => {
                tokio::time::sleep(wait).await;
                stream.write_all(&json(&text)).await.ok()?;
            }
            Reply::Silence => std::future::pending().await,
            Reply::Close => return None,
            Reply::JsonAndClose(text) => {
                stream.write_all(&json(&text)).await.ok()?;
                return None;
            }
        }
    }
}

async fn read_request(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<(String, Vec<u8>)> {
    loop {
        if let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8(buffer[..end].to_vec()).ok()?;
            let length = head
                .lines()
                .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse().ok())
                .unwrap_or(0);
            while buffer.len() < end + 4 + length {
                stream.read_buf(buffer).await.ok().filter(|read| *read > 0)?;
            }
            let body = buffer[end + 4..end + 4 + length].to_vec();
            buffer.drain(..end + 4 + length);
            return Some((head, body));
        }
        stream.read_buf(buffer).await.ok().filter(|read| *read > 0)?;
    }
}

pub fn json(text: &str) -> Vec<u8> {
    status("200 OK", "Content-Type: application/json\r\n", text.as_bytes())
}

pub fn status(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let mut answer = format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\n\r\n", body.len()).into_bytes();
    answer.extend_from_slice(body);
    answer
}
