//! Channels to other services: the one place that presents this process's credentials.

use std::{
    task::{Context, Poll},
    time::Duration,
};

use http::{HeaderValue, Request, Response, header::AUTHORIZATION};
use tonic::{
    body::Body,
    transport::{Channel, Endpoint, Error},
};
use tower::Service;

use super::MeshAccess;
use crate::ChassisError;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(10);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(5);

/// A channel that shows the mesh token with every call, where this process has one. Give it to no client of anything outside the
/// mesh.
#[derive(Debug, Clone)]
pub struct MeshChannel {
    channel: Channel,
    credentials: Option<HeaderValue>,
}

impl MeshAccess {
    /// A channel to a service of the mesh, as [`connect_lazy`] makes it, with our credentials.
    pub fn channel(&self, url: &str) -> Result<MeshChannel, ChassisError> {
        self.channel_within(url, REQUEST_TIMEOUT)
    }

    /// [`Self::channel`] with another limit for a call.
    pub fn channel_within(&self, url: &str, request_timeout: Duration) -> Result<MeshChannel, ChassisError> {
        let channel = connect_lazy_within(url, request_timeout)?;
        Ok(MeshChannel { channel, credentials: self.credentials() })
    }
}

impl Service<Request<Body>> for MeshChannel {
    type Response = Response<Body>;
    type Error = Error;
    type Future = <Channel as Service<Request<Body>>>::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.channel.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        if let Some(credentials) = &self.credentials {
            request.headers_mut().insert(AUTHORIZATION, credentials.clone());
        }
        self.channel.call(request)
    }
}

/// A channel without credentials: for what answers everyone, and for services that ask for none. It connects at the first call and
/// reconnects by itself, so services may start in any order.
///
/// A call fails with `Unavailable` when no connection can be made within 2 s, and with tonic's `Cancelled` when it
/// has no answer within 30 s ([`crate::ErrorCode::from_status`] tells it from other cancellations); a call that sets an earlier deadline keeps it. A stream counts as answered when it begins.
/// Use it with the interceptor [`crate::propagate`].
pub fn connect_lazy(url: &str) -> Result<Channel, ChassisError> {
    connect_lazy_within(url, REQUEST_TIMEOUT)
}

/// [`connect_lazy`] with another limit for a call.
pub fn connect_lazy_within(url: &str, request_timeout: Duration) -> Result<Channel, ChassisError> {
    let invalid = |reason: String| ChassisError::InvalidAddress { url: url.to_owned(), reason };
    let endpoint = Endpoint::from_shared(url.to_owned()).map_err(|error| invalid(error.to_string()))?;
    match (endpoint.uri().scheme_str(), endpoint.uri().host()) {
        (Some("http"), Some(_)) => {}
        (Some(scheme), Some(_)) => return Err(invalid(format!("services speak http among themselves, not {scheme}"))),
        _ => return Err(invalid("it has no scheme or no host".to_owned())),
    }
    Ok(endpoint
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(request_timeout)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(KEEP_ALIVE_INTERVAL)
        .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
        .keep_alive_while_idle(true)
        .http2_adaptive_window(true)
        .connect_lazy())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_address_that_is_no_service_is_refused_with_the_reason() {
        for url in ["", "localhost", "/only/a/path", "https://host:1", "http://", "ftp://host"] {
            let error = connect_lazy(url).expect_err(url).to_string();
            assert!(error.contains("http://host:port"), "{error}");
        }
        assert!(connect_lazy("http://127.0.0.1:1").is_ok());
    }
}
