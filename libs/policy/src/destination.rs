//! Where an episode's connections go: the endpoint that its miner committed, resolved once, checked before anything connects.
//!
//! What an endpoint's text may be is decided where it is read (`kinitro-commitment`), for executors and ingestion alike. Here begins
//! what needs a network.

use std::{net::SocketAddr, time::Duration};

use kinitro_commitment::Endpoint;
use kinitro_domain::{Cause, check_address};
use tokio::time::timeout;

use crate::{Fault, names, patience::answer_within, tcp};

/// More addresses than this under one name are not looked at.
pub(crate) const MAX_ADDRESSES: usize = 32;

/// An endpoint, and the address that it is called at where that was decided before. Two that differ in either share no connections.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Destination {
    endpoint: Endpoint,
    /// Where it is led, whatever its name says.
    pinned: Option<SocketAddr>,
}

/// The addresses that were found and checked; never empty. A connection goes to one of these and the name is not resolved again, so that
/// it cannot mean one thing when it is checked and another when it is called.
pub struct Resolved(pub Vec<SocketAddr>);

impl From<Endpoint> for Destination {
    fn from(endpoint: Endpoint) -> Self {
        Self { endpoint, pinned: None }
    }
}

impl Destination {
    /// The endpoint at an address that its name was resolved to. It is resolved no more, and checked again.
    pub fn pinned(endpoint: Endpoint, address: SocketAddr) -> Self {
        Self { endpoint, pinned: Some(address) }
    }

    /// What is called.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// The parts of the host that would give it away: the whole, and its first label where that is long enough to be an id.
    pub(crate) fn telling_names(&self) -> Vec<&str> {
        let host = self.endpoint.host_text();
        let label = host.split_once('.').map(|(label, _)| label).filter(|label| label.len() >= 16);
        [host].into_iter().chain(label).collect()
    }

    /// Looks the host up and checks every address that it has. One address that is not allowed refuses the endpoint as a whole: a name
    /// that has a public and a private address is a trick.
    pub async fn resolve(&self, allow_private: bool, within: Duration) -> Result<Resolved, Fault> {
        let unreachable = |why: String| Fault::new(Cause::PolicyUnreachable, why);
        let port = self.endpoint.port();
        let written = self.endpoint.address().map(|address| SocketAddr::new(address, port));
        let addresses: Vec<SocketAddr> = match self.pinned.or(written) {
            Some(address) => vec![address],
            None => {
                let late = || unreachable(format!("the endpoint's name was not resolved within {within:?}"));
                let looked_up = names::look_up(self.endpoint.host_text(), port);
                answer_within(within, None, late, looked_up).await?
            }
        };
        check_all(&addresses, allow_private)?;
        Ok(Resolved(addresses))
    }
}

impl Resolved {
    /// The address that takes a connection first; the first one when none does.
    pub async fn first_to_answer(&self, within: Duration) -> SocketAddr {
        let connected = timeout(within, tcp::connect(&self.0)).await;
        let answered = connected.ok().and_then(Result::ok).and_then(|stream| stream.peer_addr().ok());
        answered.unwrap_or(self.0[0])
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
    use kinitro_commitment::Protocol;

    use super::*;

    fn destination(text: &str) -> Result<Destination, Fault> {
        Ok(Destination::from(text.parse::<Endpoint>()?))
    }

    async fn resolved(text: &str, allow_private: bool) -> Result<Resolved, Fault> {
        destination(text)?.resolve(allow_private, Duration::from_secs(5)).await
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
            assert_eq!(destination(bad).err().map(|fault| fault.cause()), Some(Cause::EndpointRefused), "{bad:?}");
        }
    }

    #[test]
    fn paths_are_appended_to_the_base() {
        let path = |base: &str| destination(base).unwrap().endpoint.path_below("/act");
        assert_eq!(path("https://policy.example"), "/act");
        assert_eq!(path("https://policy.example/v1/"), "/v1/act");
        assert_eq!(path("http://policy.example:8000/a%2fb"), "/a%2fb/act");
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
            let Destination { endpoint, .. } = destination(text).unwrap();
            let read = (endpoint.protocol(), endpoint.is_secure(), endpoint.port());
            assert_eq!(read, (protocol, secure, port), "{text}");
        }
        assert!(destination("grpc://policy.example").unwrap() != destination("http://policy.example").unwrap());
    }

    #[test]
    fn an_endpoint_is_given_away_by_its_host_and_by_an_id_in_it() {
        let names = |text: &str| destination(text).unwrap().telling_names().join(" ");
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
