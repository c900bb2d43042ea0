//! When two endpoints are the same one.
//!
//! A copy must not become another endpoint by being spelt otherwise. So a deployment is its UUID, under whatever URL it is
//! reached; anything else is a host, a port and a path, each in one spelling. The scheme does not count, except for the port that
//! it stands for. Another name for the same server is another endpoint: a text cannot tell.

use std::fmt;

use url::Host;
use uuid::Uuid;

use crate::{
    Endpoint,
    endpoint::{DEPLOYMENTS, EndpointUrl},
};

/// What an endpoint is, in whatever spelling. Ordered so that it can be a key. `Debug` does not show it, for it may have been
/// sealed.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EndpointIdentity(Inner);

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Inner {
    Deployment(Uuid),
    Server { host: String, port: u16, path: String },
}

impl fmt::Debug for EndpointIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EndpointIdentity(not shown)")
    }
}

impl Endpoint {
    /// What this endpoint is, in whatever spelling.
    pub fn identity(&self) -> EndpointIdentity {
        EndpointIdentity(match self {
            Self::Deployment(uuid) => Inner::Deployment(*uuid),
            Self::Url(url) => of_url(url),
        })
    }
}

fn of_url(url: &EndpointUrl) -> Inner {
    let url = url.as_http();
    let host = match url.host() {
        Some(Host::Domain(name)) => {
            let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
            if let Some(uuid) = deployment(&name) {
                return Inner::Deployment(uuid);
            }
            name
        }
        Some(Host::Ipv4(address)) => address.to_string(),
        Some(Host::Ipv6(address)) => address.to_canonical().to_string(),
        None => String::new(),
    };
    Inner::Server { host, port: url.port_or_known_default().unwrap_or_default(), path: canonical_path(url.path()) }
}

/// The deployment that a host is, or is below.
fn deployment(host: &str) -> Option<Uuid> {
    let label = host.strip_suffix(DEPLOYMENTS)?.strip_suffix('.')?.rsplit('.').next()?;
    Uuid::try_parse(label).ok()
}

/// Without empty segments; with characters that need no percent sign as themselves, and the hex digits of the others in capitals.
fn canonical_path(path: &str) -> String {
    let mut canonical = String::with_capacity(path.len());
    let mut rest = path;
    while let Some(character) = rest.chars().next() {
        let escaped =
            rest.get(1..3).filter(|_| character == '%').and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match escaped {
            Some(byte) if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) => canonical.push(char::from(byte)),
            Some(byte) => canonical.push_str(&format!("%{byte:02X}")),
            None if character == '/' && canonical.ends_with('/') => {}
            None => canonical.push(character),
        }
        rest = &rest[if escaped.is_some() { 3 } else { character.len_utf8() }..];
    }
    canonical.truncate(canonical.trim_end_matches('/').len());
    canonical
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn identity(text: &str) -> EndpointIdentity {
        text.parse::<Endpoint>().unwrap_or_else(|error| panic!("{text}: {error}")).identity()
    }

    #[test]
    fn a_deployment_is_its_uuid_under_whatever_url() {
        let uuid = "8a4cd2e1-36f7-4e0f-9b5d-0c1f2a3b4c5d";
        let deployment = identity(uuid);
        for text in [
            "8A4CD2E136F74E0F9B5D0C1F2A3B4C5D".to_owned(),
            format!("https://{uuid}.deployments.basilica.ai"),
            format!("http://{uuid}.deployments.basilica.ai:8080/v2/policy/"),
            format!("GRPCS://{}.Deployments.Basilica.AI.", uuid.to_uppercase()),
            format!("https://{}.deployments.basilica.ai", uuid.replace('-', "")),
            format!("https://www.{uuid}.deployments.basilica.ai"),
        ] {
            assert!(identity(&text) == deployment, "{text}");
        }
        for text in [
            format!("https://{uuid}.deployments.basilica.ai.example"),
            format!("https://{uuid}.deployments-basilica.ai"),
            format!("https://{uuid}deployments.basilica.ai"),
            "https://deployments.basilica.ai".to_owned(),
            format!("https://{}.deployments.basilica.ai", uuid.replace('8', "9")),
        ] {
            assert!(identity(&text) != deployment, "{text}");
        }
    }

    #[test]
    fn a_server_is_its_host_port_and_path_in_any_spelling() {
        for (one, same) in [
            ("http://policy.example", "HTTP://POLICY.EXAMPLE:80/"),
            ("http://policy.example", "http://policy.example."),
            ("http://policy.example", "grpc://policy.example:80"),
            ("https://policy.example", "grpcs://policy.example"),
            ("https://policy.example", "http://policy.example:443"),
            ("http://h:8000/a/b", "http://h:8000/a//b///"),
            ("http://h:8000/a/b", "http://h:8000/x/../a/./b"),
            ("http://h:8000/a-b", "http://h:8000/%61%2db"),
            ("http://h:8000/a%2fb", "http://h:8000/a%2Fb"),
            ("http://[2606:4700:0:0::1]", "http://[2606:4700::1]"),
            ("http://1.2.3.4:8000", "http://[::ffff:1.2.3.4]:8000"),
        ] {
            assert!(identity(one) == identity(same), "{one} {same}");
        }
    }

    #[test]
    fn another_host_port_or_path_is_another_endpoint() {
        let texts = [
            "http://policy.example",
            "https://policy.example",
            "http://policy.example:8000",
            "http://policy.example/a",
            "http://policy.example/A",
            "http://policy.example/a%2Fb",
            "http://policy.example/a/b",
            "http://www.policy.example",
            "http://1.2.3.4",
            "http://1.2.3.5",
        ];
        for (index, one) in texts.iter().enumerate() {
            for other in &texts[..index] {
                assert!(identity(one) != identity(other), "{one} {other}");
            }
        }
    }

    #[test]
    fn an_identity_is_not_shown() {
        assert_eq!(format!("{:?}", identity("http://secret.example")), "EndpointIdentity(not shown)");
    }
}
