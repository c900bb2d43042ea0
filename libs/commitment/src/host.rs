//! When two hosts are the same one.
//!
//! A name is the same with small and capital letters and with or without a dot at its end. An IPv6 address that only carries an IPv4
//! address (`::ffff:192.0.2.1`) is that IPv4 address. Whether two names lead to one machine no text can tell.

use std::{fmt, net::IpAddr};

use crate::Endpoint;

/// The host of an endpoint in its one spelling. Ordered so that it can be a key. `Debug` does not show it, for the endpoint may have
/// been sealed; `Display` does.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Host {
    /// In small letters, without a dot at its end.
    Name(String),
    /// IPv4 where it carries one.
    Address(IpAddr),
}

impl Endpoint {
    /// The host, in its one spelling.
    pub fn host(&self) -> Host {
        match self.address() {
            Some(address) => Host::Address(address.to_canonical()),
            None => Host::Name(self.host_text().trim_end_matches('.').to_ascii_lowercase()),
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => name.fmt(f),
            Self::Address(address) => address.fmt(f),
        }
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Host(not shown)")
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn host(endpoint: &str) -> Host {
        endpoint.parse::<Endpoint>().unwrap().host()
    }

    #[test]
    fn ports_paths_schemes_and_spellings_make_no_other_host() {
        for (endpoint, shown) in [
            ("http://one.example", "one.example"),
            ("grpcs://One.Example.:443", "one.example"),
            ("https://one.example:8443/v1", "one.example"),
            ("http://[2001:db8:0::1]:80/", "2001:db8::1"),
            ("http://[::ffff:192.0.2.1]:80/", "192.0.2.1"),
            ("http://192.0.2.1", "192.0.2.1"),
        ] {
            assert_eq!(host(endpoint).to_string(), shown, "{endpoint}");
        }
        assert!(host("http://one.example") != host("http://www.one.example"));
        assert_eq!(format!("{:?}", host("http://secret.example")), "Host(not shown)");
    }
}
