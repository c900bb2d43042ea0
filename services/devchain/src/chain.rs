//! The chain: blocks, heads, finality, and the making of blocks. No sockets here.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use parity_scale_codec::Encode as _;
use sp_crypto_hashing::blake2_256;
use tokio::sync::watch;

use crate::{
    Config, Error,
    beacon::ChainBeacon,
    block::{Block, Hash, Header},
    clock::Clock,
    extrinsic::{Extrinsic, Invalid},
    faults::Faults,
    genesis,
    meta::Meta,
    pool::{Pool, Waiting},
    runtime::{Edit, Execution},
    state::State,
};

/// For how many blocks state, bodies and the blocks that were reorganised away are kept.
const HISTORY: u32 = 512;

/// One chain; clones are the same chain.
#[derive(Clone)]
pub(crate) struct Chain {
    pub meta: Arc<Meta>,
    pub netuid: u16,
    pub faults: Faults,
    finality_lag: u32,
    clock: Clock,
    beacon: Arc<ChainBeacon>,
    inner: Arc<Mutex<Inner>>,
    changed: watch::Sender<u64>,
}

struct Inner {
    blocks: HashMap<Hash, Block>,
    /// The hashes of the best chain, by number.
    best_chain: Vec<Hash>,
    finalized: u32,
    /// Blocks that a reorganisation dropped.
    orphans: Vec<(u32, Hash)>,
    pool: Pool,
    /// In which block of the best chain a transaction is.
    included: HashMap<Hash, u32>,
    /// Told apart from the block that it replaces.
    reorganisations: u32,
}

/// Where a transaction is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whereabouts {
    Waiting,
    InBlock(Hash),
    Finalized(Hash),
    Gone,
}

impl Chain {
    pub(crate) fn new(config: &Config) -> Result<Self, Error> {
        let meta = Meta::load(&config.metadata_dir(), config.spec)?;
        let (netuid, neurons) = config.seeds()?;
        let clock = Clock::start(config.block_ms);
        let now = clock.at(0);
        let beacon = ChainBeacon::new(now).map_err(Error::Beacon)?;
        let state = genesis::state(&meta, &beacon, netuid, &config.subnet.each(), &neurons, now)?;
        // Clients cache metadata by genesis hash and spec version: another start or another metadata is another chain.
        let identity = (meta.hash(), now, rand::random::<[u8; 32]>()).encode();
        let header = Header { parent: [0; 32], number: 0, state_root: blake2_256(&identity), extrinsics_root: [0; 32] };
        let genesis = header.hash();
        let inner = Inner {
            blocks: HashMap::from([(genesis, Block { header, extrinsics: Vec::new(), state: Some(state.into()) })]),
            best_chain: vec![genesis],
            finalized: 0,
            orphans: Vec::new(),
            pool: Pool::default(),
            included: HashMap::new(),
            reorganisations: 0,
        };
        Ok(Self {
            meta: meta.into(),
            netuid,
            faults: Faults::default(),
            finality_lag: config.finality_lag,
            clock,
            beacon: beacon.into(),
            inner: Arc::new(Mutex::new(inner)),
            changed: watch::Sender::new(0),
        })
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // A block is put in whole at the end of its making, so a panic elsewhere leaves nothing half done.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes up after every change of the heads.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    fn announce(&self) {
        self.changed.send_modify(|version| *version += 1);
    }

    /// How long a block takes by the chain's clock.
    pub(crate) fn slot_ms(&self) -> u64 {
        self.clock.slot_ms()
    }

    /// Lets time pass on the chain's clock without a block.
    pub(crate) fn pass_time(&self, time: Duration) {
        self.clock.pass(time);
    }

    pub(crate) fn genesis(&self) -> Hash {
        self.inner().best_chain[0]
    }

    pub(crate) fn best(&self) -> Header {
        let inner = self.inner();
        inner.best_block().header.clone()
    }

    pub(crate) fn finalized(&self) -> Header {
        let inner = self.inner();
        inner.blocks[&inner.best_chain[inner.finalized as usize]].header.clone()
    }

    pub(crate) fn hash_at(&self, number: u64) -> Option<Hash> {
        let inner = self.inner();
        inner.best_chain.get(usize::try_from(number).ok()?).copied()
    }

    /// The state of the best head.
    pub(crate) fn best_state(&self) -> Arc<State> {
        let inner = self.inner();
        inner.best_block().state.clone().expect("the newest block is never pruned")
    }

    pub(crate) fn block(&self, hash: &Hash) -> Option<Block> {
        self.inner().blocks.get(hash).cloned()
    }

    /// The headers of the best chain after a number, up to another one.
    pub(crate) fn headers(&self, after: u32, until: u32) -> Vec<Header> {
        let inner = self.inner();
        let wanted = inner.best_chain.iter().take(until as usize + 1).skip(after as usize + 1);
        wanted.map(|hash| inner.blocks[hash].header.clone()).collect()
    }

    /// The next nonce of an account, waiting transactions included.
    pub(crate) fn next_nonce(&self, account: &[u8; 32]) -> Result<u32, Error> {
        let inner = self.inner();
        let stored = Execution::nonce(&self.meta, inner.best_state(), account)?;
        Ok(inner.pool.next_nonce(account, stored))
    }

    pub(crate) fn waiting(&self) -> Vec<Arc<[u8]>> {
        self.inner().pool.iter().map(|waiting| waiting.extrinsic.bytes.clone()).collect()
    }

    /// Checks a transaction and lets it wait for the next block.
    pub(crate) fn submit(&self, bytes: &[u8]) -> Result<Hash, Invalid> {
        let extrinsic = Extrinsic::decode(&self.meta, bytes)?;
        let mut inner = self.inner();
        let current = inner.best_number();
        // As seen from the block that it would be in.
        let birth = extrinsic.era.birth(u64::from(current) + 1);
        let birth = usize::try_from(birth).ok().and_then(|birth| inner.best_chain.get(birth)).copied();
        let birth = birth.ok_or_else(|| Invalid::transaction("Transaction has an ancient birth block"))?;
        if !extrinsic.signature_is_good(&self.meta, &inner.best_chain[0], &birth) {
            return Err(Invalid::transaction("Transaction has a bad signature"));
        }
        let nonce = Execution::nonce(&self.meta, inner.best_state(), &extrinsic.account)
            .map_err(|error| Invalid::transaction(&error.to_string()))?;
        let hash = extrinsic.hash;
        inner.pool.add(Waiting { extrinsic, birth, since: current }, nonce)?;
        Ok(hash)
    }

    pub(crate) fn whereabouts(&self, transaction: &Hash) -> Whereabouts {
        let inner = self.inner();
        match inner.included.get(transaction) {
            Some(number) if *number <= inner.finalized => Whereabouts::Finalized(inner.best_chain[*number as usize]),
            Some(number) => Whereabouts::InBlock(inner.best_chain[*number as usize]),
            None if inner.pool.contains(transaction) => Whereabouts::Waiting,
            None => Whereabouts::Gone,
        }
    }

    /// Makes one block on top of the best one; answers its number.
    pub(crate) fn advance(&self, edits: &[Edit]) -> Result<u32, Error> {
        let mut inner = self.inner();
        self.make_block(&mut inner, edits, !self.faults.holds_transactions())?;
        inner.finalized = inner.finalized.max(inner.best_number().saturating_sub(self.finality_lag));
        inner.prune();
        let number = inner.best_number();
        drop(inner);
        self.announce();
        Ok(number)
    }

    /// Drops the last `depth` blocks and makes `depth + 1` empty ones in their place, so that the new branch is the longer one.
    /// Transactions go back to waiting, as on a real node; what the control interface did in those blocks is undone.
    pub(crate) fn reorganise(&self, depth: u32) -> Result<u32, Error> {
        let mut inner = self.inner();
        let unfinalized = inner.best_number() - inner.finalized;
        if depth > unfinalized {
            return Err(Error::ReorgTooDeep { depth, unfinalized });
        }
        inner.reorganisations += 1;
        let mut retracted = Vec::new();
        let keep = inner.best_chain.len() - depth as usize;
        for hash in inner.best_chain.split_off(keep) {
            let block = inner.blocks[&hash].clone();
            inner.orphans.push((block.header.number, hash));
            for bytes in &block.extrinsics {
                inner.included.remove(&blake2_256(bytes));
                // It was decoded and checked before it got into the block; only its birth block may be gone now.
                if let Ok(extrinsic) = Extrinsic::decode(&self.meta, bytes) {
                    let birth = extrinsic.era.birth(block.header.number.into());
                    if let Some(birth) = inner.best_chain.get(birth as usize).copied() {
                        retracted.push(Waiting { extrinsic, birth, since: block.header.number });
                    }
                }
            }
        }
        inner.pool.give_back(retracted);
        for _ in 0..=depth {
            self.make_block(&mut inner, &[], false)?;
        }
        inner.finalized = inner.finalized.max(inner.best_number().saturating_sub(self.finality_lag));
        inner.prune();
        let number = inner.best_number();
        drop(inner);
        self.announce();
        Ok(number)
    }

    fn make_block(&self, inner: &mut Inner, edits: &[Edit], with_transactions: bool) -> Result<(), Error> {
        let parent = inner.best_block();
        let number = parent.header.number + 1;
        let mut execution = Execution::new(&self.meta, &self.beacon, inner.best_state().clone(), self.netuid, number);
        execution.initialise(self.clock.at(number))?;
        for edit in edits {
            execution.edit(edit)?;
        }
        let mut extrinsics: Vec<&Extrinsic> = Vec::new();
        if with_transactions {
            let valid = |waiting: &&Waiting| inner.born_in(waiting, number);
            let mut ready: Vec<_> = inner.pool.iter().filter(valid).map(|waiting| &waiting.extrinsic).collect();
            ready.sort_by_key(|extrinsic| extrinsic.nonce);
            for extrinsic in ready {
                if Execution::nonce(&self.meta, &execution.state, &extrinsic.account)? == extrinsic.nonce {
                    execution.apply(u32::try_from(extrinsics.len()).unwrap_or(u32::MAX), extrinsic)?;
                    extrinsics.push(extrinsic);
                }
            }
        }
        let events = execution.finish()?;

        let bodies: Vec<Arc<[u8]>> = extrinsics.iter().map(|extrinsic| extrinsic.bytes.clone()).collect();
        let mut body = Vec::new();
        for bytes in &bodies {
            body.extend(blake2_256(bytes));
        }
        let executed = (parent.header.state_root, &events, edits, inner.reorganisations).encode();
        let header = Header {
            parent: inner.best_chain[inner.best_chain.len() - 1],
            number,
            state_root: blake2_256(&executed),
            extrinsics_root: blake2_256(&body),
        };
        let included: Vec<Hash> = extrinsics.iter().map(|extrinsic| extrinsic.hash).collect();
        let (hash, state) = (header.hash(), Some(Arc::new(execution.state)));
        inner.included.extend(included.into_iter().map(|transaction| (transaction, number)));
        inner.blocks.insert(hash, Block { header, extrinsics: bodies, state });
        inner.best_chain.push(hash);
        inner.drop_settled(number + 1);
        inner.drop_stranded(&self.meta, number)
    }
}

impl Inner {
    fn best_block(&self) -> &Block {
        &self.blocks[&self.best_chain[self.best_chain.len() - 1]]
    }

    fn best_number(&self) -> u32 {
        self.best_block().header.number
    }

    fn best_state(&self) -> &State {
        self.best_block().state.as_ref().expect("the newest block is never pruned")
    }

    /// Whether a transaction's era, seen from the block that is made, still begins in the block that was signed.
    fn born_in(&self, waiting: &Waiting, made: u32) -> bool {
        let birth = waiting.extrinsic.era.birth(made.into());
        usize::try_from(birth).is_ok_and(|birth| self.best_chain.get(birth) == Some(&waiting.birth))
    }

    /// Takes out of the pool what is in a block or can never be in one.
    fn drop_settled(&mut self, next: u32) {
        let mut pool = std::mem::take(&mut self.pool);
        pool.retain(|waiting| !self.included.contains_key(&waiting.extrinsic.hash) && self.born_in(waiting, next));
        self.pool = pool;
    }

    /// Takes out of the pool what has waited for an earlier nonce for too long.
    fn drop_stranded(&mut self, meta: &Meta, number: u32) -> Result<(), Error> {
        let mut stranded = Vec::new();
        for waiting in self.pool.older_than(number) {
            let Extrinsic { account, nonce, hash, .. } = &waiting.extrinsic;
            if self.pool.next_nonce(account, Execution::nonce(meta, self.best_state(), account)?) <= *nonce {
                stranded.push(*hash);
            }
        }
        self.pool.retain(|waiting| !stranded.contains(&waiting.extrinsic.hash));
        Ok(())
    }

    fn prune(&mut self) {
        let Some(old) = self.best_number().checked_sub(HISTORY) else { return };
        if let Some(block) = self.blocks.get_mut(&self.best_chain[old as usize]) {
            block.state = None;
            for bytes in std::mem::take(&mut block.extrinsics) {
                self.included.remove(&blake2_256(&bytes));
            }
        }
        let blocks = &mut self.blocks;
        self.orphans.retain(|(number, hash)| {
            let young = *number > old;
            if !young {
                blocks.remove(hash);
            }
            young
        });
    }
}
