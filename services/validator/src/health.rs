//! `GET /health` and `GET /metrics`.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    response::IntoResponse,
    routing::get,
};

use crate::status::Status;

/// The two routes.
pub fn routes(status: Arc<Status>) -> Router {
    Router::new().route("/health", get(health)).route("/metrics", get(metrics)).with_state(status)
}

async fn health(State(status): State<Arc<Status>>) -> impl IntoResponse {
    let (well, report) = status.report();
    (if well { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, Json(report))
}

async fn metrics() -> impl IntoResponse {
    ([(CONTENT_TYPE, "text/plain; version=0.0.4")], kinitro_chassis::render_metrics())
}
