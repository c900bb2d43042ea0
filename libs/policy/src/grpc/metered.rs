//! How much a policy may say between two questions, everything included.
//!
//! Flow control bounds the data that is taken in unasked. Nothing in HTTP/2 bounds the rest: PINGs, settings, priorities and frames of unknown
//! kinds cost work each, and a connection reads them also while nobody waits. So every byte counts against an allowance that is
//! renewed by each question.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::stream::MAX_REPLY_BYTES;
use crate::local::is_ours;

/// The bytes that may come in until the next question: a reply in small frames, header lines, and what keeps a connection going.
const ALLOWANCE: usize = 4 * MAX_REPLY_BYTES;

/// The kind of an error of our own machine. HTTP/2 passes on the kind of an error and not its number.
pub(super) const OURS: io::ErrorKind = io::ErrorKind::OutOfMemory;

/// What is left of an allowance. Clones are the same one.
#[derive(Clone)]
pub(super) struct Allowance(Arc<AtomicUsize>);

impl Allowance {
    pub(super) fn new() -> Self {
        Self(Arc::new(AtomicUsize::new(ALLOWANCE)))
    }

    pub(super) fn renew(&self) {
        self.0.store(ALLOWANCE, Ordering::Relaxed);
    }

    fn spend(&self, bytes: usize) -> io::Result<()> {
        let spent = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(bytes));
        spent.map(drop).map_err(|_| io::ErrorKind::QuotaExceeded.into())
    }
}

/// A connection that ends with [`io::ErrorKind::QuotaExceeded`] when its allowance is used up, and with [`OURS`] when this machine failed.
pub(super) struct Metered<T> {
    pub(super) inner: T,
    pub(super) allowance: Allowance,
}

impl<T: AsyncRead + Unpin> AsyncRead for Metered<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.inner).poll_read(context, buffer);
        if let Poll::Ready(Ok(())) = polled {
            self.allowance.spend(buffer.filled().len() - before)?;
        }
        polled.map_err(told_apart)
    }
}

fn told_apart(error: io::Error) -> io::Error {
    if is_ours(&error, &[]) { io::Error::new(OURS, error.to_string()) } else { error }
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
        let mut metered = Metered { inner: tokio::io::repeat(7), allowance: allowance.clone() };
        let mut buffer = vec![0; ALLOWANCE];
        metered.read_exact(&mut buffer).await.unwrap();
        assert_eq!(metered.read(&mut buffer).await.unwrap_err().kind(), io::ErrorKind::QuotaExceeded);
        allowance.renew();
        metered.read_exact(&mut buffer).await.unwrap();
    }
}
