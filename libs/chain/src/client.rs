//! The client: what everybody else calls.

use std::{fmt, sync::Arc, time::Duration};

use kinitro_domain::BlockNumber;
use tokio::time::timeout;

use crate::{
    BlockHash, BlockRef, ChainError, NodeAddress,
    link::{Link, REQUEST_TIMEOUT},
};

/// For a read of any size.
const READ_LIMIT: Duration = Duration::from_secs(90);

/// A client of one node. Cheap to clone; clones share the connection.
#[derive(Clone)]
pub struct ChainClient {
    pub(crate) link: Arc<Link>,
}

impl ChainClient {
    /// A client that connects when it is first used. `node` is `finney`, `test`, `local`, or a `ws://` or `wss://` URL.
    ///
    /// # Errors
    /// [`ChainError::BadAddress`].
    pub fn new(node: &str) -> Result<Self, ChainError> {
        Self::with_request_limit(node, REQUEST_TIMEOUT)
    }

    /// As [`new`](Self::new), with how long the node may take for one answer. A connection over which an answer stayed away is
    /// not used again.
    ///
    /// # Errors
    /// [`ChainError::BadAddress`].
    pub fn with_request_limit(node: &str, limit: Duration) -> Result<Self, ChainError> {
        Ok(Self { link: Arc::new(Link::new(node.parse()?, limit)) })
    }

    /// Has the next call make a new connection, which may lead to another node behind the same address. For callers who see that
    /// the node is of no use although it answers: it fell behind, it makes no progress. What is under way goes on.
    pub fn drop_connection(&self) {
        self.link.condemn(Duration::ZERO);
    }

    /// A client that is connected already.
    ///
    /// # Errors
    /// [`ChainError::BadAddress`], [`ChainError::Unreachable`].
    pub async fn connect(node: &str) -> Result<Self, ChainError> {
        let client = Self::new(node)?;
        client.genesis_hash().await?;
        Ok(client)
    }

    /// The node's address.
    pub fn address(&self) -> &NodeAddress {
        self.link.address()
    }

    /// The hash of block 0: which chain this is. A development chain that was started anew is another chain.
    pub async fn genesis_hash(&self) -> Result<BlockHash, ChainError> {
        self.reading("connecting", async { Ok(self.link.connection().await?.genesis()) }).await
    }

    /// The newest block that can no longer be undone.
    pub async fn finalized_head(&self) -> Result<BlockRef, ChainError> {
        const TASK: &str = "reading the finalized head";
        self.reading(TASK, async {
            let connection = self.link.connection().await?;
            let hash = connection.methods.chain_get_finalized_head().await;
            let hash = hash.map_err(|error| connection.failed(TASK, error))?;
            let header = connection.methods.chain_get_header(Some(hash)).await;
            let header = header.map_err(|error| connection.failed(TASK, error))?;
            let number = header.ok_or_else(|| self.no_block(BlockHash::from(hash)))?.number;
            Ok(BlockRef { number: BlockNumber(number), hash: hash.into() })
        })
        .await
    }

    /// The newest block of the node's best chain; a reorganisation can still undo it.
    pub async fn best_head(&self) -> Result<BlockRef, ChainError> {
        const TASK: &str = "reading the head of the chain";
        self.reading(TASK, async {
            let connection = self.link.connection().await?;
            let hash = connection.methods.chain_get_block_hash(None).await;
            let hash = hash.map_err(|error| connection.failed(TASK, error))?;
            let hash = hash.ok_or_else(|| connection.failed(TASK, "the node has no block at all"))?;
            let header = connection.methods.chain_get_header(Some(hash)).await;
            let header = header.map_err(|error| connection.failed(TASK, error))?;
            let number = header.ok_or_else(|| self.no_block(BlockHash::from(hash)))?.number;
            Ok(BlockRef { number: BlockNumber(number), hash: hash.into() })
        })
        .await
    }

    /// The hash of a block of the node's best chain; `None` above its head.
    pub async fn block_hash(&self, number: BlockNumber) -> Result<Option<BlockHash>, ChainError> {
        const TASK: &str = "reading the hash of a block";
        self.reading(TASK, async {
            let connection = self.link.connection().await?;
            let hash = connection.methods.chain_get_block_hash(Some(number.0.into())).await;
            Ok(hash.map_err(|error| connection.failed(TASK, error))?.map(BlockHash::from))
        })
        .await
    }

    pub(crate) fn no_block(&self, block: impl fmt::Display) -> ChainError {
        ChainError::BlockNotFound { address: self.address().to_string(), block: block.to_string() }
    }

    /// A read within the time that any read may take.
    pub(crate) async fn reading<T>(
        &self,
        task: &'static str,
        read: impl Future<Output = Result<T, ChainError>>,
    ) -> Result<T, ChainError> {
        timeout(READ_LIMIT, read).await.unwrap_or_else(|_| Err(self.too_slow(task, READ_LIMIT)))
    }

    /// The error for what did not finish within a limit. The connection is not used again, unless it is a newer one.
    pub(crate) fn too_slow(&self, task: &'static str, limit: Duration) -> ChainError {
        self.link.condemn(limit);
        ChainError::Timeout { address: self.address().to_string(), task, seconds: limit.as_secs() }
    }
}

impl fmt::Debug for ChainClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChainClient({})", self.address())
    }
}
