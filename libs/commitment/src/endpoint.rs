//! Where a policy is reached.
//!
//! An [`Endpoint`] exists only when the parser (`parse.rs`) took its text, so what is asked of it here needs no checks. Whether an
//! address that is written out may be contacted is [`Endpoint::check_address`]; what a name resolves to is the executor's question,
//! asked when it connects.

use std::{fmt, net::IpAddr};

use kinitro_domain::check_address;
use url::{Host as UrlHost, Url};
use uuid::Uuid;

use crate::EndpointError;

/// The domain below which deployments are reached: `https://<uuid>.deployments.basilica.ai`.
pub const DEPLOYMENTS: &str = "deployments.basilica.ai";

/// What a policy speaks. The endpoint's scheme says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// `http` and `https`: JSON, a request a step.
    Http,
    /// `grpc` and `grpcs`: a stream an episode.
    Grpc,
}

/// Where a policy is reached: a deployment at the hosting provider of this subnet, or a base URL. A base URL is `http` or `https`, a
/// host, perhaps a port and a path; or `grpc` or `grpcs`, a host, perhaps a port. It has no user, query or fragment and no slash at its
/// end. Without a port it is 80, and 443 with TLS, for either protocol.
///
/// Equal are two that are written alike, up to what the URL standard makes one; what leads to the same server is
/// [`Endpoint::identity`].
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// It is written as this UUID alone.
    deployment: Option<Uuid>,
    protocol: Protocol,
    /// With `http` or `https`, whatever the scheme is: of a scheme that it does not know, the URL standard reads hosts by other rules.
    url: Url,
}

impl Endpoint {
    /// A deployment.
    pub fn deployment(uuid: Uuid) -> Self {
        let url = Url::parse(&format!("https://{uuid}.{DEPLOYMENTS}")).expect("a UUID is a part of a host name");
        Self { deployment: Some(uuid), protocol: Protocol::Http, url }
    }

    /// Of the parser. The URL has the scheme `http` or `https` and a host, and was checked.
    pub(crate) fn checked(protocol: Protocol, url: Url) -> Self {
        Self { deployment: None, protocol, url }
    }

    /// The deployment, where it is written as one. One that is written as its URL is found by [`Endpoint::identity`].
    pub fn as_deployment(&self) -> Option<Uuid> {
        self.deployment
    }

    /// What is spoken there.
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// Whether it is spoken over TLS.
    pub fn is_secure(&self) -> bool {
        self.url.scheme() == "https"
    }

    /// The base URL, without a slash at the end. Of a deployment too.
    pub fn url(&self) -> String {
        let rest = self.url.as_str().trim_start_matches(self.url.scheme()).trim_end_matches('/');
        let scheme = match (self.protocol, self.is_secure()) {
            (Protocol::Http, false) => "http",
            (Protocol::Http, true) => "https",
            (Protocol::Grpc, false) => "grpc",
            (Protocol::Grpc, true) => "grpcs",
        };
        format!("{scheme}{rest}")
    }

    /// Host and port as a request names them; the port is left out where it is the default.
    pub fn authority(&self) -> &str {
        self.url.authority()
    }

    /// The host as it is looked up and as certificates name it: in small letters, with the dot at its end if it has one, an IPv6
    /// address without brackets. To compare hosts take [`Endpoint::host`].
    pub fn host_text(&self) -> &str {
        self.url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']')
    }

    /// The port, also where none is written.
    pub fn port(&self) -> u16 {
        self.url.port_or_known_default().expect("http and https have a default port")
    }

    /// The address, where it is written in place of a name.
    pub fn address(&self) -> Option<IpAddr> {
        match self.url.host() {
            Some(UrlHost::Ipv4(address)) => Some(address.into()),
            Some(UrlHost::Ipv6(address)) => Some(address.into()),
            Some(UrlHost::Domain(_)) | None => None,
        }
    }

    /// The path of what lies below the endpoint: of `/act` it is `/base/act`.
    pub fn path_below(&self, path: &str) -> String {
        format!("{}{path}", self.url.path().trim_end_matches('/'))
    }

    /// Whether an address that is written out, or `localhost`, may be contacted: the executor's rule, as far as the text tells.
    ///
    /// # Errors
    /// What kind of address it is; not which.
    pub fn check_address(&self, allow_private: bool) -> Result<(), EndpointError> {
        let kind = match self.address() {
            Some(address) => check_address(address, allow_private).err().map(|kind| kind.to_string()),
            None if !allow_private && is_localhost(self.host_text()) => Some("localhost".to_owned()),
            None => None,
        };
        kind.map_or(Ok(()), |kind| Err(EndpointError::Address { kind }))
    }
}

/// RFC 6761: the name and everything below it.
fn is_localhost(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    name.rsplit('.').next() == Some("localhost")
}

/// As in a commitment: the UUID alone, or the URL.
impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.deployment {
            Some(uuid) => uuid.fmt(f),
            None => f.write_str(&self.url()),
        }
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Endpoint(not shown)")
    }
}
