//! The answer to a call on its way out: its end is when the call is counted, and a stream's end when the server drains.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use axum::body::{Body, Bytes};
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::Code;
use tracing::Span;

use super::observe::grpc_code;
use crate::{ErrorCode, status};

/// Counts one call when dropped. A call that was dropped before it had a code was cancelled by its caller.
pub(super) struct Tally {
    service: &'static str,
    method: &'static str,
    started: Instant,
    code: Code,
    span: Span,
}

impl Tally {
    pub(super) fn new(service: &'static str, method: &'static str, span: Span) -> Self {
        Self { service, method, started: Instant::now(), code: Code::Cancelled, span }
    }

    pub(super) fn ended(&mut self, code: Code) {
        self.code = code;
    }
}

impl Drop for Tally {
    fn drop(&mut self) {
        let (service, method) = (self.service, self.method);
        let code = ErrorCode::from_grpc(self.code).map_or("Ok", ErrorCode::name);
        let elapsed = self.started.elapsed();
        metrics::counter!("kinitro_grpc_requests_total", "service" => service, "method" => method, "code" => code)
            .increment(1);
        metrics::histogram!("kinitro_grpc_request_seconds", "service" => service, "method" => method)
            .record(elapsed.as_secs_f64());
        self.span.in_scope(|| {
            tracing::debug!(service, method, code, elapsed_ms = elapsed.as_secs_f64() * 1e3, "call ended");
        });
    }
}

/// The body of an answer.
pub(super) struct CallBody {
    inner: Body,
    tally: Tally,
    closing: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
    ended: bool,
}

impl CallBody {
    /// With `ends_with`, the stream ends as `Unavailable` when the token is cancelled and nothing is left to send.
    pub(super) fn new(inner: Body, tally: Tally, ends_with: Option<CancellationToken>) -> Self {
        Self { inner, tally, closing: ends_with.map(|token| Box::pin(token.cancelled_owned())), ended: false }
    }
}

impl HttpBody for CallBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        match Pin::new(&mut self.inner).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(code) = frame.trailers_ref().and_then(grpc_code) {
                    self.tally.ended(code);
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(end) => {
                self.ended = true;
                Poll::Ready(end)
            }
            Poll::Pending => {
                let Some(closing) = &mut self.closing else { return Poll::Pending };
                std::task::ready!(closing.as_mut().poll(cx));
                self.ended = true;
                let status = status(ErrorCode::Unavailable, "DRAINING", "the service is shutting down; ask again");
                let (parts, ()) = status.into_http::<()>().into_parts();
                let mut trailers = parts.headers;
                trailers.remove(http::header::CONTENT_TYPE);
                self.tally.ended(Code::Unavailable);
                Poll::Ready(Some(Ok(Frame::trailers(trailers))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.ended || self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
