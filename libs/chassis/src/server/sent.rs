//! What of the answers is not sent yet.
//!
//! An answer is finished when its last byte was handed to the connection, not when its head was: an HTTP/2 client decides by its
//! windows when that is, and one that opens none keeps the rest in memory for as long as it likes. So bodies go out in small pieces,
//! each of which is known until the connection has written it, and what was taken for a request is kept until then
//! ([`hold_until_sent`]).

use std::{
    any::Any,
    collections::HashMap,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use axum::body::{Body, Bytes};
use http::Response;
use hyper::body::{Body as HttpBody, Frame, SizeHint};

/// A piece of a body: what a client has to take in the time that it may stall.
const PIECE: usize = 16 << 10;

type Guard = Box<dyn Any + Send + Sync>;

/// What is given back when an answer is sent.
#[derive(Clone, Default)]
struct Held(Arc<Mutex<Vec<Guard>>>);

/// Keeps `guard` until the last byte of this answer was handed to the connection, or the connection ended. A response that is not
/// sent by [`serve_http`](super::serve_http) keeps it until it is dropped.
pub fn hold_until_sent<B>(response: &mut Response<B>, guard: impl Send + Sync + 'static) {
    let held = response.extensions_mut().get_or_insert_default::<Held>();
    held.0.lock().unwrap_or_else(PoisonError::into_inner).push(Box::new(guard));
}

/// The answers of one connection that wait for its client.
#[derive(Default)]
pub(super) struct Answers {
    next: AtomicUsize,
    /// When each last got on.
    waiting: Mutex<HashMap<usize, Instant>>,
}

impl Answers {
    /// The longest time for which a client has taken nothing of an answer that is there.
    pub fn stalled(&self) -> Option<Duration> {
        self.waiting().values().map(Instant::elapsed).max()
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<usize, Instant>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One answer: kept by its body and by every piece of it.
struct Answer {
    id: usize,
    answers: Arc<Answers>,
    pieces: AtomicUsize,
    _guards: (Vec<Guard>, Guard),
}

impl Answer {
    fn piece_is_out(&self) {
        let mut waiting = self.answers.waiting();
        if self.pieces.fetch_add(1, Ordering::AcqRel) == 0 {
            waiting.insert(self.id, Instant::now());
        }
    }

    fn piece_is_sent(&self) {
        let mut waiting = self.answers.waiting();
        if self.pieces.fetch_sub(1, Ordering::AcqRel) == 1 {
            waiting.remove(&self.id);
        } else {
            waiting.insert(self.id, Instant::now());
        }
    }
}

/// Bytes on their way to the client.
struct Piece {
    bytes: Bytes,
    answer: Arc<Answer>,
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        self.answer.piece_is_sent();
    }
}

/// A body that goes out in pieces.
pub(super) struct SentBody {
    inner: Body,
    rest: Bytes,
    answer: Arc<Answer>,
}

impl SentBody {
    /// Takes over the response; `guard` is kept like those of [`hold_until_sent`].
    pub fn wrap(
        mut response: Response<Body>,
        answers: &Arc<Answers>,
        guard: impl Send + Sync + 'static,
    ) -> Response<Self> {
        let held = response.extensions_mut().remove::<Held>();
        let guards = held.map(|held| std::mem::take(&mut *held.0.lock().unwrap_or_else(PoisonError::into_inner)));
        let answer = Arc::new(Answer {
            id: answers.next.fetch_add(1, Ordering::Relaxed),
            answers: answers.clone(),
            pieces: AtomicUsize::new(0),
            _guards: (guards.unwrap_or_default(), Box::new(guard)),
        });
        response.map(|inner| Self { inner, rest: Bytes::new(), answer })
    }

    fn piece(&mut self) -> Frame<Bytes> {
        let bytes = self.rest.split_to(self.rest.len().min(PIECE));
        self.answer.piece_is_out();
        Frame::data(Bytes::from_owner(Piece { bytes, answer: self.answer.clone() }))
    }
}

impl HttpBody for SentBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.rest.is_empty() {
            match ready!(Pin::new(&mut self.inner).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.rest = data,
                    Err(other) => return Poll::Ready(Some(Ok(other))),
                },
                end => return Poll::Ready(end),
            }
        }
        Poll::Ready(Some(Ok(self.piece())))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (inner, rest) = (self.inner.size_hint(), self.rest.len() as u64);
        let mut hint = SizeHint::new();
        hint.set_lower(inner.lower().saturating_add(rest));
        if let Some(upper) = inner.upper() {
            hint.set_upper(upper.saturating_add(rest));
        }
        hint
    }
}
