//! An address that is no miner's, by which an executor tells its own network from the policies'.

use std::time::Duration;

use tokio::{
    net::TcpStream,
    sync::Mutex,
    time::{Instant, timeout},
};
use url::Url;

/// How long it has to take a connection.
const PROBE: Duration = Duration::from_secs(3);

/// How long an answer stands: many episodes end at once when a network goes down.
const FRESH: Duration = Duration::from_secs(1);

/// A configured beacon. It is connected to and nothing is sent.
pub(crate) struct Beacon {
    host: String,
    port: u16,
    last: Mutex<Option<(Instant, bool)>>,
}

impl Beacon {
    /// From `host:port` or a URL. The error names the setting.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "beacon is `{}`; give host:port or a URL, e.g. `one.example:443` or `https://one.example`",
                text.escape_debug()
            )
        };
        let written = if text.contains("://") { text.to_owned() } else { format!("beacon://{text}") };
        let url = Url::parse(&written).map_err(|_| wrong())?;
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or_else(wrong)?;
        let port = url.port_or_known_default().filter(|port| *port > 0).ok_or_else(wrong)?;
        // An IPv6 address is connected to without its brackets.
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        Ok(Self { host, port, last: Mutex::new(None) })
    }

    /// Whether it takes a connection. Those who ask at the same time share one answer.
    pub(crate) async fn is_reached(&self) -> bool {
        let mut last = self.last.lock().await;
        if let Some((at, reached)) = *last
            && at.elapsed() < FRESH
        {
            return reached;
        }
        let connected = timeout(PROBE, TcpStream::connect((self.host.as_str(), self.port))).await;
        let reached = matches!(connected, Ok(Ok(_)));
        *last = Some((Instant::now(), reached));
        reached
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_is_reached_exactly_when_it_takes_a_connection() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        assert!(Beacon::parse(&address.to_string()).unwrap().is_reached().await);
        assert!(Beacon::parse(&format!("http://{address}/health")).unwrap().is_reached().await);
        drop(listener);
        assert!(!Beacon::parse(&address.to_string()).unwrap().is_reached().await);
    }

    #[test]
    fn what_names_no_port_is_refused() {
        let of = |text: &str| Beacon::parse(text).map(|beacon| (beacon.host, beacon.port));
        assert_eq!(of("https://one.example/x").unwrap(), ("one.example".to_owned(), 443));
        assert_eq!(of("[::1]:53").unwrap(), ("::1".to_owned(), 53));
        for wrong in ["", "one.example", ":53", "one.example:0", "one.example:99999", "a b:1"] {
            assert!(of(wrong).unwrap_err().starts_with("beacon is"), "{wrong}");
        }
    }
}
