//! Around every request: a span in the caller's trace, an access log line, figures, a limit of time and number, and a
//! net under panics.

use std::{
    net::SocketAddr,
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    extract::{ConnectInfo, MatchedPath, Request, State},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use futures::FutureExt as _;
use http::{HeaderValue, Method, StatusCode, header};
use http_body::Body as _;
use kinitro_chassis::{continue_trace, current_traceparent, hold_until_sent};
use kinitro_transcode::{Problem, RequestId, RouteInfo};
use tracing::Instrument as _;

use crate::slots::{Sizes, Slots};

/// A request may take this long in all, the reading of its body included. The calls behind it have less.
const REQUEST_LIMIT: Duration = Duration::from_secs(40);
const TRACEPARENT: &str = "traceparent";
/// A path in the log is cut after this many bytes.
const SHOWN_PATH: usize = 200;
/// An answer that takes as long is logged whatever it says.
const SLOW: Duration = Duration::from_secs(1);

/// How many requests may be under way at once, and for how long.
#[derive(Clone)]
pub(crate) struct Limits {
    slots: Arc<Slots>,
    time: Duration,
}

impl Limits {
    pub fn new(sizes: Sizes) -> Self {
        Self { slots: Arc::new(Slots::new(sizes)), time: REQUEST_LIMIT }
    }
}

#[cfg(test)]
impl Default for Limits {
    fn default() -> Self {
        Self::new(Sizes::default())
    }
}

/// The span, the log line and the figures. It stands outside of everything that can fail.
pub(crate) async fn observe(mut request: Request, next: Next) -> Response {
    let begin = Instant::now();
    let method = method_label(request.method());
    let path = request.uri().path();
    let path: String = path.get(..path.len().min(SHOWN_PATH)).unwrap_or_default().to_owned();
    let id = request.extensions().get::<RequestId>().map(|id| id.as_str().to_owned()).unwrap_or_default();
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0.to_string()).unwrap_or_default();
    let matched = request.extensions().get::<MatchedPath>().map(|matched| matched.as_str().to_owned());

    let span = tracing::info_span!("request", otel.kind = "server", method, path, request_id = id);
    if let Some(given) = request.headers().get(TRACEPARENT).and_then(|value| value.to_str().ok()) {
        continue_trace(given, &span);
    }
    // The services continue from this span; without a tracer they get what the caller sent.
    if let Some(value) = span.in_scope(current_traceparent).and_then(|text| HeaderValue::try_from(text).ok()) {
        request.headers_mut().insert(TRACEPARENT, value);
    }
    let response = next.run(request).instrument(span.clone()).await;

    let template = response.extensions().get::<RouteInfo>().map(|route| route.template.to_string());
    let route = template.or(matched).unwrap_or_else(|| "unmatched".to_owned());
    let (status, took) = (response.status().as_u16(), begin.elapsed());
    metrics::counter!(
        "kinitro_http_requests_total", "route" => route.clone(), "method" => method, "status" => status.to_string()
    )
    .increment(1);
    metrics::histogram!("kinitro_http_request_seconds", "route" => route.clone(), "method" => method)
        .record(took.as_secs_f64());
    let reason = response.extensions().get::<Problem>().map_or("", Problem::reason);
    let milliseconds = took.as_secs_f64() * 1000.0;
    // `/health` says 503 of others, every few seconds.
    let shown = (status >= 400 && route != "/health") || took >= SLOW;
    span.in_scope(|| match shown {
        true => tracing::info!(route, status, milliseconds, peer, reason, "answered"),
        false => tracing::debug!(route, status, milliseconds, peer, reason, "answered"),
    });
    response
}

/// The limits, and the net under panics.
pub(crate) async fn protect(State(limits): State<Limits>, request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0.ip());
    let Some(mut slot) = limits.slots.take(peer) else {
        return overloaded("too many requests are under way, in all or from this address; try again");
    };
    let guarded = AssertUnwindSafe(next.run(request)).catch_unwind();
    let mut response = match tokio::time::timeout(limits.time, guarded).await {
        Ok(Ok(response)) => response,
        Ok(Err(panic)) => {
            let said = panic.downcast_ref::<&str>().copied().or(panic.downcast_ref::<String>().map(String::as_str));
            tracing::error!(panic = said.unwrap_or("without a message"), "a handler panicked");
            Problem::internal().into_response()
        }
        Err(_) => {
            let detail = "the request was not complete in time; send the body faster";
            Problem::new(StatusCode::REQUEST_TIMEOUT, "REQUEST_TIMEOUT", detail).into_response()
        }
    };
    let bytes = response.body().size_hint().lower();
    if !slot.hold(usize::try_from(bytes).unwrap_or(usize::MAX)) {
        return overloaded(
            "too many bytes wait for clients that do not take them, in all or at this address; try again",
        );
    }
    hold_until_sent(&mut response, slot);
    response
}

fn overloaded(detail: &'static str) -> Response {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "OVERLOADED", detail)
        .with_header(header::RETRY_AFTER, HeaderValue::from_static("1"))
        .into_response()
}

/// Methods are free text on the wire; a label is not.
fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "OTHER",
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use axum::{Router, body::Body, middleware, routing::get};
    use kinitro_transcode::complete_exchange;
    use tower::ServiceExt as _;

    use super::*;

    async fn ask(limits: Limits, path: &str) -> (u16, String) {
        let router = Router::new()
            .route("/panics", get(|| async { if true { panic!("secret detail") } else { "" } }))
            .route("/hangs", get(std::future::pending::<&'static str>))
            .layer(middleware::from_fn_with_state(limits, protect))
            .layer(middleware::from_fn(complete_exchange));
        let response = router.oneshot(Request::get(path).body(Body::empty()).unwrap()).await.unwrap();
        let status = response.status().as_u16();
        let body = axum::body::to_bytes(response.into_body(), 4096).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn a_panic_becomes_a_problem_without_its_words() {
        let (status, body) = ask(Limits::default(), "/panics").await;
        assert_eq!(status, 500);
        assert!(body.contains("urn:kinitro:problem:internal") && !body.contains("secret"), "{body}");
    }

    #[tokio::test]
    async fn a_request_that_takes_too_long_is_ended() {
        let (status, body) = ask(Limits { time: Duration::from_millis(20), ..Limits::default() }, "/hangs").await;
        assert_eq!(status, 408);
        assert!(body.contains("urn:kinitro:problem:request-timeout"), "{body}");
    }

    #[tokio::test]
    async fn more_requests_than_slots_are_refused() {
        let none = Sizes { requests: 0, ..Sizes::default() };
        let (status, body) = ask(Limits::new(none), "/hangs").await;
        assert_eq!(status, 503);
        assert!(body.contains("urn:kinitro:problem:overloaded"), "{body}");
    }
}
