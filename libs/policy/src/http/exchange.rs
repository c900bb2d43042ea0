//! One connection, one exchange: a request out, a bounded answer in, and what it means when there is none.

use std::{error::Error as _, io, net::SocketAddr, sync::Arc, time::Duration};

use futures::future::{FutureExt as _, ready};
use kinitro_domain::Cause;
use reqwest::{
    Client, Request, Response, StatusCode,
    dns::{Addrs, Name, Resolve, Resolving},
    header::{ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, HeaderMap, HeaderValue},
};

use crate::{
    Fault, TransportConfig,
    local::{is_ours, our_fault},
    patience::answer_within,
    tls::{Tls, discreet_text},
};

/// The longest body of an answer.
pub const MAX_RESPONSE_BYTES: usize = 64 * 1024;

/// How much of the body of an answer with a wrong status is read, for the evidence.
pub(super) const MAX_ERROR_BYTES: usize = 1024;

/// The most header lines of an answer. Their bytes are bounded by hyper, at about four kilobytes a line.
const MAX_HEADERS: usize = 64;

/// A client of one connection, which leads to these addresses whatever it is asked for.
pub(super) struct Caller {
    client: Client,
    addresses: Arc<[SocketAddr]>,
}

pub(super) struct Answer {
    pub(super) status: StatusCode,
    /// The body is compressed, although that was not asked for. It is not unpacked.
    pub(super) encoded: bool,
    pub(super) body: Vec<u8>,
}

/// Resolves every name to the addresses that were checked.
struct CheckedAddresses(Arc<[SocketAddr]>);

impl Resolve for CheckedAddresses {
    fn resolve(&self, _: Name) -> Resolving {
        let addresses: Addrs = Box::new(Vec::from(&*self.0).into_iter());
        ready(Ok(addresses)).boxed()
    }
}

impl Caller {
    pub(super) fn new(config: &TransportConfig, tls: &Tls, addresses: Arc<[SocketAddr]>) -> Result<Self, Fault> {
        let headers = HeaderMap::from_iter([
            (ACCEPT, HeaderValue::from_static("application/json")),
            (ACCEPT_ENCODING, HeaderValue::from_static("identity")),
        ]);
        let client = Client::builder()
            .user_agent(concat!("kinitro/", env!("CARGO_PKG_VERSION")))
            .default_headers(headers)
            .tls_backend_preconfigured(tls.config()?)
            .dns_resolver(CheckedAddresses(addresses.clone()))
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .http1_only()
            .http1_max_headers(MAX_HEADERS)
            .connect_timeout(config.connect_timeout)
            .pool_max_idle_per_host(1)
            // How long a connection rests is decided by whoever has the client.
            .pool_idle_timeout(None)
            .tcp_nodelay(true)
            .build()
            .map_err(|error| Fault::new(Cause::Executor, format!("no HTTP client could be made: {}", chain(&error))))?;
        Ok(Self { client, addresses })
    }

    /// The addresses that were checked.
    pub(super) fn addresses(&self) -> Arc<[SocketAddr]> {
        self.addresses.clone()
    }

    /// Sends a request and takes the answer in, all within a time. Of the body of an answer with a wrong status about `error_bytes` are read;
    /// when there are more, the connection ends.
    pub(super) async fn exchange(
        &self,
        path: &'static str,
        request: Request,
        error_bytes: usize,
        within: Duration,
    ) -> Result<Answer, Fault> {
        let late = || Fault::new(Cause::ActionTimeout, format!("no complete answer to {path} within {within:?}"));
        let mut body = Vec::new();
        let mut head = None;
        let outcome = answer_within(within, late, async {
            let response = self.client.execute(request).await.map_err(|error| self.classify(path, &error))?;
            let (status, _) = *head.insert(of_interest(&response));
            self.read_body(path, response, (!status.is_success()).then_some(error_bytes), &mut body).await
        })
        .await;
        match (outcome, head) {
            (Ok(()), Some((status, encoded))) => Ok(Answer { status, encoded, body }),
            // The status has decided already; the rest of the body would only have been evidence.
            (_, Some((status, encoded))) if !status.is_success() => Ok(Answer { status, encoded, body }),
            (Err(fault), _) => Err(fault),
            (Ok(()), None) => Err(late()),
        }
    }

    async fn read_body(
        &self,
        path: &str,
        mut response: Response,
        enough: Option<usize>,
        body: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        let too_large = |body: &[u8]| {
            Fault::quoting(
                Cause::ResponseTooLarge,
                format!("the answer to {path} is larger than {MAX_RESPONSE_BYTES} bytes"),
                body,
            )
        };
        if enough.is_none() && response.content_length().is_some_and(|length| length > MAX_RESPONSE_BYTES as u64) {
            return Err(too_large(body));
        }
        while let Some(chunk) = response.chunk().await.map_err(|error| self.classify(path, &error))? {
            body.extend_from_slice(&chunk);
            match enough {
                None if body.len() > MAX_RESPONSE_BYTES => return Err(too_large(body)),
                Some(enough) if body.len() > enough => break,
                _ => {}
            }
        }
        Ok(())
    }

    /// What a failed exchange was. The URL is left out of the evidence.
    fn classify(&self, path: &str, error: &reqwest::Error) -> Fault {
        let mut source = error.source();
        let mut protocol = None;
        while let Some(inner) = source {
            if let Some(error) = inner.downcast_ref::<io::Error>().filter(|error| is_ours(error, &self.addresses)) {
                return our_fault(error);
            }
            protocol = protocol.or_else(|| inner.downcast_ref::<hyper::Error>());
            source = inner.source();
        }
        let what = chain(error);
        match protocol {
            Some(inner) if inner.is_parse_too_large() => Fault::new(
                Cause::ResponseTooLarge,
                format!("the answer to {path} has more headers than are read: {what}"),
            ),
            Some(inner) if inner.is_parse() => {
                Fault::new(Cause::InvalidResponse, format!("the answer to {path} is no HTTP: {what}"))
            }
            _ if error.is_connect() => Fault::new(Cause::ConnectionClosed, format!("no connection for {path}: {what}")),
            _ => Fault::new(Cause::ConnectionClosed, format!("the connection broke during {path}: {what}")),
        }
    }
}

fn of_interest(response: &Response) -> (StatusCode, bool) {
    let encoded = response.headers().get(CONTENT_ENCODING).is_some_and(|value| value != "identity");
    (response.status(), encoded)
}

/// The messages of an error and its sources, without the outermost, which names the URL, and without addresses.
fn chain(error: &reqwest::Error) -> String {
    let mut messages: Vec<String> = Vec::new();
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_this_machine_has_no_route_to_is_not_the_policys_fault() {
        let patience = Duration::from_secs(5);
        let config = TransportConfig { allow_private: true, connect_timeout: patience, action_timeout: patience };
        let nowhere = "255.255.255.255:9".parse().unwrap();
        let caller = Caller::new(&config, &Tls::load(), Arc::new([nowhere])).unwrap();
        let request = Request::new(reqwest::Method::GET, "http://policy.example:9/health".parse().unwrap());
        let fault = caller.exchange("/health", request, MAX_ERROR_BYTES, patience).await.err().unwrap();
        assert_eq!(fault.cause(), Cause::Executor, "{fault}");
    }
}
