//! The chain's own time, which decides what the chain does at a block; a machine's clock may be wrong, and a chain may stand still.

use std::time::Duration;

use subxt::dynamic;

use crate::{BlockHash, ChainClient, ChainError};

impl ChainClient {
    /// The time at a block, since 1970, as its author wrote it down.
    pub async fn time_at(&self, block: BlockHash) -> Result<Duration, ChainError> {
        const TASK: &str = "reading the time of a block";
        self.reading(TASK, async {
            let (connection, at) = self.at(block, TASK).await?;
            let now = at.storage().try_fetch(dynamic::storage::<(), u64>("Timestamp", "Now"), ()).await;
            let now = now.map_err(|error| connection.failed(TASK, error))?;
            let now = now.ok_or_else(|| connection.failed(TASK, "the block has no time"))?;
            now.decode().map(Duration::from_millis).map_err(|error| connection.failed(TASK, error))
        })
        .await
    }
}
