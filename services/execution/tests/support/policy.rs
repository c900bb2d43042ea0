//! A policy over HTTP that plays as it is told, and keeps all that it is sent.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{Request, State},
    http::StatusCode,
    response::{IntoResponse as _, Redirect, Response},
};
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// An answer to `/act`.
#[derive(Clone)]
pub enum Act {
    Move([f64; 6], f64),
    Body(String),
    Hang,
    Sleep(Duration),
    Status(u16),
    Redirect(String),
    /// The connection breaks in the middle of the answer.
    Break,
    /// So many bytes.
    Huge(usize),
}

pub const STAY: Act = Act::Move([0.0; 6], 0.0);

/// A request as it came: line and headers, then the body.
pub struct Received {
    pub head: String,
    pub path: String,
    pub body: Vec<u8>,
}

impl Received {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

type Play = Arc<dyn Fn(usize, &Value) -> Act + Send + Sync>;

#[derive(Clone)]
pub struct PolicyServer {
    pub address: SocketAddr,
    pub received: Arc<Mutex<Vec<Received>>>,
    play: Play,
}

impl PolicyServer {
    /// `play` gets the number of the `/act` call, over all episodes, and the observation.
    pub async fn start(play: impl Fn(usize, &Value) -> Act + Send + Sync + 'static) -> Self {
        Self::at(TcpListener::bind("127.0.0.1:0").await.unwrap(), play)
    }

    pub fn at(listener: TcpListener, play: impl Fn(usize, &Value) -> Act + Send + Sync + 'static) -> Self {
        let server = Self { address: listener.local_addr().unwrap(), received: Arc::default(), play: Arc::new(play) };
        let routes = Router::new().fallback(answer).with_state(server.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        server
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn acts(&self) -> usize {
        self.received.lock().unwrap().iter().filter(|received| received.path == "/act").count()
    }
}

async fn answer(State(server): State<PolicyServer>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap().to_vec();
    let number = server.acts();
    let path = parts.uri.path().to_owned();
    let head = format!("{} {} {:?}", parts.method, parts.uri, parts.headers);
    server.received.lock().unwrap().push(Received { head, path: path.clone(), body: body.clone() });
    match path.as_str() {
        "/health" => axum::Json(json!({"status": "ok", "model_loaded": true, "uptime_seconds": 1.0})).into_response(),
        "/reset" => axum::Json(json!({"status": "ok", "episode_id": "1"})).into_response(),
        _ => act((server.play)(number, &serde_json::from_slice(&body).unwrap())).await,
    }
}

async fn act(act: Act) -> Response {
    let body = |twist: [f64; 6], gripper: f64| json!({"action": {"continuous": {"ee_twist": twist, "gripper": [gripper]}, "discrete": {}, "extra": {}}});
    match act {
        Act::Move(twist, gripper) => axum::Json(body(twist, gripper)).into_response(),
        Act::Body(text) => text.into_response(),
        Act::Hang => std::future::pending().await,
        Act::Sleep(wait) => {
            tokio::time::sleep(wait).await;
            axum::Json(body([0.0; 6], 0.0)).into_response()
        }
        Act::Status(code) => (StatusCode::from_u16(code).unwrap(), "no").into_response(),
        Act::Redirect(to) => Redirect::temporary(&to).into_response(),
        Act::Break => {
            let parts = [Ok("{\"action\""), Err(std::io::Error::other("broken on purpose"))];
            Body::from_stream(tokio_stream::iter(parts)).into_response()
        }
        Act::Huge(bytes) => Body::from(vec![b'['; bytes]).into_response(),
    }
}
