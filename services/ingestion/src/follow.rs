//! The loop that keeps the snapshot new: finalized block → neurons and commitments → registry → Postgres → watchers.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use futures::StreamExt as _;
use kinitro_chain::{BlockHash, BlockRef, ChainClient, ChainError, Neuron, RawCommitment};
use kinitro_chassis::BackOff;
use kinitro_domain::BlockNumber;
use sqlx::PgPool;
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::{
    Error,
    first::{FirstCommitments, PolicyKey},
    registry::{Rules, assess},
    skipped::Gap,
    snapshot::Snapshot,
    store::{Store, load_newest},
};

const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// How often a block is assessed again because another replica stored something meanwhile, and how soon.
const ATTEMPTS: u32 = 10;
const ATTEMPT_PAUSE: Duration = Duration::from_millis(50);
/// 139 days at 12 s a block. What a node says is ahead by more is no height of this chain; stored, it would make every true block an
/// old one.
const LONGEST_JUMP: u64 = 1_000_000;

/// What the service shows: the last snapshot, and when the chain was last read by this process.
#[derive(Debug, Clone, Default)]
pub struct View {
    pub snapshot: Option<Arc<Snapshot>>,
    pub read_at: Option<Instant>,
    /// Why the chain cannot be read now.
    pub fault: Option<Arc<str>>,
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

impl Progress {
    /// In this order: what is known of first commitments must be no older than the block that counts as read.
    async fn load(store: Store) -> Result<Self, sqlx::Error> {
        let last = store.load().await?;
        Ok(Self { first: store.first_commitments().await?, last, store })
    }

    fn block(&self) -> Option<BlockNumber> {
        self.last.as_ref().map(|last| last.block.number)
    }
}

/// What the chain says at one block, and what it said in the blocks before it that were skipped.
struct Reading<'a> {
    block: BlockRef,
    neurons: Vec<Neuron>,
    commitments: Vec<RawCommitment>,
    replaced: &'a BTreeMap<PolicyKey, BlockNumber>,
}

impl Follower {
    /// Follows until `stop`. Whatever fails is logged with its source and tried again; nothing that was known is forgotten.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut back_off = BackOff::new(FIRST_PAUSE, LONGEST_PAUSE);
        let mut gap = Gap::default();
        loop {
            let error = tokio::select! {
                () = stop.cancelled() => return,
                result = self.follow(&mut gap, &mut back_off) => match result {
                    Ok(never) => match never {},
                    Err(error) => error,
                },
            };
            if gap.take_advanced() {
                back_off.reset();
            }
            let pause = back_off.pause();
            let retry_seconds = pause.as_secs_f64();
            match &error {
                // Nothing mends this but another setting.
                Error::NoSubnet { .. } => tracing::error!(%error, retry_seconds, "the subnet is not on the chain"),
                _ => tracing::warn!(%error, retry_seconds, "the subnet cannot be read; the last snapshot stays"),
            }
            self.view.send_modify(|view| view.fault = Some(error.to_string().into()));
            if matches!(error, Error::Chain(ChainError::OtherChain { .. })) {
                self.begin_anew();
                gap = Gap::default();
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
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
            self.view.send_modify(|view| view.snapshot = Some(snapshot.into()));
        }
        Ok(())
    }

    async fn follow(&self, gap: &mut Gap, back_off: &mut BackOff) -> Result<std::convert::Infallible, Error> {
        self.show_stored().await?;
        let genesis = self.chain.genesis_hash().await?;
        let store = Store::new(self.pool.clone(), genesis, self.rules.netuid);
        let mut progress = Progress::load(store).await?;
        tracing::info!(chain = %self.chain.address(), %genesis, netuid = self.rules.netuid, "following the chain");
        let mut blocks = std::pin::pin!(self.chain.follow_finalized(None));
        let mut done = None;
        loop {
            let block = blocks.next().await.transpose()?;
            let Some(block) = block.filter(|block| done.is_none_or(|done| block.number > done)) else { continue };
            // After a pause there are many; only the newest says who is to be evaluated.
            let newest = self.newest(block, progress.block()).await?;
            match progress.block().filter(|known| *known > newest.number) {
                None => {
                    let reading = self.read(newest, progress.block(), gap).await?;
                    self.assess(&reading, &mut progress).await?;
                    *gap = Gap::default();
                }
                Some(known) => {
                    let node = newest.number;
                    tracing::warn!(%known, %node, "the node is behind what was read before; waiting for it");
                }
            }
            done = Some(newest.number);
            back_off.reset();
        }
    }

    /// The node's finalized block, or the announced one when that is newer.
    async fn newest(&self, announced: BlockRef, known: Option<BlockNumber>) -> Result<BlockRef, Error> {
        let head = self.chain.finalized_head().await?;
        let newest = if head.number > announced.number {
            check_head(head, self.chain.block_hash(head.number).await?)?;
            head
        } else {
            announced
        };
        check_jump(known, newest.number)?;
        Ok(newest)
    }

    async fn read<'a>(
        &self,
        block: BlockRef,
        known: Option<BlockNumber>,
        gap: &'a mut Gap,
    ) -> Result<Reading<'a>, Error> {
        let neurons = self.chain.neurons_at(block.hash, self.rules.netuid).await?;
        if neurons.is_empty() {
            self.check_subnet(block.hash).await?;
        }
        let commitments = self.chain.commitments_at(block.hash, self.rules.netuid).await?;
        let replaced = gap.replaced_policies(&self.chain, &self.rules, known, block, &commitments).await?;
        Ok(Reading { block, neurons, commitments, replaced })
    }

    /// Whether the subnet is there at all: of one that is not, the chain says as of an empty one that nobody is registered.
    async fn check_subnet(&self, block: BlockHash) -> Result<(), Error> {
        let netuids = self.chain.netuids_at(block).await?;
        match netuids.contains(&self.rules.netuid) {
            true => Ok(()),
            false => Err(Error::NoSubnet {
                netuid: self.rules.netuid,
                address: self.chain.address().to_string(),
                existing: ranges(&netuids),
            }),
        }
    }

    /// Assesses a block, stores and shows what came of it; anew, as long as another replica stores something meanwhile.
    async fn assess(&self, reading: &Reading<'_>, progress: &mut Progress) -> Result<(), Error> {
        for _ in 0..ATTEMPTS {
            if self.store(reading, progress).await? {
                return Ok(());
            }
            tracing::info!(block = %reading.block.number, "another replica was faster; assessing again, knowing what it stored");
            tokio::time::sleep(ATTEMPT_PAUSE).await;
            *progress = Progress::load(progress.store.clone()).await?;
            if progress.block().is_some_and(|known| known > reading.block.number) {
                return Ok(());
            }
        }
        Err(Error::NotStored { block: reading.block.number })
    }

    /// False when the store knows more than `progress`, which then has to be loaded anew.
    async fn store(&self, reading: &Reading<'_>, progress: &mut Progress) -> Result<bool, Error> {
        let Reading { block, neurons, commitments, replaced } = reading;
        let unknown = |(key, block): (&PolicyKey, &BlockNumber)| match progress.first.of_policy(key) {
            None => Some((key.clone(), *block)),
            Some(_) => None,
        };
        let mut new_policies: Vec<(PolicyKey, BlockNumber)> = replaced.iter().filter_map(unknown).collect();
        progress.first.learn(new_policies.iter().cloned());
        let assessed = assess(block.number, neurons.clone(), commitments.clone(), &self.rules, &progress.first);
        let (opened, previous_key) = (assessed.opened.len(), assessed.with_previous_key());
        let snapshot =
            Snapshot { block: *block, observed_at: now(), netuid: self.rules.netuid, miners: assessed.miners };
        new_policies.extend(assessed.new_policies);

        let changed = progress.last.as_ref().is_none_or(|last| snapshot.differs_from(last)) || !new_policies.is_empty();
        let new = changed.then_some(&new_policies[..]);
        if !progress.store.save(&snapshot, &progress.first, new).await? {
            return Ok(false);
        }
        if changed {
            progress.first.saved(new_policies);
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
        self.view.send_replace(View { snapshot: Some(Arc::new(snapshot)), read_at: Some(Instant::now()), fault: None });
        Ok(true)
    }
}

/// Sorted numbers in ranges, e.g. `0-3, 7`; `none` when there are none. Of very many ranges only the first are shown.
fn ranges(sorted: &[u16]) -> String {
    const SHOWN: usize = 20;
    let runs: Vec<&[u16]> = sorted.chunk_by(|one, next| one.checked_add(1) == Some(*next)).collect();
    let shown = runs.iter().take(SHOWN).map(|run| match run {
        [first, .., last] => format!("{first}-{last}"),
        run => run.iter().map(u16::to_string).collect(),
    });
    let shown = shown.collect::<Vec<_>>().join(", ");
    match (runs.is_empty(), runs.len() > SHOWN) {
        (true, _) => "none".to_owned(),
        (false, true) => format!("{shown} and others"),
        (false, false) => shown,
    }
}

/// Whether the node's finalized block is the one that it has at this height.
fn check_head(head: BlockRef, at_its_height: Option<BlockHash>) -> Result<(), Error> {
    let what = match at_its_height {
        Some(hash) if hash == head.hash => return Ok(()),
        Some(hash) => format!("block {} is {hash}, and the finalized block of that height {}", head.number, head.hash),
        None => format!("block {} is finalized, and there is no block of that height", head.number),
    };
    Err(Error::BadNode { what })
}

fn check_jump(known: Option<BlockNumber>, newest: BlockNumber) -> Result<(), Error> {
    match known.filter(|known| newest.0.saturating_sub(known.0) > LONGEST_JUMP) {
        None => Ok(()),
        Some(known) => {
            let what =
                format!("block {newest} is finalized, more than {LONGEST_JUMP} blocks after the last one, {known}");
            Err(Error::BadNode { what })
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_that_contradicts_itself_is_not_believed() {
        let hash = |byte| BlockHash([byte; 32]);
        let head = BlockRef { number: BlockNumber(4_000_000_000), hash: hash(1) };
        assert!(check_head(head, Some(hash(1))).is_ok());
        for (other, why) in [(Some(hash(2)), "the finalized block of that height"), (None, "no block of that height")] {
            let refused = check_head(head, other).expect_err(why).to_string();
            assert!(refused.contains(why) && refused.contains("4000000000"), "{refused}");
        }
    }

    #[test]
    fn subnets_are_shown_in_ranges() {
        for (netuids, shown) in
            [(&[][..], "none"), (&[7], "7"), (&[0, 1, 2, 5, 7, 8], "0-2, 5, 7-8"), (&[u16::MAX], "65535")]
        {
            assert_eq!(ranges(netuids), shown);
        }
        let scattered: Vec<u16> = (0..4_096).map(|number| number * 2).collect();
        assert!(ranges(&scattered).ends_with("38 and others"), "{}", ranges(&scattered));
    }

    #[test]
    fn a_height_that_the_chain_cannot_have_is_not_believed() {
        let check = |known: Option<u64>, newest| check_jump(known.map(BlockNumber), BlockNumber(newest));
        for (known, newest) in [(None, u64::MAX), (Some(7), 1_000_007), (Some(7), 7), (Some(u64::MAX), 7)] {
            assert!(check(known, newest).is_ok(), "{known:?} {newest}");
        }
        for newest in [1_000_008, u32::MAX.into(), u64::MAX] {
            let refused = check(Some(7), newest).expect_err("too far").to_string();
            assert!(refused.contains("more than 1000000 blocks after"), "{refused}");
        }
    }
}
