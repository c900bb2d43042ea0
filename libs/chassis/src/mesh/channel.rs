//! Channels to other services.

use std::time::Duration;

use tonic::transport::{Channel, Endpoint};

use crate::ChassisError;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(10);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(5);

/// A channel that connects at the first call and reconnects by itself, so services may start in any order.
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
