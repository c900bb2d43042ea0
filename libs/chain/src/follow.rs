//! Following the finalized chain through gaps, reorganisations and outages.
//!
//! The node's announcements only say how far the chain is finalized; every block up to there is then asked for by its number.
//! So a block that was announced twice, late or not at all comes exactly once and in order, and a block that a reorganisation
//! undid never comes: nothing above the finalized height is asked for.

use std::{sync::Arc, time::Duration};

use futures::{Stream, StreamExt as _, stream};
use kinitro_domain::BlockNumber;
use subxt::{
    SubstrateConfig,
    config::{Config, Header as _},
    rpcs::client::RpcSubscription,
};
use tokio::time::{sleep, timeout};

use crate::{
    BlockRef, ChainClient, ChainError,
    link::{Connection, Pause},
};

/// Blocks are finalized every few seconds: a subscription that says nothing for this long is made anew.
const SILENCE_LIMIT: Duration = Duration::from_secs(120);

type Heads = RpcSubscription<<SubstrateConfig as Config>::Header>;

struct Follower {
    client: ChainClient,
    heads: Option<(Arc<Connection>, Heads)>,
    /// The block to give out next; `None` until the head is known.
    next: Option<u64>,
    /// How far the chain is known to be finalized.
    finalized: u64,
    pause: Pause,
    /// How long to wait before trying again; zero while all is well.
    delay: Duration,
}

impl ChainClient {
    /// Every finalized block after `after`, in order and without gaps; with `None`, from the block that is finalized now.
    ///
    /// The stream never ends. An error says that the node is away (or stopped answering sensibly); it has been waited for with
    /// growing pauses, and the stream goes on with the next block as soon as the node is back. Blocks below the node's
    /// finalized head are given out as fast as they are polled, so a caller that was away for long should begin near the head
    /// when it only needs the newest state. When `after` is above the head, the stream waits: compare
    /// [`genesis_hash`](Self::genesis_hash) first.
    pub fn follow_finalized(
        &self,
        after: Option<BlockNumber>,
    ) -> impl Stream<Item = Result<BlockRef, ChainError>> + Send + use<> {
        let follower = Follower {
            client: self.clone(),
            heads: None,
            next: after.map(|block| block.0.saturating_add(1)),
            finalized: 0,
            pause: Pause::default(),
            delay: Duration::ZERO,
        };
        stream::unfold(follower, |mut follower| async {
            let item = follower.advance().await;
            if let Err(error) = &item {
                tracing::debug!(%error, "the finalized chain cannot be followed");
                follower.heads = None;
                follower.delay = follower.pause.next();
            } else {
                (follower.pause, follower.delay) = (Pause::default(), Duration::ZERO);
            }
            Some((item, follower))
        })
        .boxed()
    }
}

impl Follower {
    async fn advance(&mut self) -> Result<BlockRef, ChainError> {
        loop {
            if self.heads.is_none() {
                sleep(self.delay).await;
                self.subscribe().await?;
            }
            if let Some(next) = self.next.filter(|next| *next <= self.finalized) {
                let number = BlockNumber(next);
                let hash = self.client.block_hash(number).await?.ok_or_else(|| self.client.no_block(number))?;
                self.next = Some(next.saturating_add(1));
                return Ok(BlockRef { number, hash });
            }
            self.wait().await?;
        }
    }

    async fn subscribe(&mut self) -> Result<(), ChainError> {
        const TASK: &str = "subscribing to finalized blocks";
        let connection = self.client.link.connection().await?;
        let heads = connection.methods.chain_subscribe_finalized_heads().await;
        let heads = heads.map_err(|error| connection.failed(TASK, error))?;
        let head = self.client.finalized_head().await?;
        self.finalized = head.number.0;
        self.next.get_or_insert(head.number.0);
        self.heads = Some((connection, heads));
        Ok(())
    }

    /// Waits until more of the chain is finalized.
    async fn wait(&mut self) -> Result<(), ChainError> {
        const TASK: &str = "following finalized blocks";
        let Some((connection, heads)) = &mut self.heads else { return Ok(()) };
        let announced = timeout(SILENCE_LIMIT, heads.next()).await;
        match announced.map_err(|_| self.client.too_slow(TASK, SILENCE_LIMIT))? {
            Some(Ok(header)) => {
                self.finalized = self.finalized.max(header.number());
                Ok(())
            }
            Some(Err(error)) => Err(connection.failed(TASK, error)),
            None => Err(connection.failed(TASK, "the subscription ended")),
        }
    }
}
