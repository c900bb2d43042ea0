//! An HTTP/2 connection to a policy, at an address that was checked.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use h2::{
    Ping, PingPong,
    client::{Builder, SendRequest},
};
use http::{
    HeaderName, HeaderValue, Method, Request, Uri,
    header::{CONTENT_TYPE, TE, USER_AGENT},
    uri::{Authority, PathAndQuery, Scheme},
};
use kinitro_commitment::Endpoint;
use kinitro_domain::Cause;
use tokio::task::JoinHandle;

use super::{status::broken, stream::Stream};
use crate::{
    Fault,
    dial::{Io, dial},
    metered::Allowance,
    patience::answer_within,
    tls::Tls,
};

const METHOD_PATH: &str = "/kinitro.policy.v1.PolicyService/Play";

/// What is taken in before it is asked for, in bytes: of a stream and of a connection. The protocol's default.
const WINDOW: u32 = 65_535;

/// The most bytes of header or trailer lines.
const MAX_HEADER_BYTES: u32 = 16 * 1024;

/// What is handed to the connection and not yet to the operating system: two pictures and a little.
const SEND_BUFFER: usize = 64 * 1024;

/// A connection; dropping it closes it.
pub(super) struct Connection {
    requests: SendRequest<Bytes>,
    pings: PingPong,
    allowance: Allowance,
    /// Moves the bytes; ends with the connection, and says why, once.
    driver: Option<JoinHandle<Result<(), h2::Error>>>,
    /// Where it leads, for when it must be made again.
    addresses: Arc<[SocketAddr]>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        if let Some(driver) = &self.driver {
            driver.abort();
        }
    }
}

impl Connection {
    /// Connects to the first of the addresses that answers. That none does may be the network between.
    pub(super) async fn make(
        endpoint: &Endpoint,
        addresses: Arc<[SocketAddr]>,
        tls: &Tls,
        within: Duration,
    ) -> Result<Self, Fault> {
        let allowance = Allowance::new();
        let stream = dial(endpoint, &addresses, tls, b"h2", &allowance, within).await?;
        let late = || unreachable(format!("connected, and nothing was said within {within:?}"));
        answer_within(within, Some(&allowance), late, Self::speak(stream, allowance.clone(), addresses)).await
    }

    async fn speak(stream: impl Io, allowance: Allowance, addresses: Arc<[SocketAddr]>) -> Result<Self, Fault> {
        let handshake = Builder::new()
            .enable_push(false)
            .initial_window_size(WINDOW)
            .initial_connection_window_size(WINDOW)
            .max_header_list_size(MAX_HEADER_BYTES)
            .max_send_buffer_size(SEND_BUFFER)
            .handshake::<_, Bytes>(stream);
        let (requests, mut connection) = handshake.await.map_err(|error| not_reached(broken(&error)))?;
        let pings = connection.ping_pong().expect("nothing else asked for it");
        let driver = tokio::spawn(allowance.charge(connection));
        Ok(Self { requests, pings, allowance, driver: Some(driver), addresses })
    }

    /// Sends a PING and waits until it comes back: something speaks HTTP/2 there, now.
    pub(super) async fn prove(&mut self, within: Duration) -> Result<(), Fault> {
        self.allowance.renew();
        let late = || unreachable(format!("connected, and nothing answered within {within:?}"));
        answer_within(within, Some(&self.allowance.clone()), late, async {
            let Err(error) = self.pings.ping(Ping::opaque()).await else { return Ok(()) };
            // The connection knows more about its end than the PING does.
            let ended = match &mut self.driver {
                Some(driver) => driver.await.unwrap_or(Ok(())),
                None => Ok(()),
            };
            self.driver = None;
            Err(broken(ended.as_ref().err().unwrap_or(&error)))
        })
        .await
        .map_err(not_reached)
    }

    /// Begins a stream. An error means that nothing was sent.
    pub(super) async fn begin(&self, endpoint: &Endpoint) -> Result<Stream, h2::Error> {
        let mut requests = self.requests.clone().ready().await?;
        let (answer, outgoing) = requests.send_request(request(endpoint), false)?;
        Ok(Stream::new(answer, outgoing, self.allowance.clone()))
    }

    /// What may be read.
    pub(super) fn allowance(&self) -> Allowance {
        self.allowance.clone()
    }

    /// The addresses that were checked.
    pub(super) fn addresses(&self) -> Arc<[SocketAddr]> {
        self.addresses.clone()
    }
}

fn unreachable(what: String) -> Fault {
    Fault::new(Cause::PolicyUnreachable, what)
}

/// A connection that broke before anything was asked was none.
fn not_reached(fault: Fault) -> Fault {
    match fault.cause() {
        Cause::ConnectionClosed => fault.with_cause(Cause::PolicyUnreachable),
        _ => fault,
    }
}

fn request(endpoint: &Endpoint) -> Request<()> {
    let mut uri = http::uri::Parts::default();
    uri.scheme = Some(if endpoint.is_secure() { Scheme::HTTPS } else { Scheme::HTTP });
    uri.authority = Authority::try_from(endpoint.authority()).ok();
    uri.path_and_query = Some(PathAndQuery::from_static(METHOD_PATH));
    let mut request = Request::new(());
    *request.method_mut() = Method::POST;
    *request.uri_mut() = Uri::from_parts(uri).expect("scheme, authority and path of a URL that was parsed");
    for (name, value) in [
        (CONTENT_TYPE, "application/grpc"),
        (TE, "trailers"),
        (USER_AGENT, concat!("kinitro/", env!("CARGO_PKG_VERSION"))),
        (HeaderName::from_static("grpc-accept-encoding"), "identity"),
    ] {
        request.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    request
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        pin::Pin,
        task::{Context, Poll},
    };

    use nix::errno::Errno;
    use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

    use super::*;
    use crate::metered::Metered;

    /// A socket whose every use fails in this way.
    struct Failing(Errno);

    impl AsyncRead for Failing {
        fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Err(self.0.into()))
        }
    }

    impl AsyncWrite for Failing {
        fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
            Poll::Ready(Err(self.0.into()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Err(self.0.into()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Err(self.0.into()))
        }
    }

    #[tokio::test]
    async fn this_machines_own_errors_are_told_apart_behind_http_2() {
        for (errno, cause) in [
            (Errno::ENOBUFS, Cause::Executor),
            (Errno::ENOMEM, Cause::Executor),
            (Errno::ECONNRESET, Cause::PolicyUnreachable),
        ] {
            let allowance = Allowance::new();
            let failing = Metered::new(Failing(errno), allowance.clone());
            let made = Connection::speak(failing, allowance, Arc::new([])).await;
            assert_eq!(made.err().map(|fault| fault.cause()), Some(cause), "{errno}");
        }
    }
}
