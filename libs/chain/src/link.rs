//! One WebSocket connection, made when needed and made again when it was lost.
//!
//! Reconnecting happens here and not inside the RPC client, because only a caller knows what may be repeated: reading may, and so
//! may handing in the very same bytes; signing anew may not. A connection that was lost, or over which something was not answered
//! in time, is given to nobody any more.

use std::{
    fmt,
    sync::{Arc, OnceLock},
    time::Duration,
};

use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};
use jsonrpsee::{
    client_transport::ws::WsTransportClientBuilder,
    core::client::{Client, async_client::PingConfig},
};
use subxt::{
    OnlineClient, SubstrateConfig,
    backend::LegacyBackend,
    config::RpcConfigFor,
    rpcs::{LegacyRpcMethods, RpcClient, client::RpcParams},
};
use tokio::{sync::Mutex, time::Instant};

use crate::{BlockHash, ChainError, NodeAddress, socket::Socket};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
const PING_INTERVAL: Duration = Duration::from_secs(15);
const SILENCE_LIMIT: Duration = Duration::from_secs(45);
/// The largest answer that is read: metadata is 0.8 MB of hex, a full block (5 MiB of transactions) 10.5 MB.
const ANSWER_LIMIT: u32 = 12 * 1024 * 1024;
/// Nodes put whole byte strings into some errors.
const REASON_LIMIT: usize = 300;

/// A live connection and what speaks over it.
pub(crate) struct Connection {
    address: NodeAddress,
    socket: Socket,
    rpc: RpcClient,
    opened: Instant,
    pub(crate) api: OnlineClient<SubstrateConfig>,
    pub(crate) methods: LegacyRpcMethods<RpcConfigFor<SubstrateConfig>>,
}

impl Connection {
    async fn open(address: &NodeAddress, request_limit: Duration) -> Result<Self, ChainError> {
        let unreachable =
            |reason: String| ChainError::Unreachable { address: address.to_string(), reason: bounded(reason) };
        let (sender, receiver) = WsTransportClientBuilder::default()
            .connection_timeout(CONNECT_TIMEOUT)
            .max_response_size(ANSWER_LIMIT)
            .build(address.url().clone())
            .await
            .map_err(|error| unreachable(error.to_string()))?;
        let socket = Client::builder()
            .request_timeout(request_limit)
            .enable_ws_ping(PingConfig::new().ping_interval(PING_INTERVAL).inactive_limit(SILENCE_LIMIT))
            .build_with_tokio(sender, receiver);
        let socket = Socket::new(socket);
        let rpc = RpcClient::new(socket.clone());
        let methods = LegacyRpcMethods::new(rpc.clone());
        let backend = Arc::new(LegacyBackend::builder().build(rpc.clone()));
        let api = OnlineClient::from_backend_with_config(SubstrateConfig::new(), backend)
            .await
            .map_err(|error| unreachable(error.to_string()))?;
        Ok(Self { address: address.clone(), socket, rpc, opened: Instant::now(), api, methods })
    }

    /// The transactions that wait at the node for a block, in hex.
    pub(crate) async fn pending(&self) -> Result<Vec<String>, subxt::rpcs::Error> {
        self.rpc.request("author_pendingExtrinsics", RpcParams::new()).await
    }

    pub(crate) fn genesis(&self) -> BlockHash {
        self.api.genesis_hash().into()
    }

    /// Turns what a call answered into our error: a lost connection is told from a node that says no.
    pub(crate) fn failed(&self, task: &'static str, error: impl fmt::Display) -> ChainError {
        let (address, reason) = (self.address.to_string(), bounded(error.to_string()));
        if self.socket.is_usable() {
            ChainError::Node { address, task, reason }
        } else {
            ChainError::Unreachable { address, reason }
        }
    }
}

/// What a node said, cut to a length that fits a log line and a status, without what would steer a terminal or reorder the line.
pub(crate) fn bounded(reason: String) -> String {
    let mut said = String::with_capacity(reason.len().min(REASON_LIMIT * 4));
    let mut characters = reason.chars();
    for character in characters.by_ref().take(REASON_LIMIT) {
        said.push(match character {
            '\t' | '\n' | '\r' => ' ',
            _ if is_unseen(character) => char::REPLACEMENT_CHARACTER,
            _ => character,
        });
    }
    if characters.next().is_some() {
        said.push('…');
    }
    said
}

/// Control characters, the line and paragraph separators, and those of Unicode's category Cf (format) that order text or show nothing:
/// bidirectional marks, joiners, invisible operators, interlinear annotation, tags.
fn is_unseen(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{180e}' | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}'
        )
}

/// The connection to one node, shared by everybody who uses it.
pub(crate) struct Link {
    address: NodeAddress,
    request_limit: Duration,
    genesis: OnceLock<BlockHash>,
    current: Mutex<Option<Arc<Connection>>>,
}

impl Link {
    pub(crate) fn new(address: NodeAddress, request_limit: Duration) -> Self {
        Self { address, request_limit, genesis: OnceLock::new(), current: Mutex::new(None) }
    }

    pub(crate) fn address(&self) -> &NodeAddress {
        &self.address
    }

    /// The live connection, or a new one when there is none. A node that serves another chain than the first time is refused.
    pub(crate) async fn connection(&self) -> Result<Arc<Connection>, ChainError> {
        let mut current = self.current.lock().await;
        if let Some(connection) = current.as_ref().filter(|connection| connection.socket.is_usable()) {
            return Ok(connection.clone());
        }
        *current = None;
        let connection = Arc::new(Connection::open(&self.address, self.request_limit).await?);
        let (found, expected) = (connection.genesis(), *self.genesis.get_or_init(|| connection.genesis()));
        if found != expected {
            return Err(ChainError::OtherChain { address: self.address.to_string(), number: 0, expected, found });
        }
        tracing::debug!(address = %self.address, genesis = %found, "connected to the chain");
        *current = Some(connection.clone());
        Ok(connection)
    }

    /// Gives the connection to nobody any more if it is at least this old. While somebody makes a new one there is none.
    pub(crate) fn condemn(&self, age: Duration) {
        if let Ok(current) = self.current.try_lock()
            && let Some(connection) = current.as_ref().filter(|connection| connection.opened.elapsed() >= age)
        {
            connection.socket.condemn();
        }
    }
}

/// Growing pauses between attempts, from 250 ms to 15 s: of each, between half and the whole at random, so that all who lost a node do not
/// come back to it in the same moment.
pub(crate) struct Pause(ExponentialBackoff);

impl Pause {
    const FIRST: Duration = Duration::from_millis(250);
    const LONGEST: Duration = Duration::from_secs(15);

    pub(crate) fn next(&mut self) -> Duration {
        self.0.next().unwrap_or(Self::LONGEST)
    }
}

impl Default for Pause {
    fn default() -> Self {
        // The crate adds up to as much again to each of its delays.
        let builder = ExponentialBuilder::new().with_min_delay(Self::FIRST / 2).with_max_delay(Self::LONGEST / 2);
        Self(builder.without_max_times().with_jitter().build())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_node_says_cannot_steer_the_terminal() {
        let said = "bad\u{1b}]0;pwned\u{7}\u{1b}[2J\u{9b}31m\nline\u{202e}txet\u{2066}\u{200f}\u{e0041}\u{feff}\u{2028} naïve 名前";
        let shown = bounded(said.to_owned());
        assert_eq!(shown, "bad�]0;pwned��[2J�31m line�txet����� naïve 名前");
        assert!(!shown.contains(char::is_control));
    }

    #[test]
    fn pauses_between_attempts_grow_to_the_longest_and_no_further() {
        let mut pause = Pause::default();
        let pauses: Vec<Duration> = (0..20).map(|_| pause.next()).collect();
        assert!(
            pauses[0] <= Pause::FIRST && pauses[10..].iter().all(|pause| *pause >= Pause::LONGEST / 2),
            "{pauses:?}"
        );
        assert!(pauses.iter().all(|pause| *pause <= Pause::LONGEST), "{pauses:?}");
    }

    #[test]
    fn what_a_node_says_is_cut_between_characters() {
        let long = bounded("é".repeat(REASON_LIMIT + 1));
        assert_eq!((long.chars().count(), long.ends_with('…')), (REASON_LIMIT + 1, true));
        assert_eq!(bounded("é".repeat(REASON_LIMIT)), "é".repeat(REASON_LIMIT));
    }
}
