//! A backend that answers what a test says.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    extract::State,
    http::{HeaderMap, Response, StatusCode},
};
use serde_json::Value;
use tokio::{net::TcpListener, time::sleep};

/// What the backend answers.
#[derive(Debug, Clone)]
pub struct Script {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
    /// The time between the head and the body.
    pub delay: Duration,
}

impl Script {
    pub fn json(body: impl Into<Vec<u8>>) -> Self {
        let headers = vec![("content-type", "application/json".to_owned())];
        Self { status: 200, headers, body: body.into(), delay: Duration::ZERO }
    }

    pub fn with_header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.retain(|(known, _)| *known != name);
        self.headers.push((name, value.to_owned()));
        self
    }

    pub fn with_status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }
}

#[derive(Default)]
struct Played {
    script: Option<Script>,
    asked: usize,
    not_modified: usize,
}

/// An HTTP server that follows a script, with entity tags as the gateway has them.
#[derive(Clone)]
pub struct Backend {
    pub url: String,
    played: Arc<Mutex<Played>>,
}

impl Backend {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let played = Arc::<Mutex<Played>>::default();
        let router = Router::new().fallback(answer).with_state(played.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, played }
    }

    pub fn publish(&self, weights: &Value) {
        let tag = format!(
            "\"{:032x}\"",
            weights.to_string().bytes().fold(0_u128, |hash, byte| hash.wrapping_mul(31) + u128::from(byte))
        );
        self.play(Script::json(weights.to_string()).with_header("etag", &tag));
    }

    pub fn play(&self, script: Script) {
        self.played.lock().unwrap().script = Some(script);
    }

    /// How often it was asked.
    pub fn asked(&self) -> usize {
        self.played.lock().unwrap().asked
    }

    /// How often it answered 304 because the tag was known.
    pub fn not_modified(&self) -> usize {
        self.played.lock().unwrap().not_modified
    }
}

async fn answer(State(played): State<Arc<Mutex<Played>>>, headers: HeaderMap) -> Response<Body> {
    let script = {
        let mut played = played.lock().unwrap();
        played.asked += 1;
        let script = played.script.clone();
        let known = headers.get("if-none-match").and_then(|tag| tag.to_str().ok());
        let tag = script.as_ref().and_then(|script| script.headers.iter().find(|(name, _)| *name == "etag"));
        if known.is_some() && known == tag.map(|(_, tag)| tag.as_str()) {
            played.not_modified += 1;
            return Response::builder().status(304).body(Body::empty()).unwrap();
        }
        script
    };
    let Some(script) = script else {
        return Response::builder().status(StatusCode::NOT_FOUND).body(Body::empty()).unwrap();
    };
    let mut response = Response::builder().status(script.status);
    for (name, value) in &script.headers {
        response = response.header(*name, value);
    }
    sleep(script.delay).await;
    response.body(Body::from(script.body)).unwrap()
}
