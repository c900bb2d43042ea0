//! The HTTP face of a policy: `/health`, `/reset`, `/act`, many episodes at once told apart by `X-Episode-Id`. The gRPC face is on the
//! same port: HTTP/2 and its path tell the two apart.

use std::{
    collections::HashMap,
    num::NonZeroUsize,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use axum::{
    Json, Router,
    extract::State,
    http::{HeaderMap, StatusCode},
    routing::{get, post},
    serve::ListenerExt as _,
};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

use super::{
    grpc,
    kinds::{Kind, Player},
};

/// Episodes remembered at once; the oldest is forgotten beyond it.
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(4096).expect("4096 is not zero");

/// How a sample policy is served.
#[derive(Debug, Clone, Copy)]
pub struct ServeOptions {
    /// Which policy.
    pub kind: Kind,
    /// How long every answer takes, to resemble a policy that thinks.
    pub latency: Duration,
    /// How many actions an answer over gRPC holds, 1 to 64. Over HTTP it is always one.
    pub chunk: u32,
}

struct Server {
    options: ServeOptions,
    started: Instant,
    episodes: Mutex<Episodes>,
}

#[derive(Default)]
struct Episodes {
    players: HashMap<String, (u64, Player)>,
    clock: u64,
}

impl Episodes {
    fn remember(&mut self, episode: String, player: Player) {
        self.clock += 1;
        self.players.insert(episode, (self.clock, player));
        if self.players.len() > REMEMBERED.get() {
            let oldest = self.players.iter().min_by_key(|(_, (clock, _))| *clock).map(|(episode, _)| episode.clone());
            oldest.and_then(|episode| self.players.remove(&episode));
        }
    }
}

#[derive(Deserialize)]
struct Reset {
    task_config: TaskConfig,
}

#[derive(Deserialize)]
struct TaskConfig {
    seed: u64,
}

#[derive(Deserialize)]
struct Act {
    obs: Observation,
}

#[derive(Deserialize)]
struct Observation {
    proprio: Proprioception,
}

#[derive(Deserialize)]
struct Proprioception {
    ee_pos: [f64; 3],
}

/// The routes of one policy.
fn router(options: ServeOptions) -> Router {
    let server = Arc::new(Server { options, started: Instant::now(), episodes: Mutex::default() });
    let http = Router::new().route("/health", get(health)).route("/reset", post(reset)).route("/act", post(act));
    // Its fallback answers in gRPC; a stranger to both faces is to hear 404.
    let grpc = Routes::new(grpc::service(options)).into_axum_router().reset_fallback();
    http.with_state(server).merge(grpc)
}

/// Serves a policy until `stop` is cancelled.
pub async fn serve(options: ServeOptions, listener: TcpListener, stop: CancellationToken) -> std::io::Result<()> {
    // Else an answer could wait for the acknowledgement of what HTTP/2 sent before it.
    let listener = listener.tap_io(|stream| {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection without TCP_NODELAY");
        }
    });
    axum::serve(listener, router(options)).with_graceful_shutdown(stop.cancelled_owned()).await
}

async fn health(State(server): State<Arc<Server>>) -> Json<Value> {
    let uptime = server.started.elapsed().as_secs_f64();
    Json(json!({ "status": "healthy", "model_loaded": true, "uptime_seconds": uptime }))
}

async fn reset(State(server): State<Arc<Server>>, headers: HeaderMap, Json(request): Json<Reset>) -> Json<Value> {
    let episode = episode_id(&headers);
    let player = Player::new(server.options.kind, request.task_config.seed);
    server.episodes.lock().unwrap_or_else(PoisonError::into_inner).remember(episode.clone(), player);
    Json(json!({ "status": "ok", "episode_id": episode }))
}

async fn act(
    State(server): State<Arc<Server>>,
    headers: HeaderMap,
    Json(request): Json<Act>,
) -> Result<Json<Value>, (StatusCode, String)> {
    if !server.options.latency.is_zero() {
        tokio::time::sleep(server.options.latency).await;
    }
    let episode = episode_id(&headers);
    let mut episodes = server.episodes.lock().unwrap_or_else(PoisonError::into_inner);
    let (_, player) = episodes
        .players
        .get_mut(&episode)
        .ok_or_else(|| (StatusCode::CONFLICT, format!("episode `{episode}` was not reset here: call /reset first")))?;
    let answer = player.act(request.obs.proprio.ee_pos);
    Ok(Json(json!({
        "action": {
            "continuous": { "ee_twist": answer.ee_twist, "gripper": [answer.gripper] },
            "discrete": {},
            "extra": {},
        }
    })))
}

/// The episode of a call; all calls without the header share one.
fn episode_id(headers: &HeaderMap) -> String {
    headers.get("x-episode-id").and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
}
