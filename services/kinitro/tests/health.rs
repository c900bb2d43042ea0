//! `GET /health` names what is down, and recovers by itself.
#![allow(clippy::unwrap_used)]

mod support;

use nix::sys::signal::Signal;
use serde_json::Value;
use support::{ALONE, Backend, Options, eventually};

async fn health_when(backend: &Backend, what: &str, reached: impl Fn(u16, &Value) -> bool) -> Value {
    eventually(what, || async {
        let (status, body) = backend.get("/health").await;
        if reached(status, &body) { Ok(body) } else { Err(format!("{status} {body}")) }
    })
    .await
}

async fn is_healthy(backend: &Backend) {
    let body = health_when(backend, "all is well", |status, _| status == 200).await;
    assert_eq!((&body["status"], &body["database"]), (&"healthy".into(), &"connected".into()), "{body}");
}

async fn is_unhealthy_because_of(backend: &Backend, culprit: &str) -> Value {
    let named = |body: &Value| body["reason"].as_str().is_some_and(|reason| reason.contains(culprit));
    let body = health_when(backend, &format!("{culprit} is named"), |status, body| status == 503 && named(body)).await;
    assert_eq!(body["status"], "unhealthy", "{body}");
    body
}

#[tokio::test(flavor = "multi_thread")]
async fn health_names_the_part_that_is_down_and_recovers() {
    let _alone = ALONE.lock().await;
    let mut backend = Backend::start(Options::default()).await;
    is_healthy(&backend).await;

    backend.redis.kill();
    is_unhealthy_because_of(&backend, "redis").await;
    backend.redis.restart().await.unwrap();
    is_healthy(&backend).await;

    backend.postgres.kill();
    let body = is_unhealthy_because_of(&backend, "postgres").await;
    assert_eq!(body["database"], "disconnected", "{body}");
    backend.postgres.restart().await.unwrap();
    is_healthy(&backend).await;

    for service in ["scoring", "scheduling", "ingestion"] {
        backend.signal(service, Signal::SIGKILL);
        is_unhealthy_because_of(&backend, service).await;
        backend.spawn(service);
        is_healthy(&backend).await;
    }
}
