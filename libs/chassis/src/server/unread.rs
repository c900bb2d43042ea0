//! Request bodies that were answered without being read.
//!
//! Over HTTP/1 the next request comes behind the body of this one. What is left of a small body is read, so that the connection can go
//! on; otherwise the answer says `connection: close`, so that the client does not send its next request into a closed connection.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use axum::body::Bytes;
use http::{HeaderMap, HeaderValue, Response, header};
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};

/// How much of an unread body is read and thrown away, and for how long.
const WORTH: u64 = 256 << 10;
const PATIENCE: Duration = Duration::from_secs(2);

/// Where a body goes that was dropped before its end.
#[derive(Clone, Default)]
pub(super) struct Unread(Arc<Mutex<Option<Left>>>);

struct Left {
    body: Incoming,
    begun: bool,
}

/// A request body that is kept when it is dropped early.
pub(super) struct Tracked {
    body: Option<Incoming>,
    begun: bool,
    unread: Unread,
}

impl Unread {
    pub fn track(&self, body: Incoming) -> Tracked {
        Tracked { body: Some(body), begun: false, unread: self.clone() }
    }

    /// Reads the rest of the body, or makes the answer say that the connection closes.
    pub async fn settle<B>(&self, asked: &HeaderMap, response: &mut Response<B>) {
        let left = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(Left { mut body, begun }) = left else { return };
        // A client that waits for `100 Continue` has not sent the body, and will not.
        let waits = !begun && asked.contains_key(header::EXPECT);
        let worth = !waits && body.size_hint().lower() <= WORTH;
        if worth && matches!(tokio::time::timeout(PATIENCE, read_to_end(&mut body)).await, Ok(true)) {
            return;
        }
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
}

/// Whether the end came within what is worth reading.
async fn read_to_end(body: &mut Incoming) -> bool {
    let mut read = 0;
    while read <= WORTH {
        match std::future::poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await {
            None => return true,
            Some(Ok(frame)) => read += frame.data_ref().map_or(0, |data| data.len() as u64),
            Some(Err(_)) => return false,
        }
    }
    false
}

impl HttpBody for Tracked {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        self.begun = true;
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let polled = Pin::new(body).poll_frame(cx);
        if matches!(polled, Poll::Ready(None | Some(Err(_)))) {
            self.body = None;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), HttpBody::size_hint)
    }
}

impl Drop for Tracked {
    fn drop(&mut self) {
        if let Some(body) = self.body.take().filter(|body| !body.is_end_stream()) {
            *self.unread.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Left { body, begun: self.begun });
        }
    }
}
