//! One WebSocket connection, made when needed and made again when it was lost.
//!
//! Reconnecting happens here and not inside the RPC client, because only a caller knows what may be repeated: reading may,
//! submitting a transaction may not.

use std::{
    fmt,
    sync::{Arc, OnceLock},
    time::Duration,
};

use jsonrpsee::{
    client_transport::ws::WsTransportClientBuilder,
    core::client::{Client, async_client::PingConfig},
};
use subxt::{
    OnlineClient, SubstrateConfig,
    backend::LegacyBackend,
    config::RpcConfigFor,
    rpcs::{LegacyRpcMethods, RpcClient},
};
use tokio::sync::Mutex;

use crate::{BlockHash, ChainError, NodeAddress};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
const PING_INTERVAL: Duration = Duration::from_secs(15);
const SILENCE_LIMIT: Duration = Duration::from_secs(45);
/// The largest answer that is read: metadata is 0.8 MB of hex, a full block (5 MiB of transactions) 10.5 MB.
const ANSWER_LIMIT: u32 = 12 * 1024 * 1024;
/// Nodes put whole byte strings into some errors.
const REASON_LIMIT: usize = 300;

/// A live connection and what speaks over it.
pub(crate) struct Connection {
    address: NodeAddress,
    socket: Arc<Client>,
    pub(crate) api: OnlineClient<SubstrateConfig>,
    pub(crate) methods: LegacyRpcMethods<RpcConfigFor<SubstrateConfig>>,
}

impl Connection {
    async fn open(address: &NodeAddress) -> Result<Self, ChainError> {
        let unreachable =
            |reason: String| ChainError::Unreachable { address: address.to_string(), reason: bounded(reason) };
        let (sender, receiver) = WsTransportClientBuilder::default()
            .connection_timeout(CONNECT_TIMEOUT)
            .max_response_size(ANSWER_LIMIT)
            .build(address.url().clone())
            .await
            .map_err(|error| unreachable(error.to_string()))?;
        let socket = Client::builder()
            .request_timeout(REQUEST_TIMEOUT)
            .enable_ws_ping(PingConfig::new().ping_interval(PING_INTERVAL).inactive_limit(SILENCE_LIMIT))
            .build_with_tokio(sender, receiver);
        let socket = Arc::new(socket);
        let rpc = RpcClient::new(socket.clone());
        let methods = LegacyRpcMethods::new(rpc.clone());
        let backend = Arc::new(LegacyBackend::builder().build(rpc));
        let api = OnlineClient::from_backend_with_config(SubstrateConfig::new(), backend)
            .await
            .map_err(|error| unreachable(error.to_string()))?;
        Ok(Self { address: address.clone(), socket, api, methods })
    }

    pub(crate) fn genesis(&self) -> BlockHash {
        self.api.genesis_hash().into()
    }

    /// Turns what a call answered into our error: a lost connection is told from a node that says no.
    pub(crate) fn failed(&self, task: &'static str, error: impl fmt::Display) -> ChainError {
        let (address, reason) = (self.address.to_string(), bounded(error.to_string()));
        if self.socket.is_connected() {
            ChainError::Node { address, task, reason }
        } else {
            ChainError::Unreachable { address, reason }
        }
    }
}

/// The text, cut to a length that fits a log line and a status.
pub(crate) fn bounded(mut reason: String) -> String {
    if let Some((end, _)) = reason.char_indices().nth(REASON_LIMIT) {
        reason.truncate(end);
        reason.push('…');
    }
    reason
}

/// The connection to one node, shared by everybody who uses it.
pub(crate) struct Link {
    address: NodeAddress,
    genesis: OnceLock<BlockHash>,
    current: Mutex<Option<Arc<Connection>>>,
}

impl Link {
    pub(crate) fn new(address: NodeAddress) -> Self {
        Self { address, genesis: OnceLock::new(), current: Mutex::new(None) }
    }

    pub(crate) fn address(&self) -> &NodeAddress {
        &self.address
    }

    /// The live connection, or a new one when there is none. A node that serves another chain than the first time is refused.
    pub(crate) async fn connection(&self) -> Result<Arc<Connection>, ChainError> {
        let mut current = self.current.lock().await;
        if let Some(connection) = current.as_ref().filter(|connection| connection.socket.is_connected()) {
            return Ok(connection.clone());
        }
        *current = None;
        let connection = Arc::new(Connection::open(&self.address).await?);
        let (found, expected) = (connection.genesis(), *self.genesis.get_or_init(|| connection.genesis()));
        if found != expected {
            return Err(ChainError::OtherChain { address: self.address.to_string(), number: 0, expected, found });
        }
        tracing::debug!(address = %self.address, genesis = %found, "connected to the chain");
        *current = Some(connection.clone());
        Ok(connection)
    }
}

/// Growing pauses between attempts.
#[derive(Default)]
pub(crate) struct Pause(Duration);

impl Pause {
    const FIRST: Duration = Duration::from_millis(250);
    const LONGEST: Duration = Duration::from_secs(15);

    pub(crate) fn next(&mut self) -> Duration {
        self.0 = (self.0 * 2).clamp(Self::FIRST, Self::LONGEST);
        self.0
    }
}
