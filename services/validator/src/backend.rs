//! Asking the backend for the newest weights, within bounds of time and size.
//!
//! The answer is taken from the address in the settings and nowhere else: no redirect is followed and no proxy is used. An answer's
//! entity tag is sent along the next time only when the answer made sense, so that nonsense is never "not modified".

use std::{sync::Arc, time::Duration};

use http::{
    HeaderValue, StatusCode,
    header::{ACCEPT, CONTENT_ENCODING, CONTENT_TYPE, ETAG, IF_NONE_MATCH, LOCATION},
};
use reqwest::{Client, Response, redirect::Policy};
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt as _;
use url::Url;

use crate::{
    Config, Error, Refusal,
    check::{Published, check},
    document::{Document, brief},
};

/// Twelve thousand miners have room in it; a subnet has 256.
const BODY_LIMIT: usize = 1024 * 1024;
/// The gateway's entity tags have 34 characters.
const TAG_LIMIT: usize = 256;

/// What the backend said.
#[derive(Debug, PartialEq)]
pub enum Answer {
    /// Weights that make sense by themselves.
    New(Published),
    /// Those of the last [`Answer::New`].
    Unchanged,
    /// There are none yet.
    NoneYet,
}

/// Why there is no answer.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum Fault {
    /// No answer, or not all of it in time.
    #[error("the backend cannot be reached: {0}")]
    Unreachable(String),
    /// An answer that is none to the question.
    #[error("the backend answers {0}")]
    Unexpected(String),
    /// Weights that make no sense.
    #[error("the backend's weights are refused: {0}")]
    Refused(#[from] Refusal),
}

impl Fault {
    /// The label of the metric.
    pub fn cause(&self) -> &'static str {
        match self {
            Self::Unreachable(_) => "unreachable",
            Self::Unexpected(_) => "unexpected",
            Self::Refused(refusal) => refusal.cause(),
        }
    }
}

/// A backend.
pub struct Backend {
    client: Client,
    url: Url,
    /// The entity tag of the last answer that made sense.
    tag: Option<HeaderValue>,
}

impl Backend {
    /// The backend of the settings.
    pub fn new(config: &Config) -> Result<Self, Error> {
        let url = config.weights_url().map_err(Error::Config)?;
        if url.scheme() == "http" && !is_loopback(&url) {
            tracing::warn!(%url, "the backend is asked without TLS: whoever is on the way can change the weights");
        }
        let client = Client::builder()
            .tls_backend_preconfigured(tls(url.scheme() == "https")?)
            .no_proxy()
            .redirect(Policy::none())
            .timeout(Duration::from_secs(config.request_timeout_seconds))
            .user_agent(concat!("kinitro-validator/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| Error::Tls(error.to_string()))?;
        Ok(Self { client, url, tag: None })
    }

    /// Asks once.
    pub async fn poll(&mut self) -> Result<Answer, Fault> {
        let mut request = self.client.get(self.url.clone()).header(ACCEPT, "application/json");
        if let Some(tag) = &self.tag {
            request = request.header(IF_NONE_MATCH, tag.clone());
        }
        let mut response = request.send().await.map_err(|error| Fault::Unreachable(why(&error)))?;
        match response.status() {
            StatusCode::OK => {}
            StatusCode::NOT_MODIFIED if self.tag.is_some() => return Ok(Answer::Unchanged),
            StatusCode::NOT_MODIFIED => {
                return Err(Fault::Unexpected("304, although it was not told what is known".to_owned()));
            }
            StatusCode::NOT_FOUND => return Ok(Answer::NoneYet),
            status if status.is_redirection() => {
                let to = response.headers().get(LOCATION).and_then(|to| to.to_str().ok()).unwrap_or("nowhere");
                let to = brief(to);
                return Err(Fault::Unexpected(format!(
                    "{status} and points to {to}; set backend_url to where the weights are"
                )));
            }
            status => return Err(Fault::Unexpected(status.to_string())),
        }
        check_headers(&response)?;
        let tag = response.headers().get(ETAG).filter(|tag| tag.len() <= TAG_LIMIT).cloned();
        // Whatever comes now is something else than before.
        self.tag = None;
        let body = read(&mut response).await?;
        let published = check(Document::parse(&body)?)?;
        self.tag = tag;
        Ok(Answer::New(published))
    }
}

fn check_headers(response: &Response) -> Result<(), Fault> {
    let header = |name| response.headers().get(name).map(|value| brief(&String::from_utf8_lossy(value.as_bytes())));
    let kind = header(CONTENT_TYPE).unwrap_or_default();
    let essence = kind.split(';').next().unwrap_or_default().trim();
    if !essence.eq_ignore_ascii_case("application/json") {
        return Err(Fault::Unexpected(format!("with content of type {kind:?} in place of application/json")));
    }
    match header(CONTENT_ENCODING) {
        Some(encoding) if !encoding.eq_ignore_ascii_case("identity") => {
            Err(Fault::Unexpected(format!("with content encoded as {encoding:?}, which was not asked for")))
        }
        _ => Ok(()),
    }
}

async fn read(response: &mut Response) -> Result<Vec<u8>, Fault> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| Fault::Unreachable(why(&error)))? {
        if body.len() + chunk.len() > BODY_LIMIT {
            return Err(Fault::Unexpected(format!("with more than {BODY_LIMIT} bytes")));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// The error and its causes; reqwest's own text leaves them away.
fn why(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    brief(&text)
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Certificates are checked as the operating system would. Without any, a backend without TLS can still be asked.
fn tls(needed: bool) -> Result<ClientConfig, Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = || ClientConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions();
    let verified = builder().and_then(|builder| builder.with_platform_verifier());
    match verified {
        Ok(builder) => Ok(builder.with_no_client_auth()),
        Err(error) if needed => Err(Error::Tls(error.to_string())),
        Err(_) => builder()
            .map(|builder| builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth())
            .map_err(|error| Error::Tls(error.to_string())),
    }
}
