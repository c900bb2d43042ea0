//! Which server an endpoint leads to.
//!
//! Endpoints are what miners say they are, and a server has as many names as its rivals like to give it. So what is counted is where an
//! episode's connection goes: the address and port, once the name is resolved, and the same for every alias of this machine. The episode is
//! led to that very address afterwards, so that a name cannot mean one thing when it is counted and another when it is called.
//!
//! The exception are hosts that serve many policies behind one address and tell them apart by name. Their names are no aliases of each
//! other, and only the host's owner can give one out: under those domains the name is what is counted.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use kinitro_commitment::{DEPLOYMENTS, Endpoint, Host};
use kinitro_policy::{Destination, Fault};

/// Where Basilica serves deployments: one address, a name each.
pub(crate) const SHARED_HOSTS: &[&str] = &[DEPLOYMENTS];

/// How long the address is kept that was found to answer first, of several that a name has.
const PREFERRED: Duration = Duration::from_secs(60);

/// The most names of which it is kept.
const MOST_PREFERRED: usize = 1024;

/// A server, by whatever name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Server {
    /// By the address that connections go to; the loopback address for every address of this machine.
    At(SocketAddr),
    /// A name of a shared host, and the port.
    Named(String, u16),
}

/// Finds out where endpoints lead.
pub(crate) struct Servers {
    allow_private: bool,
    connect_timeout: Duration,
    /// In lower case.
    shared_hosts: Vec<String>,
    preferred: Mutex<HashMap<Endpoint, (SocketAddr, Instant)>>,
}

/// Where one endpoint leads.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) server: Server,
    pub(crate) address: SocketAddr,
}

impl Servers {
    pub(crate) fn new(allow_private: bool, connect_timeout: Duration, shared_hosts: Vec<String>) -> Self {
        let shared_hosts = shared_hosts.iter().map(|host| host.trim_matches('.').to_ascii_lowercase()).collect();
        Self { allow_private, connect_timeout, shared_hosts, preferred: Mutex::default() }
    }

    fn preferred(&self) -> MutexGuard<'_, HashMap<Endpoint, (SocketAddr, Instant)>> {
        self.preferred.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Resolves and checks an endpoint. Of several addresses the one that answers first is taken, so that a machine without one of the two
    /// families of addresses still reaches those that have both.
    pub(crate) async fn find(&self, endpoint: &Endpoint) -> Result<Found, Fault> {
        let resolved = Destination::from(endpoint.clone()).resolve(self.allow_private, self.connect_timeout).await?;
        let kept = self.preferred().get(endpoint).filter(|(_, since)| since.elapsed() < PREFERRED).copied();
        let address = match (resolved.0.as_slice(), kept) {
            (&[only], _) => only,
            (several, Some((kept, _))) if several.contains(&kept) => kept,
            _ => {
                let address = resolved.first_to_answer(self.connect_timeout).await;
                let mut preferred = self.preferred();
                if preferred.len() >= MOST_PREFERRED {
                    preferred.clear();
                }
                preferred.insert(endpoint.clone(), (address, Instant::now()));
                address
            }
        };
        Ok(Found { server: self.server(endpoint, address), address })
    }

    /// The address that was taken of several may be the one that has gone away.
    pub(crate) fn doubt(&self, endpoint: &Endpoint) {
        self.preferred().remove(endpoint);
    }

    fn server(&self, endpoint: &Endpoint, address: SocketAddr) -> Server {
        let is_shared = |name: &str| {
            let below = |domain: &String| name.strip_suffix(domain.as_str()).is_some_and(|rest| rest.ends_with('.'));
            self.shared_hosts.iter().any(below)
        };
        match endpoint.host() {
            Host::Name(name) if is_shared(&name) => Server::Named(name, address.port()),
            _ => Server::At(SocketAddr::new(machine(address.ip()), address.port())),
        }
    }
}

/// One address of each machine, as far as it can be told: of this one the loopback address.
fn machine(address: IpAddr) -> IpAddr {
    let address = address.to_canonical();
    if address.is_loopback() || is_here(address) { Ipv4Addr::LOCALHOST.into() } else { address }
}

/// Whether an address is one of this machine's: a socket can be bound to it, which it cannot to one for documentation.
fn is_here(address: IpAddr) -> bool {
    let binds = |address: IpAddr| UdpSocket::bind((address, 0)).is_ok();
    binds(address) && !binds(Ipv4Addr::new(192, 0, 2, 1).into())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn servers() -> Servers {
        Servers::new(true, Duration::from_secs(30), SHARED_HOSTS.iter().map(|&host| host.to_owned()).collect())
    }

    async fn found(endpoint: &str) -> Server {
        servers().find(&endpoint.parse().unwrap()).await.unwrap().server
    }

    #[tokio::test]
    async fn every_alias_of_this_machine_is_one_server() {
        let loopback = found("http://127.0.0.1:8000").await;
        for alias in [
            "http://127.0.0.2:8000",
            "http://127.255.255.254:8000",
            "http://localhost:8000",
            "http://LOCALHOST:8000/v1",
            "http://127.0.0.1:8000/v1",
            "http://[::1]:8000",
            "http://[::ffff:127.0.0.3]:8000",
            "grpc://127.0.0.1:8000",
            "https://127.0.0.1:8000/a/b",
        ] {
            assert_eq!(found(alias).await, loopback, "{alias}");
        }
        assert_ne!(found("http://127.0.0.1:8001").await, loopback);
        // Whatever address this machine has besides.
        let probe = UdpSocket::bind("0.0.0.0:0").unwrap();
        if probe.connect("192.0.2.1:9").is_ok() {
            let own = probe.local_addr().unwrap().ip();
            assert_eq!(found(&format!("http://{own}:8000")).await, loopback, "{own}");
        }
    }

    #[tokio::test]
    async fn another_machine_is_counted_by_address_and_port_in_every_spelling() {
        let here = found("http://1.1.1.1:8000").await;
        for same in ["http://[::ffff:1.1.1.1]:8000", "http://1.1.1.1:8000/v1", "grpc://1.1.1.1:8000"] {
            assert_eq!(found(same).await, here, "{same}");
        }
        assert_eq!(found("https://1.1.1.1").await, found("grpcs://1.1.1.1:443").await);
        for other in ["http://1.1.1.1:8001", "http://1.1.1.2:8000", "http://[2606:4700::1111]:8000"] {
            assert_ne!(found(other).await, here, "{other}");
        }
    }

    #[test]
    fn only_names_of_a_shared_host_are_counted_by_name() {
        let ingress: SocketAddr = "1.1.1.1:443".parse().unwrap();
        let server = |endpoint: &str| servers().server(&endpoint.parse().unwrap(), ingress);
        let (a, b) = ("https://a.deployments.basilica.ai", "https://B.Deployments.Basilica.AI.");
        assert_eq!(server(a), Server::Named("a.deployments.basilica.ai".to_owned(), 443));
        assert_eq!(server(b), server("https://b.deployments.basilica.ai/v1"));
        assert_ne!(server(a), server(b));
        for alias in ["https://a.example", "https://xdeployments.basilica.ai", "https://deployments.basilica.ai"] {
            assert_eq!(server(alias), Server::At(ingress), "{alias}");
        }
    }
}
