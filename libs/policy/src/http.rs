//! Policies over HTTP: `GET /health`, `POST /reset`, `POST /act`.
//!
//! One episode is one connection. It is made by `/health` at the start, so that `/reset` and `/act` are measured against the action
//! timeout on a connection that stands, and it is kept alive until the episode ends. A pool shared by episodes would hand one miner's
//! slow handshake to another episode's action. HTTP/1.1 only: that is what policy servers speak, and one stream a connection leaves
//! little to attack.
//!
//! When a policy closes the connection between two calls (HTTP/1.0 servers do so after each answer), the next call makes a new one to
//! the same checked address, within that call's time. What hyper can prove not to have been sent at all is sent on the new connection;
//! anything else is [`Cause::ConnectionClosed`].

use std::{
    error::Error as _,
    io,
    net::SocketAddr,
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::future::{BoxFuture, FutureExt as _, ready};
use kinitro_domain::Cause;
use reqwest::{
    Client, Request, Response, StatusCode,
    dns::{Addrs, Name, Resolve, Resolving},
    header::{ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue},
};
use rustls_platform_verifier::BuilderVerifierExt as _;
use serde_json::json;
use tokio::time::timeout;
use uuid::Uuid;

use crate::{
    Action, ChannelSpec, Endpoint, Fault, Observation, Policy, Resolved, TaskConfig, encode_observation, parse_action,
    parse_reset,
};

/// The longest body of an answer.
pub const MAX_RESPONSE_BYTES: usize = 64 * 1024;

/// How much of the body of an answer with a wrong status is read, for the evidence.
const MAX_ERROR_BYTES: usize = 1024;

/// The most header lines of an answer. Their bytes are bounded by hyper, at about four kilobytes a line.
const MAX_HEADERS: usize = 64;

/// A timer that fires so much later than it was set for was not served: this process stood still.
const LATE: Duration = Duration::from_millis(50);

/// An idle connection is dropped before the five seconds after which common Python servers drop it themselves.
const IDLE: Duration = Duration::from_secs(4);

/// How policies are called.
#[derive(Debug, Clone, Copy)]
pub struct HttpConfig {
    /// Also call private, loopback and link-local addresses.
    pub allow_private: bool,
    /// For looking the name up, and again for TCP and TLS.
    pub connect_timeout: Duration,
    /// For each call, from sending to the last byte of the answer.
    pub action_timeout: Duration,
}

/// Opens conversations with policies.
pub struct HttpTransport {
    config: HttpConfig,
    tls: Result<rustls::ClientConfig, rustls::Error>,
}

/// A conversation with one policy, over one episode.
pub struct HttpPolicy {
    client: Client,
    endpoint: Endpoint,
    episode_id: Uuid,
    action_timeout: Duration,
    spec: &'static [ChannelSpec],
}

impl HttpTransport {
    /// Loads the certificates that the operating system trusts. Without any, `http` endpoints still work.
    pub fn new(config: HttpConfig) -> Self {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_platform_verifier())
            .map(|builder| builder.with_no_client_auth());
        if let Err(error) = &tls {
            tracing::warn!(%error, "no certificates to check https policies with; install ca-certificates");
        }
        Self { config, tls }
    }

    /// Checks an endpoint, connects to it and asks `/health`. Any answer will do: only what `/reset` and `/act` say counts.
    pub async fn open(&self, endpoint: &str, spec: &'static [ChannelSpec]) -> Result<HttpPolicy, Fault> {
        let HttpConfig { allow_private, connect_timeout, action_timeout } = self.config;
        let resolved = Endpoint::parse(endpoint)?.resolve(allow_private, connect_timeout).await?;
        let policy = self.connector(resolved, spec)?;
        let request = Request::new(reqwest::Method::GET, policy.endpoint.join("/health"));
        let answer = policy.exchange("/health", request, connect_timeout + action_timeout).await;
        // Nothing was heard of the policy in this episode yet: the network on our side may be to blame.
        answer.map_err(|fault| {
            let fault = policy.discreet(fault);
            match fault.cause() {
                Cause::ConnectionClosed => fault.with_cause(Cause::PolicyUnreachable),
                _ => fault,
            }
        })?;
        Ok(policy)
    }

    fn connector(&self, resolved: Resolved, spec: &'static [ChannelSpec]) -> Result<HttpPolicy, Fault> {
        let Resolved { endpoint, addresses } = resolved;
        let tls = self
            .tls
            .clone()
            .map_err(|error| Fault::new(Cause::Executor, format!("no TLS on this executor: {error}")))?;
        let episode_id = Uuid::new_v4();
        let episode_header = HeaderValue::try_from(episode_id.to_string()).expect("a UUID is printable ASCII");
        let headers = HeaderMap::from_iter([
            (HeaderName::from_static("x-episode-id"), episode_header),
            (ACCEPT, HeaderValue::from_static("application/json")),
            (ACCEPT_ENCODING, HeaderValue::from_static("identity")),
        ]);
        let client = Client::builder()
            .user_agent(concat!("kinitro/", env!("CARGO_PKG_VERSION")))
            .default_headers(headers)
            .tls_backend_preconfigured(tls)
            .dns_resolver(CheckedAddresses(addresses))
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .http1_only()
            .http1_max_headers(MAX_HEADERS)
            .connect_timeout(self.config.connect_timeout)
            .pool_max_idle_per_host(1)
            .pool_idle_timeout(IDLE)
            .tcp_nodelay(true)
            .build()
            .map_err(|error| Fault::new(Cause::Executor, format!("no HTTP client could be made: {}", chain(&error))))?;
        let action_timeout = self.config.action_timeout;
        Ok(HttpPolicy { client, endpoint, episode_id, action_timeout, spec })
    }
}

/// Resolves every name to the addresses that were checked.
struct CheckedAddresses(Vec<SocketAddr>);

impl Resolve for CheckedAddresses {
    fn resolve(&self, _: Name) -> Resolving {
        let addresses: Addrs = Box::new(self.0.clone().into_iter());
        ready(Ok(addresses)).boxed()
    }
}

impl Policy for HttpPolicy {
    fn reset<'a>(&'a mut self, task: &'a TaskConfig) -> BoxFuture<'a, Result<(), Fault>> {
        let TaskConfig { env_id, env_name, task_name, policy_seed } = task;
        let body = json!({"task_config": {
            "env_id": env_id, "env_name": env_name, "task_name": task_name, "seed": policy_seed,
            // Of the episode as the policy knows it; the backend's own task is none of its business.
            "task_id": self.episode_id.to_string(),
        }});
        async move {
            let answer = self.post("/reset", body.to_string().into_bytes()).await;
            answer.and_then(|answer| parse_reset(&answer)).map_err(|fault| self.discreet(fault))
        }
        .boxed()
    }

    fn act<'a>(&'a mut self, observation: &'a Observation) -> BoxFuture<'a, Result<Action, Fault>> {
        async move {
            let answer = self.post("/act", encode_observation(observation)).await;
            answer.and_then(|answer| parse_action(&answer, self.spec)).map_err(|fault| self.discreet(fault))
        }
        .boxed()
    }
}

impl HttpPolicy {
    /// The random id that travels in `X-Episode-Id`.
    pub fn episode_id(&self) -> Uuid {
        self.episode_id
    }

    /// Certificates and error pages name the host; evidence must not.
    fn discreet(&self, fault: Fault) -> Fault {
        fault.hiding(&self.endpoint.telling_names())
    }

    async fn post(&self, path: &'static str, body: Vec<u8>) -> Result<Vec<u8>, Fault> {
        let mut request = Request::new(reqwest::Method::POST, self.endpoint.join(path));
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        *request.body_mut() = Some(body.into());
        let Answer { status, encoded, body } = self.exchange(path, request, self.action_timeout).await?;
        if status.is_redirection() {
            return Err(Fault::new(Cause::Redirect, format!("{path} answered {status}; no redirect is followed")));
        }
        if !status.is_success() {
            return Err(Fault::quoting(Cause::HttpStatus, format!("{path} answered {status}"), &body));
        }
        if encoded {
            return Err(Fault::quoting(
                Cause::InvalidResponse,
                format!("{path} answered in a content encoding"),
                &body,
            ));
        }
        Ok(body)
    }

    async fn exchange(&self, path: &'static str, request: Request, within: Duration) -> Result<Answer, Fault> {
        let late = || Fault::new(Cause::ActionTimeout, format!("no complete answer to {path} within {within:?}"));
        let mut body = Vec::new();
        let mut head = None;
        let outcome = answer_within(within, async {
            let response = self.client.execute(request).await.map_err(|error| classify(path, &error))?;
            let (status, _) = *head.insert(of_interest(&response));
            read_body(path, response, status.is_success(), &mut body).await
        })
        .await;
        match (outcome, head) {
            (Some(Ok(())), Some((status, encoded))) => Ok(Answer { status, encoded, body }),
            // The status has decided already; the rest of the body would only have been evidence.
            (_, Some((status, encoded))) if !status.is_success() => Ok(Answer { status, encoded, body }),
            (Some(Err(fault)), _) => Err(fault),
            _ => Err(late()),
        }
    }
}

/// What came of an exchange; `None` when the time was over.
///
/// The time is the policy's. While this process stands still (it is stopped, its machine is suspended, other processes take all cores),
/// nobody takes the answer in, and afterwards its timers fire before the connection is read. So a timer that fires late is set
/// once more: a policy is blamed only after it had the whole time while somebody listened.
async fn answer_within<T>(within: Duration, exchange: impl Future<Output = T>) -> Option<T> {
    let mut exchange = pin!(exchange);
    loop {
        let set = Instant::now();
        if let Ok(outcome) = timeout(within, exchange.as_mut()).await {
            return Some(outcome);
        }
        let took = set.elapsed();
        if took < within + LATE {
            return None;
        }
        tracing::warn!(?within, ?took, "this process stood still while a policy was asked; it gets its time again");
    }
}

struct Answer {
    status: StatusCode,
    /// The body is compressed, although that was not asked for. It is not unpacked.
    encoded: bool,
    body: Vec<u8>,
}

fn of_interest(response: &Response) -> (StatusCode, bool) {
    let encoded = response.headers().get(CONTENT_ENCODING).is_some_and(|value| value != "identity");
    (response.status(), encoded)
}

async fn read_body(path: &str, mut response: Response, all: bool, body: &mut Vec<u8>) -> Result<(), Fault> {
    let too_large = |body: &[u8]| {
        Fault::quoting(
            Cause::ResponseTooLarge,
            format!("the answer to {path} is larger than {MAX_RESPONSE_BYTES} bytes"),
            body,
        )
    };
    if all && response.content_length().is_some_and(|length| length > MAX_RESPONSE_BYTES as u64) {
        return Err(too_large(body));
    }
    while let Some(chunk) = response.chunk().await.map_err(|error| classify(path, &error))? {
        body.extend_from_slice(&chunk);
        if all && body.len() > MAX_RESPONSE_BYTES {
            return Err(too_large(body));
        }
        if !all && body.len() >= MAX_ERROR_BYTES {
            break;
        }
    }
    Ok(())
}

/// What a failed exchange was. The URL is left out of the evidence.
fn classify(path: &str, error: &reqwest::Error) -> Fault {
    let mut source = error.source();
    let mut protocol = None;
    while let Some(inner) = source {
        protocol = protocol.or_else(|| inner.downcast_ref::<hyper::Error>());
        source = inner.source();
    }
    let what = chain(error);
    match protocol {
        Some(inner) if inner.is_parse_too_large() => {
            Fault::new(Cause::ResponseTooLarge, format!("the answer to {path} has more headers than are read: {what}"))
        }
        Some(inner) if inner.is_parse() => {
            Fault::new(Cause::InvalidResponse, format!("the answer to {path} is no HTTP: {what}"))
        }
        _ if error.is_connect() => Fault::new(Cause::ConnectionClosed, format!("no connection for {path}: {what}")),
        _ => Fault::new(Cause::ConnectionClosed, format!("the connection broke during {path}: {what}")),
    }
}

/// The messages of an error and its sources, without the outermost, which names the URL, and without addresses.
fn chain(error: &reqwest::Error) -> String {
    let mut messages: Vec<String> = Vec::new();
    let mut source = error.source();
    while let Some(inner) = source {
        let message = match inner.downcast_ref::<io::Error>() {
            Some(io) if io.get_ref().is_none() => io.kind().to_string(),
            _ => inner.to_string(),
        };
        if !messages.iter().any(|known| known.contains(&message)) {
            messages.push(message);
        }
        source = inner.source();
    }
    messages.join(": ")
}

#[cfg(test)]
mod tests {
    use tokio::time::sleep;

    use super::*;

    const WITHIN: Duration = Duration::from_millis(300);

    #[tokio::test]
    async fn a_standstill_of_this_process_is_not_the_policys_time() {
        let answer = async {
            sleep(Duration::from_millis(10)).await;
            // The only thread of this runtime.
            std::thread::sleep(2 * (WITHIN + LATE));
            // What came meanwhile is not read in the same moment.
            sleep(Duration::from_millis(10)).await;
            7
        };
        assert_eq!(answer_within(WITHIN, answer).await, Some(7));
    }

    #[tokio::test]
    async fn a_policy_that_never_answers_runs_out_of_time() {
        assert_eq!(answer_within(WITHIN, std::future::pending::<()>()).await, None);
    }
}
