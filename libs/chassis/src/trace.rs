//! The trace context on its way: over gRPC in headers, through the queue as a string.
//!
//! The format is W3C `traceparent` (version 00). Nothing a peer sends can do more than fail to be understood.

use opentelemetry::{
    propagation::{Extractor, TextMapPropagator},
    trace::TraceContextExt,
};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tonic::{Request, Status, metadata::MetadataValue};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

const TRACEPARENT: &str = "traceparent";

/// A client interceptor that sends the current trace along: `Client::with_interceptor(channel, propagate)`.
pub fn propagate(mut request: Request<()>) -> Result<Request<()>, Status> {
    if let Some(value) = current_traceparent().and_then(|text| MetadataValue::try_from(text).ok()) {
        request.metadata_mut().insert(TRACEPARENT, value);
    }
    Ok(request)
}

/// The current span as a `traceparent`, `None` outside any traced span.
pub fn current_traceparent() -> Option<String> {
    let context = Span::current().context();
    let span = context.span();
    let span = span.span_context();
    span.is_valid().then(|| format!("00-{}-{}-{:02x}", span.trace_id(), span.span_id(), span.trace_flags().to_u8()))
}

/// Makes `span` a part of the trace that `traceparent` names. Call it before the span is entered; a text that is no
/// `traceparent` leaves the span with a trace of its own.
pub fn continue_trace(traceparent: &str, span: &Span) {
    struct Header<'a>(&'a str);
    impl Extractor for Header<'_> {
        fn get(&self, key: &str) -> Option<&str> {
            (key == TRACEPARENT).then_some(self.0)
        }
        fn keys(&self) -> Vec<&str> {
            vec![TRACEPARENT]
        }
    }
    let context = TraceContextPropagator::new().extract(&Header(traceparent));
    // Without a tracer there is no trace to continue; a started span keeps its own.
    if context.span().span_context().is_valid()
        && let Err(error) = span.set_parent(context)
    {
        tracing::debug!(%error, "the trace was not continued");
    }
}

/// The trace id of a span as 32 hex digits, `None` without a tracer.
pub(crate) fn trace_id(span: &Span) -> Option<String> {
    let context = span.context();
    let span = context.span();
    let span = span.span_context();
    span.is_valid().then(|| span.trace_id().to_string())
}
