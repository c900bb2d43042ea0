//! Where a policy is reached, as far as its text can tell. Whether the address behind a URL may be contacted is the executor's
//! question, asked when it connects.

use std::{fmt, str::FromStr};

use url::Url;
use uuid::Uuid;

/// Where deployments are reached: `https://<uuid>.deployments.basilica.ai`.
const DEPLOYMENTS: &str = "deployments.basilica.ai";

/// Where a policy is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// A deployment at the hosting provider of this subnet.
    Deployment(Uuid),
    /// An `http` or `https` URL: a host, perhaps a port and a path; or a `grpc` or `grpcs` URL: a host, perhaps a port. No user, query or
    /// fragment.
    Url(Url),
}

/// Why a text is no endpoint; a sentence for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the endpoint {0}")]
pub struct EndpointError(&'static str);

impl Endpoint {
    /// The base URL, without a slash at the end.
    pub fn url(&self) -> String {
        match self {
            Self::Deployment(uuid) => format!("https://{uuid}.{DEPLOYMENTS}"),
            Self::Url(url) => url.as_str().trim_end_matches('/').to_owned(),
        }
    }
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() {
            return Err(EndpointError("is empty"));
        }
        // The URL parser would drop tabs and line ends silently, and read a backslash as a slash.
        if !text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\') {
            return Err(EndpointError("has characters that a URL cannot have"));
        }
        if matches!(text.len(), 32 | 36)
            && let Ok(uuid) = Uuid::try_parse(text)
        {
            return Ok(Self::Deployment(uuid));
        }
        let lower = text.get(..8).unwrap_or(text).to_ascii_lowercase();
        let grpc = lower.starts_with("grpc://") || lower.starts_with("grpcs://");
        if !grpc && !lower.starts_with("http://") && !lower.starts_with("https://") {
            return Err(EndpointError("is neither a deployment's UUID nor an http, https, grpc or grpcs URL"));
        }
        let url = Url::parse(text).map_err(|_| EndpointError("is no valid URL"))?;
        // The parser would skip further slashes and take what follows for the host.
        if url.host_str().is_none_or(str::is_empty) || text.contains(":///") {
            return Err(EndpointError("names no host"));
        }
        if !url.username().is_empty() || url.password().is_some() || text.contains('@') {
            return Err(EndpointError("holds a user name or password, which everybody could read"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(EndpointError("has a query or a fragment; it must be a base URL"));
        }
        if grpc && !matches!(url.path(), "" | "/") {
            return Err(EndpointError("has a path, which gRPC has no place for"));
        }
        if url.port() == Some(0) {
            return Err(EndpointError("has port 0"));
        }
        Ok(Self::Url(url))
    }
}

/// As in a commitment: the UUID alone, or the URL.
impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Deployment(uuid) => uuid.fmt(f),
            Self::Url(_) => f.write_str(&self.url()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_deployment_has_its_url() {
        let endpoint: Endpoint = "8A4CD2E1-36f7-4e0f-9b5d-0c1f2a3b4c5d".parse().unwrap();
        assert_eq!(endpoint.url(), "https://8a4cd2e1-36f7-4e0f-9b5d-0c1f2a3b4c5d.deployments.basilica.ai");
    }

    #[test]
    fn urls_keep_host_port_and_path() {
        for (text, url) in [
            ("http://127.0.0.1:9001", "http://127.0.0.1:9001"),
            ("https://policy.example/", "https://policy.example"),
            ("HTTPS://Policy.Example:443/a/b/", "https://policy.example/a/b"),
            ("http://[::1]:8000", "http://[::1]:8000"),
            ("grpc://policy.example:50051/", "grpc://policy.example:50051"),
            ("GRPCS://policy.example", "grpcs://policy.example"),
            ("grpc://[::1]:50051", "grpc://[::1]:50051"),
        ] {
            assert_eq!(text.parse::<Endpoint>().unwrap().url(), url);
        }
    }

    #[test]
    fn what_is_no_base_url_is_refused() {
        for bad in [
            "",
            "abc",
            "ftp://host",
            "file:///etc/passwd",
            "http://",
            "http:///x",
            "http:host",
            "http:\\\\host",
            "http://a b",
            "http://ho\tst",
            "http://user@host",
            "http://u:p@host",
            "http://@host",
            "http://host?x=1",
            "http://host#f",
            "http://host:0",
            "http://host:99999",
            "http://b\u{fc}cher.example",
            "javascript:alert(1)",
            "grpc://",
            "grpc:///x",
            "grpc:host",
            "grpc://host/path",
            "grpc://user@host",
            "grpcs://host?x=1",
            "grpcs://host:0",
            "grpc://host:99999",
        ] {
            assert!(bad.parse::<Endpoint>().is_err(), "{bad:?}");
        }
    }
}
