//! Where a policy is reached, as far as its text can tell.
//!
//! The text is hostile. What an HTTP client, a resolver and a reader could understand differently (user names, backslashes, hosts
//! in percent signs, IPv4 addresses in octal, a third slash) is refused here, each with its sentence. Whether an address that is
//! written out may be contacted is [`Endpoint::check_address`]; what a name resolves to is the executor's question, asked when it
//! connects.

use std::{borrow::Cow, fmt, str::FromStr};

use kinitro_domain::check_address;
use url::{Host, ParseError, Url};
use uuid::Uuid;

/// Where deployments are reached: `https://<uuid>.deployments.basilica.ai`.
pub(crate) const DEPLOYMENTS: &str = "deployments.basilica.ai";

/// The scheme as it is written, and the one whose rules hold for host and port.
const SCHEMES: &[(&str, &str)] = &[("http", "http"), ("https", "https"), ("grpc", "http"), ("grpcs", "https")];

/// Where a policy is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// A deployment at the hosting provider of this subnet.
    Deployment(Uuid),
    /// An `http` or `https` URL: a host, perhaps a port and a path; or a `grpc` or `grpcs` URL: a host, perhaps a port.
    Url(EndpointUrl),
}

/// A base URL: no user, query or fragment, and no slash at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointUrl {
    scheme: &'static str,
    /// With `http` or `https`, whatever the scheme is: of a scheme that it does not know, the URL standard reads hosts by other
    /// rules.
    url: Url,
}

/// Why a text is no endpoint; a sentence for people. It never contains the endpoint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the endpoint {0}")]
pub struct EndpointError(Cow<'static, str>);

impl Endpoint {
    /// The base URL, without a slash at the end.
    pub fn url(&self) -> String {
        match self {
            Self::Deployment(uuid) => format!("https://{uuid}.{DEPLOYMENTS}"),
            Self::Url(url) => url.to_string(),
        }
    }

    /// Whether an address that is written out, or `localhost`, may be contacted: the executor's rule, as far as the text tells.
    ///
    /// # Errors
    /// What kind of address it is; not which.
    pub fn check_address(&self, allow_private: bool) -> Result<(), EndpointError> {
        let Self::Url(url) = self else { return Ok(()) };
        let checked = match url.url.host() {
            Some(Host::Ipv4(address)) => check_address(address.into(), allow_private).map_err(|kind| kind.to_string()),
            Some(Host::Ipv6(address)) => check_address(address.into(), allow_private).map_err(|kind| kind.to_string()),
            Some(Host::Domain(name)) if !allow_private && is_localhost(name) => Err("localhost".to_owned()),
            _ => Ok(()),
        };
        checked.map_err(|kind| EndpointError(format!("leads to an address that is not called: {kind}").into()))
    }
}

/// RFC 6761: the name and everything below it.
fn is_localhost(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    name.rsplit('.').next() == Some("localhost")
}

impl EndpointUrl {
    /// The URL, with `http` for `grpc` and `https` for `grpcs`.
    pub(crate) fn as_http(&self) -> &Url {
        &self.url
    }
}

impl fmt::Display for EndpointUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rest = self.url.as_str().trim_start_matches(self.url.scheme()).trim_end_matches('/');
        write!(f, "{}{rest}", self.scheme)
    }
}

fn refused<T>(why: &'static str) -> Result<T, EndpointError> {
    Err(EndpointError(Cow::Borrowed(why)))
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() {
            return refused("is empty");
        }
        if let Ok(uuid) = Uuid::try_parse(text) {
            // Elsewhere the text itself becomes a part of the host name, so that another spelling would lead to another host.
            return match text.len() == uuid::fmt::Hyphenated::LENGTH {
                true => Ok(Self::Deployment(uuid)),
                false => refused("is a UUID in another spelling: write it in groups of 8-4-4-4-12 digits with dashes"),
            };
        }
        // URL parsers read it as a slash, resolvers do not.
        if text.contains('\\') {
            return refused("has characters that a URL cannot have: a backslash");
        }
        // The URL parser would drop tabs and line ends silently, and write the others in another way.
        if !text.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"<>^`{|}".contains(&byte)) {
            return refused("has characters that a URL cannot have");
        }
        text.parse().map(Self::Url)
    }
}

impl FromStr for EndpointUrl {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (scheme, rest) = text.split_once("://").unwrap_or((text, ""));
        let Some(&(scheme, reads_as)) = SCHEMES.iter().find(|(known, _)| scheme.eq_ignore_ascii_case(known)) else {
            return refused("is neither a deployment's UUID nor an http, https, grpc or grpcs URL");
        };
        // The parser would skip further slashes and take what follows for the host.
        if rest.is_empty() || rest.starts_with('/') {
            return refused("names no host");
        }
        if rest.contains('@') {
            return refused("holds a user name or password, which everybody could read");
        }
        if rest.contains(['?', '#']) {
            return refused("has a query or a fragment; it must be a base URL");
        }
        let authority = rest.split('/').next().unwrap_or_default();
        if authority.contains('%') {
            return refused("has a host in percent signs; write the name or address plainly");
        }
        let mut url = Url::parse(&format!("{reads_as}://{rest}")).map_err(|error| EndpointError(sentence(error)))?;
        check_host(&url, authority)?;
        if scheme.starts_with("grpc") && url.path() != "/" {
            return refused("has a path, which gRPC has no place for");
        }
        if url.port() == Some(0) {
            return refused("has port 0");
        }
        let path = url.path().trim_end_matches('/').to_owned();
        url.set_path(&path);
        Ok(Self { scheme, url })
    }
}

fn sentence(error: ParseError) -> Cow<'static, str> {
    Cow::Borrowed(match error {
        ParseError::EmptyHost => "names no host",
        ParseError::InvalidPort => "is no valid URL: its port is none",
        ParseError::IdnaError => "has an internationalised host name that is damaged",
        ParseError::InvalidIpv4Address => "has a host that ends in a number and is no IPv4 address",
        ParseError::InvalidIpv6Address => "has a host in brackets that is no IPv6 address",
        ParseError::InvalidDomainCharacter => "has a host with characters that no name has",
        _ => "is no valid URL",
    })
}

/// `authority` is what was written: host, perhaps a port.
fn check_host(url: &Url, authority: &str) -> Result<(), EndpointError> {
    match url.host() {
        None | Some(Host::Domain("")) => refused("names no host"),
        Some(Host::Domain(name)) => {
            let labels = name.strip_suffix('.').unwrap_or(name);
            let known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
            if !labels.bytes().all(known) {
                return refused("has a host with characters that no name has");
            }
            if !labels.split('.').all(|label| (1..=63).contains(&label.len())) {
                return refused("has a host with a part that is empty or longer than 63 characters");
            }
            Ok(())
        }
        Some(Host::Ipv4(address)) => {
            let written = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
            if written == address.to_string() {
                Ok(())
            } else {
                refused("has an IPv4 address that is not written as four decimal numbers")
            }
        }
        Some(Host::Ipv6(_)) => Ok(()),
    }
}

/// As in a commitment: the UUID alone, or the URL.
impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Deployment(uuid) => uuid.fmt(f),
            Self::Url(url) => url.fmt(f),
        }
    }
}

#[cfg(test)]
#[path = "endpoint_tests.rs"]
mod tests;
