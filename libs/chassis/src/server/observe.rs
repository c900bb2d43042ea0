//! The layer around every gRPC call: trace, metrics, credentials, deadline, bound on concurrency, panics.

use std::{any::Any, sync::Arc, time::Duration};

use axum::{
    extract::{Request, State},
    http::{HeaderMap, header::HeaderName},
    middleware::Next,
    response::Response,
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Instant,
};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status};
use tracing::{Instrument, field::Empty, info_span};

use super::{
    body::{CallBody, Tally},
    methods,
    sent::hold_until_sent,
};
use crate::{ErrorCode, MeshAccess, continue_trace, status, supervisor::panic_text, trace::trace_id};

const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const OTHER: &str = "other";

/// What all calls of a server share.
pub(super) struct Observer {
    access: MeshAccess,
    unary_limit: Duration,
    calls: Arc<Semaphore>,
    streams: Arc<Semaphore>,
    closing: CancellationToken,
}

impl Observer {
    pub(super) fn new(
        access: MeshAccess,
        unary_limit: Duration,
        concurrency: usize,
        closing: CancellationToken,
    ) -> Self {
        Self {
            access,
            unary_limit,
            calls: Arc::new(Semaphore::new(concurrency)),
            streams: Arc::new(Semaphore::new(concurrency)),
            closing,
        }
    }
}

pub(super) async fn observe(State(observer): State<Arc<Observer>>, request: Request, next: Next) -> Response {
    let method = methods::find(request.uri().path());
    let (service, name) = method.map_or((OTHER, OTHER), |method| (&method.service, &method.name));
    let span = info_span!(
        "call",
        otel.kind = "server",
        rpc.service = service,
        rpc.method = name,
        caller = Empty,
        trace_id = Empty
    );
    if let Some(traceparent) = request.headers().get(TRACEPARENT).and_then(|value| value.to_str().ok()) {
        continue_trace(traceparent, &span);
    }
    if let Some(id) = trace_id(&span) {
        span.record("trace_id", id);
    }
    let mut tally = Tally::new(service, name, span.clone());
    // Before anything is waited for: who may not call takes no place from those who may.
    match observer.access.identify(request.headers(), method.is_some_and(|method| method.for_everyone)) {
        Ok(caller) => {
            span.record("caller", caller.name());
        }
        Err(status) => {
            tally.ended(status.code());
            return refusal(status);
        }
    }
    let asked = request.headers().get(GRPC_TIMEOUT).and_then(|value| parse_timeout(value.as_bytes()));
    let limit = match (asked, method.is_some_and(|method| method.streaming)) {
        (Some(asked), false) => Some(asked.min(observer.unary_limit)),
        (None, false) => Some(observer.unary_limit),
        (asked, true) => asked,
    };
    let admitted = async {
        if method.is_some_and(|method| method.streaming) {
            // A stream may live for days, so waiting for another one's end is no use.
            let Ok(permit) = observer.streams.clone().try_acquire_owned() else {
                return refusal(status(ErrorCode::ResourceExhausted, "TOO_MANY_STREAMS", "too many streams are open"));
            };
            return held(next.run(request).await, permit);
        }
        let permit = observer.calls.clone().acquire_owned().await.expect("the semaphore is never closed");
        held(next.run(request).await, permit)
    }
    .instrument(span);
    let response = match limit {
        None => admitted.await,
        Some(limit) => tokio::time::timeout_at(Instant::now() + limit, admitted).await.unwrap_or_else(|_| {
            let message = format!("no answer within {} ms", limit.as_millis());
            refusal(status(ErrorCode::DeadlineExceeded, "DEADLINE_EXCEEDED", message))
        }),
    };
    if let Some(code) = grpc_code(response.headers()) {
        tally.ended(code);
    }
    let ends_with = method.filter(|method| method.streams_answers).map(|_| observer.closing.clone());
    response.map(|body| axum::body::Body::new(CallBody::new(body, tally, ends_with)))
}

/// The call counts until its answer is sent: until then it costs memory.
fn held(mut response: Response, permit: OwnedSemaphorePermit) -> Response {
    hold_until_sent(&mut response, permit);
    response
}

/// The answer to a call whose handler panicked.
#[expect(clippy::needless_pass_by_value, reason = "the signature is tower-http's")]
pub(super) fn panicked(panic: Box<dyn Any + Send>) -> Response {
    tracing::error!(panic = panic_text(panic.as_ref()), "a handler panicked");
    refusal(status(ErrorCode::Internal, "PANIC", "the call failed because of a defect; the log has the details"))
}

fn refusal(status: Status) -> Response {
    status.into_http()
}

pub(super) fn grpc_code(headers: &HeaderMap) -> Option<Code> {
    headers.get("grpc-status").map(|value| Code::from_bytes(value.as_bytes()))
}

/// `grpc-timeout`: at most eight digits and a unit. What is not one is ignored, the server's own limit holds.
fn parse_timeout(value: &[u8]) -> Option<Duration> {
    let (unit, digits) = value.split_last()?;
    if digits.is_empty() || digits.len() > 8 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let count: u64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    match unit {
        b'H' => Some(Duration::from_secs(count * 3600)),
        b'M' => Some(Duration::from_secs(count * 60)),
        b'S' => Some(Duration::from_secs(count)),
        b'm' => Some(Duration::from_millis(count)),
        b'u' => Some(Duration::from_micros(count)),
        b'n' => Some(Duration::from_nanos(count)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_are_read_in_every_unit_and_nonsense_is_ignored() {
        for (text, expected) in [
            ("2H", Some(Duration::from_secs(7200))),
            ("3M", Some(Duration::from_secs(180))),
            ("10S", Some(Duration::from_secs(10))),
            ("99999999m", Some(Duration::from_millis(99_999_999))),
            ("5u", Some(Duration::from_micros(5))),
            ("5n", Some(Duration::from_nanos(5))),
            ("", None),
            ("S", None),
            ("123456789S", None),
            ("-1S", None),
            ("1x", None),
            ("1.5S", None),
        ] {
            assert_eq!(parse_timeout(text.as_bytes()), expected, "{text}");
        }
    }
}
