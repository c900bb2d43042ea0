//! Where a node is: a network's name or a WebSocket URL.

use std::{fmt, str::FromStr};

use url::Url;

use crate::ChainError;

const NETWORKS: &[(&str, &str)] = &[
    ("finney", "wss://entrypoint-finney.opentensor.ai:443"),
    ("test", "wss://test.finney.opentensor.ai:443"),
    ("local", "ws://127.0.0.1:9944"),
];

/// A node's address, as a `ws://` or `wss://` URL. Shown without the query, where providers put API keys.
#[derive(Clone, PartialEq, Eq)]
pub struct NodeAddress(Url);

impl NodeAddress {
    pub(crate) fn url(&self) -> &Url {
        &self.0
    }
}

impl FromStr for NodeAddress {
    type Err = ChainError;

    /// Reads a network's name (`finney`, `test`, `local`) or a URL.
    fn from_str(given: &str) -> Result<Self, Self::Err> {
        let given = given.trim();
        let text = NETWORKS.iter().find(|(name, _)| *name == given).map_or(given, |(_, url)| url);
        let bad = |reason: &str| ChainError::BadAddress { given: shown(given), reason: reason.to_owned() };
        let url = Url::parse(text).map_err(|error| bad(&error.to_string()))?;
        if !matches!(url.scheme(), "ws" | "wss") {
            return Err(bad("the scheme is neither ws nor wss"));
        }
        if url.host_str().is_none_or(str::is_empty) {
            return Err(bad("it names no host"));
        }
        Ok(Self(url))
    }
}

fn shown(given: &str) -> String {
    given.chars().take_while(|character| *character != '?').take(100).flat_map(char::escape_debug).collect()
}

impl fmt::Display for NodeAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.0.scheme(), self.0.host_str().unwrap_or_default())?;
        self.0.port().map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

impl fmt::Debug for NodeAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NodeAddress({self})")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn networks_have_names() {
        assert_eq!("local".parse::<NodeAddress>().unwrap().to_string(), "ws://127.0.0.1:9944");
        for name in ["finney", "test"] {
            assert_eq!(name.parse::<NodeAddress>().unwrap().url().scheme(), "wss");
        }
    }

    #[test]
    fn what_is_no_address_is_refused_with_the_choices() {
        for bad in ["", "finny", "http://127.0.0.1:9944", "ws://", "127.0.0.1:9944"] {
            let refused = bad.parse::<NodeAddress>().unwrap_err().to_string();
            assert!(refused.contains("finney, test, local"), "{refused}");
        }
    }

    #[test]
    fn an_api_key_in_the_url_is_not_shown() {
        let address = "wss://user:secret@node.example/path?key=secret".parse::<NodeAddress>().unwrap();
        assert!(!format!("{address} {address:?}").contains("secret"));
    }
}
