//! An HTTP/1.1 connection to a policy, which carries one request at a time.

use std::{error::Error as _, io, net::SocketAddr, time::Duration};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::{
    body::Incoming,
    client::conn::http1::{Builder, SendRequest},
};
use hyper_util::rt::TokioIo;
use kinitro_commitment::Endpoint;
use kinitro_domain::Cause;
use tokio::task::JoinHandle;

use super::exchange::MAX_RESPONSE_BYTES;
use crate::{
    Fault,
    dial::dial,
    local::{is_ours, our_fault},
    metered::{Allowance, told},
    tls::{Tls, discreet_text},
};

/// The most header lines of an answer.
const MAX_HEADERS: usize = 64;

/// The most bytes of an answer's status line and header lines, and of its trailers.
const MAX_HEADER_BYTES: usize = 16 * 1024;

/// A connection; dropping it closes it.
pub(super) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    /// Moves the bytes; ends with the connection.
    driver: JoinHandle<()>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// Why a request brought no answer.
pub(super) enum Failed {
    /// Nothing of the request was sent, so it may be sent on another connection.
    Unsent(Box<Request<Full<Bytes>>>),
    Sent(hyper::Error),
}

impl Connection {
    /// Connects to the first of the addresses that answers.
    pub(super) async fn make(
        endpoint: &Endpoint,
        addresses: &[SocketAddr],
        tls: &Tls,
        allowance: &Allowance,
        within: Duration,
    ) -> Result<Self, Fault> {
        allowance.renew();
        let stream = dial(endpoint, addresses, tls, b"http/1.1", allowance, within).await?;
        let handshake = Builder::new()
            .max_headers(MAX_HEADERS)
            .max_header_size(MAX_HEADER_BYTES)
            .max_buf_size(MAX_RESPONSE_BYTES)
            .handshake(TokioIo::new(stream));
        let (sender, connection) = handshake.await.map_err(|error| classify("the first question", &error))?;
        let charged = allowance.charge(connection);
        let driver = tokio::spawn(async move {
            // The caller is told the same by the answer that does not come.
            if let Err(error) = charged.await {
                tracing::debug!(error = %chain(&error), "a connection to a policy ended");
            }
        });
        Ok(Self { sender, driver })
    }

    /// Waits until the last answer is behind it; `false` when the connection has ended.
    pub(super) async fn stands(&mut self) -> bool {
        self.sender.ready().await.is_ok()
    }

    pub(super) async fn send(&mut self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, Failed> {
        self.sender.try_send_request(request).await.map_err(|mut error| match error.take_message() {
            Some(request) => Failed::Unsent(Box::new(request)),
            None => Failed::Sent(error.into_error()),
        })
    }
}

/// What a failed exchange was.
pub(super) fn classify(path: &str, error: &hyper::Error) -> Fault {
    let mut source = error.source();
    while let Some(inner) = source {
        if let Some(error) = inner.downcast_ref::<io::Error>() {
            match told(error) {
                Some(fault) => return fault,
                None if is_ours(error, &[]) => return our_fault(error),
                // What hyper found in the framing of a body.
                None if error.kind() == io::ErrorKind::InvalidData => {
                    let what = format!("the answer to {path} has more between its parts than is read: {error}");
                    return Fault::new(Cause::ResponseTooLarge, what);
                }
                None if error.kind() == io::ErrorKind::InvalidInput => {
                    return Fault::new(Cause::InvalidResponse, format!("the answer to {path} is no HTTP: {error}"));
                }
                None => {}
            }
        }
        source = inner.source();
    }
    let what = chain(error);
    if error.is_parse_too_large() {
        let what = format!("the answer to {path} has more headers than are read: {what}");
        return Fault::new(Cause::ResponseTooLarge, what);
    }
    if error.is_parse() {
        return Fault::new(Cause::InvalidResponse, format!("the answer to {path} is no HTTP: {what}"));
    }
    Fault::new(Cause::ConnectionClosed, format!("the connection broke during {path}: {what}"))
}

/// The messages of an error and its sources, without addresses.
fn chain(error: &hyper::Error) -> String {
    let mut messages = vec![error.to_string()];
    let mut source = error.source();
    while let Some(inner) = source {
        let message = discreet_text(inner);
        if !messages.iter().any(|known| known.contains(&message)) {
            messages.push(message);
        }
        source = inner.source();
    }
    messages.join(": ")
}
