//! How much a policy may have us read between two questions, everything included.
//!
//! Nothing in HTTP bounds all that a peer may say. In HTTP/1.1 interim answers, trailers and the extensions of chunks come before or after
//! what is wanted; in HTTP/2 PINGs, settings, priorities and frames of unknown kinds; in TLS tickets and empty records. Each costs work, and
//! a connection reads it also while no answer is waited for. So every byte below TLS, and every read, counts against an allowance that is
//! renewed by each question.
//!
//! A peer that sends as fast as it can must not keep the others of this thread waiting either: after [`TURN`] bytes at a stretch, reading
//! waits for its next turn. What the peer's bytes cost this machine all the same is counted ([`Allowance::cost`]), so that a standstill can
//! be told from one of our own.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use kinitro_domain::Cause;
use nix::time::{ClockId, clock_gettime};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::{
    Fault,
    grpc::MAX_REPLY_BYTES,
    http::MAX_RESPONSE_BYTES,
    local::{is_ours, our_fault},
};

/// The longest answer over either protocol.
const LONGEST_ANSWER: usize = if MAX_REPLY_BYTES > MAX_RESPONSE_BYTES { MAX_REPLY_BYTES } else { MAX_RESPONSE_BYTES };

/// The bytes that may come in until the next question: an answer in small pieces, header lines, certificates, and what keeps a connection
/// going.
const ALLOWANCE: usize = 4 * LONGEST_ANSWER;

/// The reads until the next question. The longest answer in the smallest segments that networks make is a tenth of it.
const READS: usize = 2048;

/// The bytes that are read at a stretch.
const TURN: usize = 64 * 1024;

/// The kind of an error of our own machine. HTTP passes on the kind of an error and not always its number.
const OURS: io::ErrorKind = io::ErrorKind::OutOfMemory;

/// What is left of an allowance, and what it cost. Clones are the same one.
#[derive(Clone)]
pub(crate) struct Allowance(Arc<Account>);

struct Account {
    bytes: AtomicUsize,
    reads: AtomicUsize,
    nanoseconds: AtomicU64,
}

impl Allowance {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Account {
            bytes: AtomicUsize::new(ALLOWANCE),
            reads: AtomicUsize::new(READS),
            nanoseconds: AtomicU64::new(0),
        }))
    }

    pub(crate) fn renew(&self) {
        self.0.bytes.store(ALLOWANCE, Ordering::Relaxed);
        self.0.reads.store(READS, Ordering::Relaxed);
    }

    /// What this connection has cost so far: the time that a processor worked on it.
    pub(crate) fn cost(&self) -> Duration {
        Duration::from_nanos(self.0.nanoseconds.load(Ordering::Relaxed))
    }

    /// Puts what a future costs on this account: it moves the bytes of the connection and does nothing else.
    pub(crate) fn charge<F: Future + Unpin>(&self, future: F) -> Charged<F> {
        Charged { future, account: self.0.clone() }
    }

    fn spend(&self, bytes: usize) -> io::Result<()> {
        for (left, cost) in [(&self.0.bytes, bytes), (&self.0.reads, 1)] {
            left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(cost))
                .map_err(|_| io::Error::from(io::ErrorKind::QuotaExceeded))?;
        }
        Ok(())
    }
}

/// A future whose cost is on an account.
pub(crate) struct Charged<F> {
    future: F,
    account: Arc<Account>,
}

impl<F: Future + Unpin> Future for Charged<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        // Of the processor and not of the clock: a thread that was not let run costs its peer nothing.
        let before = thread_time();
        let polled = Pin::new(&mut self.future).poll(context);
        let took = thread_time().saturating_sub(before).as_nanos();
        self.account.nanoseconds.fetch_add(u64::try_from(took).unwrap_or(u64::MAX), Ordering::Relaxed);
        polled
    }
}

fn thread_time() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map(Duration::from).unwrap_or_default()
}

/// A connection that ends with [`io::ErrorKind::QuotaExceeded`] when its allowance is used up. [`told`] reads its errors.
pub(crate) struct Metered<T> {
    inner: T,
    allowance: Allowance,
    /// Bytes since reading last had to wait.
    stretch: usize,
}

impl<T> Metered<T> {
    pub(crate) fn new(inner: T, allowance: Allowance) -> Self {
        Self { inner, allowance, stretch: 0 }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Metered<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.stretch >= TURN {
            self.stretch = 0;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.inner).poll_read(context, buffer);
        match &polled {
            Poll::Ready(Ok(())) => {
                let bytes = buffer.filled().len() - before;
                self.stretch += bytes;
                self.allowance.spend(bytes)?;
            }
            Poll::Ready(Err(_)) => {}
            Poll::Pending => self.stretch = 0,
        }
        polled.map_err(told_apart)
    }
}

fn told_apart(error: io::Error) -> io::Error {
    if is_ours(&error, &[]) { io::Error::new(OURS, error.to_string()) } else { error }
}

/// The fault of an error that [`Metered`] made or marked, whatever it travelled through.
pub(crate) fn told(error: &io::Error) -> Option<Fault> {
    match error.kind() {
        io::ErrorKind::QuotaExceeded => {
            let what =
                format!("the policy sent far more than an answer needs: over {ALLOWANCE} bytes or {READS} pieces");
            Some(Fault::new(Cause::ResponseTooLarge, what))
        }
        OURS => Some(our_fault(error)),
        _ => None,
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Metered<T> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(context, bytes).map_err(told_apart)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(context, parts).map_err(told_apart)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context).map_err(told_apart)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use tokio::io::AsyncReadExt as _;

    use super::*;

    #[tokio::test]
    async fn what_is_read_is_paid_for_until_the_allowance_is_renewed() {
        let allowance = Allowance::new();
        let mut metered = Metered::new(tokio::io::repeat(7), allowance.clone());
        let mut buffer = vec![0; ALLOWANCE];
        metered.read_exact(&mut buffer).await.unwrap();
        assert_eq!(metered.read(&mut buffer).await.unwrap_err().kind(), io::ErrorKind::QuotaExceeded);
        allowance.renew();
        metered.read_exact(&mut buffer).await.unwrap();
    }

    #[tokio::test]
    async fn small_pieces_are_paid_for_one_by_one() {
        let mut metered = Metered::new(tokio::io::repeat(7), Allowance::new());
        for _ in 0..READS {
            metered.read_u8().await.unwrap();
        }
        let error = metered.read_u8().await.unwrap_err();
        assert_eq!(told(&error).map(|fault| fault.cause()), Some(Cause::ResponseTooLarge));
    }

    #[tokio::test]
    async fn a_peer_that_always_has_more_lets_others_have_their_turn() {
        let allowance = Allowance::new();
        let mut metered = Metered::new(tokio::io::repeat(7), allowance.clone());
        let turns = Arc::new(AtomicUsize::new(0));
        let other = turns.clone();
        let other = tokio::spawn(async move {
            loop {
                other.fetch_add(1, Ordering::Relaxed);
                tokio::task::yield_now().await;
            }
        });
        let mut buffer = vec![0; 4096];
        for _ in 0..100 {
            allowance.renew();
            for _ in 0..TURN / buffer.len() {
                metered.read_exact(&mut buffer).await.unwrap();
            }
        }
        assert!(turns.load(Ordering::Relaxed) >= 50, "{turns:?}");
        other.abort();
    }

    #[tokio::test]
    #[expect(clippy::disallowed_methods, reason = "time passes without work")]
    async fn what_a_connection_costs_is_the_work_on_it_and_not_the_time_that_passes() {
        let allowance = Allowance::new();
        allowance.charge(Box::pin(async { std::thread::sleep(Duration::from_millis(300)) })).await;
        assert!(allowance.cost() < Duration::from_millis(200), "{:?}", allowance.cost());
        let worked = async {
            let until = thread_time() + Duration::from_millis(60);
            while thread_time() < until {}
        };
        allowance.charge(Box::pin(worked)).await;
        assert!(allowance.cost() >= Duration::from_millis(60), "{:?}", allowance.cost());
    }
}
