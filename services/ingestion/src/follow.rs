//! The loop that keeps the snapshot new: finalized block → neurons and commitments → registry → Postgres → watchers.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use futures::StreamExt as _;
use kinitro_chain::{BlockRef, ChainClient, ChainError};
use sqlx::PgPool;
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::{
    Error,
    first::FirstCommitments,
    registry::{Rules, assess},
    snapshot::Snapshot,
    store::{Store, load_newest},
};

const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// What the service shows: the last snapshot, and when the chain was last read by this process.
#[derive(Debug, Clone, Default)]
pub struct View {
    pub snapshot: Option<Arc<Snapshot>>,
    pub read_at: Option<Instant>,
}

impl View {
    /// The snapshot is from an earlier run, perhaps even from another chain.
    pub fn is_stale(&self) -> bool {
        self.read_at.is_none()
    }
}

/// Follows one subnet.
pub struct Follower {
    pub chain: ChainClient,
    pub pool: PgPool,
    pub rules: Rules,
    pub view: watch::Sender<View>,
}

/// The memory of one connection to one chain.
struct Progress {
    store: Store,
    first: FirstCommitments,
    last: Option<Snapshot>,
}

impl Follower {
    /// Follows until `stop`. Whatever fails is logged with its source and tried again; nothing that was known is forgotten.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut pause = FIRST_PAUSE;
        loop {
            let error = tokio::select! {
                () = stop.cancelled() => return,
                result = self.follow(&mut pause) => match result {
                    Ok(never) => match never {},
                    Err(error) => error,
                },
            };
            tracing::warn!(%error, retry_seconds = pause.as_secs_f64(), "the subnet cannot be read; the last snapshot stays");
            if matches!(error, Error::Chain(ChainError::OtherChain { .. })) {
                self.begin_anew();
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// A client is bound to the chain that it first saw. Behind the same address there is another one now.
    fn begin_anew(&mut self) {
        self.view.send_modify(|view| view.read_at = None);
        match ChainClient::new(&self.chain.address().to_string()) {
            Ok(chain) => self.chain = chain,
            Err(error) => tracing::error!(%error, "the address of the chain was valid before"),
        }
    }

    /// Shows what an earlier process stored, until this one has read a block.
    async fn show_stored(&self) -> Result<(), Error> {
        if self.view.borrow().snapshot.is_none()
            && let Some(snapshot) = load_newest(&self.pool, self.rules.netuid).await?
        {
            tracing::info!(block = %snapshot.block.number, "showing the stored miners until the chain is read");
            self.view.send_replace(View { snapshot: Some(snapshot.into()), read_at: None });
        }
        Ok(())
    }

    async fn follow(&self, pause: &mut Duration) -> Result<std::convert::Infallible, Error> {
        self.show_stored().await?;
        let genesis = self.chain.genesis_hash().await?;
        let store = Store::new(self.pool.clone(), genesis, self.rules.netuid);
        let mut progress = Progress { first: store.first_commitments().await?, last: store.load().await?, store };
        tracing::info!(chain = %self.chain.address(), %genesis, netuid = self.rules.netuid, "following the chain");
        let mut blocks = std::pin::pin!(self.chain.follow_finalized(None));
        let mut done = None;
        loop {
            let block = blocks.next().await.transpose()?;
            let Some(block) = block.filter(|block| done.is_none_or(|done| block.number > done)) else { continue };
            // After a pause there are many; only the newest says who is to be evaluated.
            let head = self.chain.finalized_head().await?;
            let newest = if head.number > block.number { head } else { block };
            while !self.read(newest, &mut progress).await? {
                tracing::info!(block = %newest.number, "another replica was faster; reading again, knowing what it stored");
                progress.first = progress.store.first_commitments().await?;
                progress.last = progress.store.load().await?;
            }
            done = Some(newest.number);
            *pause = FIRST_PAUSE;
        }
    }

    /// Reads one block, stores and shows it. False when the store knows more than `progress`.
    async fn read(&self, block: BlockRef, progress: &mut Progress) -> Result<bool, Error> {
        if let Some(last) = progress.last.as_ref().filter(|last| last.block.number > block.number) {
            let (known, node) = (last.block.number, block.number);
            tracing::warn!(%known, %node, "the node is behind what was read before; waiting for it");
            return Ok(true);
        }
        let neurons = self.chain.neurons_at(block.hash, self.rules.netuid).await?;
        let commitments = self.chain.commitments_at(block.hash, self.rules.netuid).await?;
        let assessed = assess(neurons, commitments, &self.rules, &progress.first);
        let (opened, previous_key) = (assessed.opened.len(), assessed.with_previous_key());
        let snapshot = Snapshot { block, observed_at: now(), netuid: self.rules.netuid, miners: assessed.miners };

        let changed = progress.last.as_ref().is_none_or(|last| snapshot.differs_from(last));
        let stored = match changed {
            true => progress.store.save(&snapshot, &assessed.new_policies).await?,
            false => progress.store.touch(&snapshot).await?,
        };
        if !stored {
            return Ok(false);
        }
        if changed {
            progress.first.learn(assessed.new_policies);
            let count = |status: &str| snapshot.miners.iter().filter(|miner| miner.status.as_str() == status).count();
            let (active, invalid, duplicate) = (count("active"), count("invalid"), count("duplicate_endpoint"));
            let miners = snapshot.miners.len();
            tracing::info!(block = %block.number, miners, active, invalid, duplicate, opened, previous_key, "the miners changed");
        }
        metrics::gauge!("kinitro_ingestion_block").set(block.number.0 as f64);
        metrics::gauge!("kinitro_ingestion_miners").set(snapshot.miners.len() as f64);
        // Which key the sealed endpoints were sealed for: when none is left with the previous one, it can be removed.
        metrics::gauge!("kinitro_ingestion_sealed_miners", "key" => "current").set((opened - previous_key) as f64);
        metrics::gauge!("kinitro_ingestion_sealed_miners", "key" => "previous").set(previous_key as f64);
        progress.last = Some(snapshot.clone());
        self.view.send_replace(View { snapshot: Some(Arc::new(snapshot)), read_at: Some(Instant::now()) });
        Ok(true)
    }
}

/// Seconds and nanoseconds since 1970, in whole microseconds, because that is what Postgres keeps.
fn now() -> (i64, i32) {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    (
        i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
        i32::try_from(since.subsec_micros() * 1000).unwrap_or_default(),
    )
}
