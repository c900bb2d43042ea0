//! The sockets, which can be cut: all of them, or the one that a transaction came over.
//!
//! jsonrpsee knows how to serve a stream and how to stop in good order. A node that fails does neither, so each socket is
//! wrapped in one that breaks when it is told to: nothing more is read from it or written to it, and it closes.

use std::{
    collections::HashMap,
    future::Future,
    io,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use jsonrpsee::server::{Methods, Server, ServerConfig, StopHandle, serve_with_graceful_shutdown};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::watch,
};

use crate::faults::Faults;

/// How long to wait when no connection can be accepted, as when the process has too many files open.
const PAUSE: Duration = Duration::from_millis(50);

/// The connections of one server that are open; clones are the same connections.
#[derive(Clone, Default)]
pub(crate) struct Connections {
    open: Arc<Mutex<HashMap<usize, watch::Sender<bool>>>>,
    last: Arc<AtomicU32>,
}

impl Connections {
    fn open(&self) -> MutexGuard<'_, HashMap<usize, watch::Sender<bool>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Breaks one connection.
    pub(crate) fn cut(&self, id: usize) {
        if let Some(cut) = self.open().get(&id) {
            cut.send_replace(true);
        }
    }

    fn wrap(&self, stream: TcpStream, faults: &Faults) -> (u32, Socket) {
        let id = self.last.fetch_add(1, Ordering::Relaxed);
        let (sender, cut) = watch::channel(false);
        self.open().insert(id as usize, sender);
        let drops = faults.connection_drops();
        let (mut told, mut dropped) = (cut.clone(), drops.clone());
        let broken = Box::pin(async move {
            // Neither sender goes away before the socket.
            tokio::select! { _ = told.wait_for(|cut| *cut) => {}, _ = dropped.changed() => {} }
        });
        (id, Socket { stream, id: id as usize, connections: self.clone(), cut, drops, broken })
    }
}

/// Accepts connections until the server stops.
pub(crate) async fn accept(
    listener: TcpListener,
    config: ServerConfig,
    methods: Methods,
    connections: Connections,
    faults: Faults,
    stop: StopHandle,
) {
    let service = Server::builder().set_config(config).to_service_builder();
    let stopped = stop.clone().shutdown();
    tokio::pin!(stopped);
    loop {
        let stream = tokio::select! {
            () = &mut stopped => return,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::debug!(%error, "a connection was not accepted");
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            },
        };
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection went away at once");
            continue;
        }
        let (id, socket) = connections.wrap(stream, &faults);
        let service = service.clone().connection_id(id).build(methods.clone(), stop.clone());
        let stopped = stop.clone().shutdown();
        tokio::spawn(async move {
            if let Err(error) = serve_with_graceful_shutdown(socket, service, stopped).await {
                tracing::debug!(%error, "a connection failed");
            }
        });
    }
}

/// A socket that breaks when it is told to.
struct Socket {
    stream: TcpStream,
    id: usize,
    connections: Connections,
    /// Whether this connection was cut.
    cut: watch::Receiver<bool>,
    /// Changes when every connection that is open then breaks.
    drops: watch::Receiver<u64>,
    /// Ends with either.
    broken: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl Socket {
    fn whole(&self) -> io::Result<()> {
        let broken = *self.cut.borrow() || self.drops.has_changed().unwrap_or(true);
        if broken { Err(io::ErrorKind::ConnectionReset.into()) } else { Ok(()) }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.connections.open().remove(&self.id);
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.whole()?;
        // A server always waits for the next request, so this is where it hears that the connection broke.
        if self.broken.as_mut().poll(context).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.whole()?;
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.whole()?;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
