//! When two endpoints are the same one.
//!
//! A copy must not become another endpoint by being spelt otherwise. So a deployment is its UUID, under whatever URL it is
//! reached; anything else is a host, a port and a path, each in one spelling. The scheme does not count, and neither does which of
//! the two web ports it is: what a host serves on 80, it mostly serves on 443. A path is what the most lenient server makes of it,
//! for that server is the one to be copied; that two paths of one host are one by mistake costs little. Another name or port of the
//! same server is another endpoint: a text cannot tell.

use std::fmt;

use uuid::Uuid;

use crate::{DEPLOYMENTS, Endpoint, Host};

/// What an endpoint is, in whatever spelling. Ordered so that it can be a key. `Debug` does not show it, for it may have been
/// sealed.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EndpointIdentity(Inner);

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Inner {
    Deployment(Uuid),
    Server { host: Host, port: Port, path: Vec<u8> },
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Port {
    /// 80 or 443.
    Web,
    Other(u16),
}

impl fmt::Debug for EndpointIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EndpointIdentity(not shown)")
    }
}

impl Endpoint {
    /// What this endpoint is, in whatever spelling.
    pub fn identity(&self) -> EndpointIdentity {
        if let Some(uuid) = self.as_deployment() {
            return EndpointIdentity(Inner::Deployment(uuid));
        }
        let host = self.host();
        if let Host::Name(name) = &host
            && let Some(uuid) = deployment(name)
        {
            return EndpointIdentity(Inner::Deployment(uuid));
        }
        let port = match self.port() {
            80 | 443 => Port::Web,
            port => Port::Other(port),
        };
        EndpointIdentity(Inner::Server { host, port, path: canonical_path(&self.path_below("")) })
    }
}

/// The deployment that a host is, or is below.
fn deployment(host: &str) -> Option<Uuid> {
    let label = host.strip_suffix(DEPLOYMENTS)?.strip_suffix('.')?.rsplit('.').next()?;
    Uuid::try_parse(label).ok()
}

/// With every percent sign resolved, also those that come of it, and without empty, `.` and `..` segments.
fn canonical_path(path: &str) -> Vec<u8> {
    let mut plain = path.as_bytes().to_vec();
    // Each round that changes something leaves less, so there is a last one.
    while let Some(decoded) = without_percent_signs(&plain) {
        plain = decoded;
    }
    let mut segments: Vec<&[u8]> = Vec::new();
    // Windows servers take a backslash for a slash, and here it can come of a percent sign only.
    for segment in plain.split(|byte| b"/\\".contains(byte)) {
        match segment {
            b"" | b"." => {}
            b".." => drop(segments.pop()),
            _ => segments.push(segment),
        }
    }
    segments.join(&b'/')
}

/// With every percent sign that has two hex digits resolved; `None` when there is none.
fn without_percent_signs(text: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, tail @ ..] = rest {
        let escaped = match (first, tail) {
            (b'%', [high, low, tail @ ..]) => digit(high).zip(digit(low)).map(|(high, low)| (high * 16 + low, tail)),
            _ => None,
        };
        let (byte, tail) = escaped.unwrap_or((*first, tail));
        decoded.push(byte);
        rest = tail;
    }
    (decoded.len() < text.len()).then_some(decoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(text: &str) -> EndpointIdentity {
        text.parse::<Endpoint>().unwrap_or_else(|error| panic!("{text}: {error}")).identity()
    }

    #[test]
    fn a_deployment_is_its_uuid_under_whatever_url() {
        let uuid = "8a4cd2e1-36f7-4e0f-9b5d-0c1f2a3b4c5d";
        let deployment = identity(uuid);
        for text in [
            uuid.to_uppercase(),
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
            ("https://policy.example", "http://policy.example"),
            ("grpcs://policy.example:80", "https://policy.example/"),
            ("http://h:8000/a/b", "http://h:8000/a//b///"),
            ("http://h:8000/a/b", "http://h:8000/x/../a/./b"),
            ("http://h:8000/a-b", "http://h:8000/%61%2db"),
            ("http://h:8000/v1/policy", "http://h:8000/v1%2Fpolicy"),
            ("http://h:8000/v1/policy", "http://h:8000/v1%252fpolicy"),
            ("http://h:8000/v1/policy", "http://h:8000/v1%5cpolicy"),
            ("http://h:8000/v1/policy", "http://h:8000/%2F/v1/%2f%2fpolicy%2f"),
            ("http://h:8000/v1/policy", "http://h:8000/x%2f..%2Fv1/policy/y/%252e%25%32e"),
            ("http://h:8000/a!b", "http://h:8000/a%21b"),
            ("http://h:8000/a%20b", "http://h:8000/a%2520b"),
            ("http://h:8000/a%ffb", "http://h:8000/a%FFb"),
            ("http://h:8000", "http://h:8000/%2e%2e%2f.%2f"),
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
            "http://policy.example:8000",
            "http://policy.example:8443",
            "http://policy.example/a",
            "http://policy.example/A",
            "http://policy.example/ab",
            "http://policy.example/a/b",
            "http://policy.example/%+5",
            "http://policy.example/%05",
            "http://policy.example/%5",
            "http://policy.example/%ff",
            "http://policy.example/%fe",
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
