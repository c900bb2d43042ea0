//! A policy's address as its miner committed it: read once, resolved once, checked before anything connects.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use http::uri::Authority;
use kinitro_domain::{Cause, check_address};
use tokio::time::timeout;
use url::Url;

use crate::{Fault, names, patience::answer_within, tcp};

/// The longest endpoint, in bytes.
const MAX_ENDPOINT_BYTES: usize = 2048;

/// More addresses than this under one name are not looked at.
pub(crate) const MAX_ADDRESSES: usize = 32;

/// What a policy speaks. The endpoint's scheme says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// `http` and `https`: JSON, a request a step.
    Http,
    /// `grpc` and `grpcs`: a stream an episode.
    Grpc,
}

/// A base URL that may be called as far as its text tells: `http` or `https`, a host, perhaps a path; or `grpc` or `grpcs` and a host; no
/// user, query or fragment. Paths such as `/act` are appended to it. Without a port it is 80, and 443 with TLS, for either protocol.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// With the scheme `http` or `https`, whatever the protocol is.
    url: Url,
    protocol: Protocol,
    /// Where it is led, whatever its name says.
    pinned: Option<SocketAddr>,
}

/// An endpoint and the addresses that were found and checked. Whoever connects uses these and does not resolve again, so that a name
/// cannot mean one thing when it is checked and another when it is called.
pub struct Resolved {
    /// What is called.
    pub endpoint: Endpoint,
    /// Where it is reached; never empty.
    pub addresses: Vec<SocketAddr>,
}

impl Endpoint {
    /// Reads an endpoint. A refusal is a fault of the miner, who committed it.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        let refused = |why: &str| Err(Fault::new(Cause::EndpointRefused, format!("the committed endpoint {why}")));
        if text.is_empty() {
            return refused("is empty");
        }
        if text.len() > MAX_ENDPOINT_BYTES {
            return refused("is longer than 2048 bytes");
        }
        // The URL standard drops line breaks and tabs silently; an endpoint that has some is a mistake or a trick.
        if text.chars().any(|character| character.is_control() || character.is_whitespace()) {
            return refused("contains white space or control characters");
        }
        let Some((scheme, rest)) = text.split_once(':') else {
            return refused("is no URL");
        };
        let (protocol, scheme) = match scheme.to_ascii_lowercase().as_str() {
            "http" => (Protocol::Http, "http"),
            "https" => (Protocol::Http, "https"),
            "grpc" => (Protocol::Grpc, "http"),
            "grpcs" => (Protocol::Grpc, "https"),
            _ => return refused("has a scheme other than http, https, grpc and grpcs"),
        };
        // Of a scheme that it does not know, the URL standard reads hosts and ports by other rules. There is to be one rule.
        let Ok(url) = Url::parse(&format!("{scheme}:{rest}")) else {
            return refused("is no URL");
        };
        if !url.username().is_empty() || url.password().is_some() {
            return refused("contains a user name or password");
        }
        if url.query().is_some() || url.fragment().is_some() {
            return refused("contains a query or a fragment");
        }
        if url.host_str().is_none_or(str::is_empty) || url.port_or_known_default().is_none_or(|port| port == 0) {
            return refused("has no host and port that can be called");
        }
        // The URL standard lets names be that HTTP has no way to write.
        if Authority::try_from(url.authority()).is_err() {
            return refused("has a host with characters that no request can name");
        }
        if protocol == Protocol::Grpc && url.path() != "/" {
            return refused("has a path, which gRPC has no place for");
        }
        Ok(Self { url, protocol, pinned: None })
    }

    /// The same endpoint at an address that its name was resolved to. It is resolved no more, and checked again.
    pub fn pinned_to(self, address: SocketAddr) -> Self {
        Self { pinned: Some(address), ..self }
    }

    /// What is spoken there.
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// Whether it is spoken over TLS.
    pub fn is_secure(&self) -> bool {
        self.url.scheme() == "https"
    }

    /// Host and port as a request names them; the port is left out where it is the default.
    pub(crate) fn authority(&self) -> &str {
        self.url.authority()
    }

    /// The host, without the brackets of an IPv6 address.
    pub fn host(&self) -> &str {
        self.url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']')
    }

    /// The parts of the host that would give it away: the whole, and its first label where that is long enough to be an id.
    pub fn telling_names(&self) -> Vec<&str> {
        let host = self.host();
        let label = host.split_once('.').map(|(label, _)| label).filter(|label| label.len() >= 16);
        [host].into_iter().chain(label).collect()
    }

    /// The URL of a path below the endpoint, e.g. `/act`.
    pub fn join(&self, path: &str) -> Url {
        let mut url = self.url.clone();
        url.set_path(&format!("{}{path}", self.url.path().trim_end_matches('/')));
        url
    }

    /// Looks the host up and checks every address that it has. One address that is not allowed refuses the endpoint as a whole: a name
    /// that has a public and a private address is a trick.
    pub async fn resolve(self, allow_private: bool, within: Duration) -> Result<Resolved, Fault> {
        let unreachable = |why: String| Fault::new(Cause::PolicyUnreachable, why);
        let host = self.url.host_str().unwrap_or_default();
        let port = self.url.port_or_known_default().unwrap_or_default();
        let literal = self.host().parse::<IpAddr>().ok().map(|address| SocketAddr::new(address, port));
        let addresses: Vec<SocketAddr> = match self.pinned.or(literal) {
            Some(address) => vec![address],
            None => {
                let late = || unreachable(format!("the endpoint's name was not resolved within {within:?}"));
                answer_within(within, None, late, names::look_up(host, port)).await?
            }
        };
        check_all(&addresses, allow_private)?;
        Ok(Resolved { endpoint: self, addresses })
    }
}

impl Resolved {
    /// The address that takes a connection first; the first one when none does.
    pub async fn first_to_answer(&self, within: Duration) -> SocketAddr {
        let connected = timeout(within, tcp::connect(&self.addresses)).await;
        let answered = connected.ok().and_then(Result::ok).and_then(|stream| stream.peer_addr().ok());
        answered.unwrap_or(self.addresses[0])
    }
}

fn check_all(addresses: &[SocketAddr], allow_private: bool) -> Result<(), Fault> {
    if addresses.is_empty() {
        return Err(Fault::new(Cause::PolicyUnreachable, "the endpoint's name has no address"));
    }
    if addresses.len() > MAX_ADDRESSES {
        return Err(Fault::new(Cause::EndpointRefused, "the endpoint's name has more than 32 addresses"));
    }
    for address in addresses {
        check_address(address.ip(), allow_private).map_err(|kind| {
            Fault::new(Cause::EndpointRefused, format!("the endpoint leads to a {kind} address, which is not called"))
        })?;
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    async fn resolved(text: &str, allow_private: bool) -> Result<Resolved, Fault> {
        Endpoint::parse(text)?.resolve(allow_private, Duration::from_secs(5)).await
    }

    #[test]
    fn what_is_no_base_url_is_refused() {
        for bad in [
            "",
            "policy.example",
            "grpc://",
            "grpc:///",
            "grpc://user@policy.example",
            "grpc://policy.example:0",
            "grpcs://policy.example:99999",
            "grpc://policy.example/path",
            "grpc://policy.example?x=1",
            "grpcs://policy.example/#x",
            "grpc+unix://policy.example",
            "unix:///run/policy.sock",
            "ftp://policy.example",
            "file:///etc/passwd",
            "gopher://policy.example:70/",
            "http://",
            "http://user@policy.example",
            "http://user:secret@policy.example",
            "http://policy.example:0",
            "http://policy.example:99999",
            "http://policy.example/?next=http://10.0.0.1",
            "http://policy.example/#x",
            "http://policy.example/\r\nX-Evil: 1",
            "http://pol\ticy.example/",
            "http://pol{icy}.example",
            "grpc://pol{icy}.example",
            "grpcs://pol\"icy.example",
            "grpc://pol`icy.example",
            &format!("http://policy.example/{}", "x".repeat(2048)),
        ] {
            assert_eq!(Endpoint::parse(bad).err().map(|fault| fault.cause()), Some(Cause::EndpointRefused), "{bad:?}");
        }
    }

    #[test]
    fn paths_are_appended_to_the_base() {
        let url = |base: &str| Endpoint::parse(base).unwrap().join("/act").to_string();
        assert_eq!(url("https://policy.example"), "https://policy.example/act");
        assert_eq!(url("https://policy.example/v1/"), "https://policy.example/v1/act");
        assert_eq!(url("http://policy.example:8000/a%2fb"), "http://policy.example:8000/a%2fb/act");
    }

    #[test]
    fn the_scheme_says_what_is_spoken() {
        for (text, protocol, secure, port) in [
            ("http://policy.example", Protocol::Http, false, 80),
            ("HTTPS://policy.example", Protocol::Http, true, 443),
            ("grpc://policy.example", Protocol::Grpc, false, 80),
            ("GRPC://policy.example:50051/", Protocol::Grpc, false, 50051),
            ("grpcs://policy.example", Protocol::Grpc, true, 443),
            ("grpcs://[2606:4700::1111]:8443", Protocol::Grpc, true, 8443),
        ] {
            let endpoint = Endpoint::parse(text).unwrap();
            let read = (endpoint.protocol(), endpoint.is_secure(), endpoint.url.port_or_known_default());
            assert_eq!(read, (protocol, secure, Some(port)), "{text}");
        }
        assert!(Endpoint::parse("grpc://policy.example") != Endpoint::parse("http://policy.example"));
    }

    #[test]
    fn an_endpoint_is_given_away_by_its_host_and_by_an_id_in_it() {
        let names = |text: &str| Endpoint::parse(text).unwrap().telling_names().join(" ");
        let id = "0f8b6a52-8f5d-4e86-9f5a-1c2d3e4f5a6b";
        assert_eq!(names(&format!("https://{id}.Deployments.example")), format!("{id}.deployments.example {id}"));
        assert_eq!(names("https://www.example"), "www.example");
        assert_eq!(names("http://192.0.2.1:8000"), "192.0.2.1");
        assert_eq!(names("grpcs://[2606:4700::1111]:8443"), "2606:4700::1111");
    }

    #[tokio::test]
    async fn every_spelling_of_a_loopback_address_is_refused() {
        for text in [
            "http://127.0.0.1:80",
            "http://127.1",
            "http://2130706433",
            "http://0x7f000001",
            "http://0177.0.0.1",
            "http://[::1]:8000",
            "http://[::ffff:127.0.0.1]",
            "http://[::ffff:7f00:1]",
            "http://LocalHost",
            "http://①②⑦.⓪.⓪.①",
            "http://169.254.169.254/latest/meta-data",
            "http://[fd00:ec2::254]",
            "grpc://127.0.0.1:50051",
            "grpc://127.1",
            "grpcs://0x7f000001",
            "grpcs://[::ffff:7f00:1]",
            "grpc://LocalHost:50051",
            "grpc://①②⑦.⓪.⓪.①",
        ] {
            let fault = resolved(text, false).await.err().unwrap();
            assert_eq!(fault.cause(), Cause::EndpointRefused, "{text}: {fault}");
            assert!(!fault.evidence().contains("127.0"), "{fault}");
        }
        assert!(resolved("http://127.0.0.1:80", true).await.is_ok());
        let metadata =
            ["http://169.254.169.254", "http://[fd00:ec2::254]", "grpc://[::ffff:a9fe:a9fe]", "grpcs://[fe80::1]"];
        for text in metadata {
            let fault = resolved(text, true).await.err().unwrap();
            assert_eq!(fault.cause(), Cause::EndpointRefused, "allowed to no operator: {text}: {fault}");
        }
    }

    #[test]
    fn one_private_address_among_public_ones_refuses_the_endpoint() {
        let addresses = ["1.1.1.1:80", "[2606:4700::1111]:80", "10.0.0.1:80"].map(|text| text.parse().unwrap());
        assert!(check_all(&addresses[..2], false).is_ok());
        assert_eq!(check_all(&addresses, false).unwrap_err().cause(), Cause::EndpointRefused);
        assert!(check_all(&addresses, true).is_ok());
        assert_eq!(check_all(&[], true).unwrap_err().cause(), Cause::PolicyUnreachable);
    }

    #[tokio::test]
    async fn a_name_that_does_not_exist_is_unreachable() {
        let fault = resolved("http://no-such-policy.invalid", false).await.err().unwrap();
        assert_eq!(fault.cause(), Cause::PolicyUnreachable);
    }
}
