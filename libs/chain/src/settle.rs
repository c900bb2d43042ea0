//! Following a transaction until it is certain what became of it.
//!
//! The node's own reports about a transaction end with the connection, so the blocks are read instead: every block from the
//! ticket's birth to its last block is looked through for the transaction's hash, finalized ones by number, the ones above along
//! the best chain. What was looked through is remembered by hash, so a reorganisation costs only the new blocks. A lost
//! connection costs only time.
//!
//! *Never* is said on finalized evidence alone: the last block of the era is finalized without the transaction, or the signer's
//! nonce at a finalized block is past the ticket's and no block up to there has it.

use std::{collections::HashSet, sync::Arc, time::Duration};

use futures::FutureExt as _;
use kinitro_domain::BlockNumber;
use sp_crypto_hashing::blake2_256;
use subxt::{SubstrateConfig, config::Config, rpcs::client::RpcSubscription};
use tokio::time::{Instant, sleep, timeout};

use crate::{
    BlockHash, BlockRef, ChainClient, ChainError, Fate, Ticket, Wait, account_of,
    link::{Connection, Pause},
};

/// An era of 64 blocks of 12 s, and what finalizing the last of them takes.
const SETTLE_LIMIT: Duration = Duration::from_secs(1_200);
/// A look is taken at least this often, announced block or not.
const LOOK_INTERVAL: Duration = Duration::from_secs(6);
/// How many looks in a row may fail for a reason other than the connection.
const NONSENSE_LIMIT: u32 = 5;
/// After how many finalized blocks without the transaction the same bytes are handed in again.
const OFFER_AFTER: u64 = 3;
/// How far the best chain is followed back.
const UNFINALIZED_LIMIT: usize = 256;

type Heads = RpcSubscription<<SubstrateConfig as Config>::Header>;

impl ChainClient {
    /// What became of a transaction, also after a restart of this process. Waits until that is certain as far as `wait` asks for.
    /// Meanwhile the ticket's own bytes are handed in again from time to time: they may never have arrived, and count once.
    ///
    /// # Errors
    /// [`ChainError::OtherChain`] when the node serves a chain on which the ticket was not signed, [`ChainError::Forgotten`] when
    /// the node keeps too little of a block that would tell. [`ChainError::Timeout`] or [`ChainError::Unreachable`] when the node
    /// was away, or made no blocks, for twenty minutes: ask again.
    pub async fn fate(&self, ticket: &Ticket, wait: Wait) -> Result<Fate, ChainError> {
        let mut search = Search::new(self, ticket, wait)?;
        let start = Instant::now();
        let (mut nonsense, mut pause) = (0, Pause::default());
        loop {
            let error = match search.look().await {
                Ok(Some(fate)) => return Ok(fate),
                Ok(None) => {
                    (nonsense, pause) = (0, Pause::default());
                    if start.elapsed() > SETTLE_LIMIT {
                        return Err(self.too_slow("getting a transaction into a block", SETTLE_LIMIT));
                    }
                    match search.news().await {
                        Ok(()) => continue,
                        Err(error) => error,
                    }
                }
                Err(error) => error,
            };
            match &error {
                ChainError::Unreachable { .. } | ChainError::Timeout { .. } => {}
                // A block that a reorganisation undid between two questions, or that one of several nodes at the same address
                // does not have yet, is no nonsense.
                ChainError::Node { .. } | ChainError::BlockNotFound { .. } | ChainError::Forgotten { .. }
                    if nonsense < NONSENSE_LIMIT =>
                {
                    nonsense += 1;
                }
                _ => return Err(error),
            }
            if start.elapsed() > SETTLE_LIMIT {
                return Err(error);
            }
            tracing::debug!(%error, transaction = %ticket.hash, "a transaction cannot be followed right now");
            search.heads = None;
            sleep(pause.next()).await;
        }
    }
}

impl ChainClient {
    /// Whether the node has a transaction, waiting or in its best chain.
    pub(crate) async fn holds(&self, ticket: &Ticket) -> Result<bool, ChainError> {
        const TASK: &str = "looking for a transaction among those that wait";
        // What leaves the pool after this question is in a block at the next.
        let connection = self.link.connection().await?;
        let pending = connection.pending().await.map_err(|error| connection.failed(TASK, error))?;
        let waits = |text: &String| {
            let bytes = hex::decode(text.trim_start_matches("0x"));
            bytes.is_ok_and(|bytes| blake2_256(&bytes) == ticket.hash.0)
        };
        if pending.iter().any(waits) {
            return Ok(true);
        }
        let fate = Search::new(self, ticket, Wait::Inclusion)?.look().await?;
        Ok(matches!(fate, Some(Fate::Included(_) | Fate::Failed(_))))
    }
}

struct Search<'a> {
    client: &'a ChainClient,
    ticket: &'a Ticket,
    signer: [u8; 32],
    bytes: Option<&'a [u8]>,
    wait: Wait,
    /// Whether the node has the block that the ticket was signed on.
    same_chain: bool,
    /// Finalized blocks up to here do not have the transaction.
    finalized: u64,
    /// When the bytes were last handed in, by finalized block.
    offered: u64,
    /// Blocks that do not have it, and whose ancestors do not have it either.
    searched: HashSet<BlockHash>,
    heads: Option<(Arc<Connection>, Heads)>,
}

impl<'a> Search<'a> {
    fn new(client: &'a ChainClient, ticket: &'a Ticket, wait: Wait) -> Result<Self, ChainError> {
        let birth = ticket.birth.number.0;
        Ok(Self {
            client,
            ticket,
            signer: account_of(&ticket.hotkey)?,
            bytes: ticket.bytes(),
            wait,
            same_chain: false,
            finalized: birth,
            offered: birth,
            searched: HashSet::new(),
            heads: None,
        })
    }

    async fn look(&mut self) -> Result<Option<Fate>, ChainError> {
        let head = self.client.finalized_head().await?;
        if head.number < self.ticket.birth.number {
            // The node is still catching up.
            return Ok(None);
        }
        self.check_chain().await?;
        let last = self.ticket.last_block.0;
        while self.finalized < head.number.0.min(last) {
            let number = BlockNumber(self.finalized + 1);
            let hash = self.client.block_hash(number).await?.ok_or_else(|| self.client.no_block(number))?;
            let fate = self.search(BlockRef { number, hash }).await.map_err(|error| match error {
                // No reorganisation undid a finalized block: the node keeps no old ones.
                ChainError::BlockNotFound { address, .. } => {
                    ChainError::Forgotten { address, transaction: self.ticket.hash, block: number.0 }
                }
                error => error,
            })?;
            if fate.is_some() {
                return Ok(fate);
            }
            self.finalized = number.0;
        }
        if head.number.0 >= last {
            return Ok(Some(Fate::NeverIncluded));
        }
        if self.wait == Wait::Inclusion
            && let Some(fate) = self.look_above().await?
        {
            return Ok(Some(fate));
        }
        if self.client.nonce_at(head.hash, &self.signer).await? > self.ticket.nonce {
            return Ok(Some(Fate::NeverIncluded));
        }
        self.offer(head.number.0).await?;
        Ok(None)
    }

    async fn check_chain(&mut self) -> Result<(), ChainError> {
        let BlockRef { number, hash: expected } = self.ticket.birth;
        if !self.same_chain {
            let found = self.client.block_hash(number).await?.ok_or_else(|| self.client.no_block(number))?;
            if found != expected {
                let address = self.client.address().to_string();
                return Err(ChainError::OtherChain { address, number: number.0, expected, found });
            }
            self.same_chain = true;
        }
        Ok(())
    }

    /// The blocks of the best chain that are not finalized, oldest first, so that a block counts as searched only when its
    /// ancestors are.
    async fn look_above(&mut self) -> Result<Option<Fate>, ChainError> {
        const TASK: &str = "following the best chain";
        let mut block = self.client.best_head().await?;
        let mut above = Vec::new();
        while block.number.0 > self.finalized && !self.searched.contains(&block.hash) && above.len() < UNFINALIZED_LIMIT
        {
            above.push(block);
            let connection = self.client.link.connection().await?;
            let header = connection.methods.chain_get_header(Some(block.hash.into())).await;
            let header = header.map_err(|error| connection.failed(TASK, error))?;
            let header = header.ok_or_else(|| self.client.no_block(block.hash))?;
            let Some(number) = block.number.0.checked_sub(1) else { break };
            block = BlockRef { number: BlockNumber(number), hash: header.parent_hash.into() };
        }
        for block in above.into_iter().rev() {
            if block.number <= self.ticket.last_block
                && let Some(fate) = self.search(block).await?
            {
                return Ok(Some(fate));
            }
        }
        Ok(None)
    }

    async fn search(&mut self, block: BlockRef) -> Result<Option<Fate>, ChainError> {
        if self.searched.contains(&block.hash) {
            return Ok(None);
        }
        let fate = self.client.fate_in(block, self.ticket).await?;
        if fate.is_none() {
            self.searched.insert(block.hash);
        }
        Ok(fate)
    }

    /// Hands in the same bytes again. A refusal says nothing: the transaction may be in a block or in the pool.
    async fn offer(&mut self, finalized: u64) -> Result<(), ChainError> {
        let Some(bytes) = self.bytes.filter(|_| finalized >= self.offered + OFFER_AFTER) else { return Ok(()) };
        let connection = self.client.link.connection().await?;
        match connection.methods.author_submit_extrinsic(bytes).await {
            Ok(_) | Err(subxt::rpcs::Error::User(_)) => {
                self.offered = finalized;
                Ok(())
            }
            Err(error) => Err(connection.failed("submitting a transaction again", error)),
        }
    }

    /// Waits for a new block, or for a while.
    async fn news(&mut self) -> Result<(), ChainError> {
        const TASK: &str = "subscribing to new blocks";
        if self.heads.is_none() {
            let connection = self.client.link.connection().await?;
            let heads = connection.methods.chain_subscribe_new_heads().await;
            let heads = heads.map_err(|error| connection.failed(TASK, error))?;
            self.heads = Some((connection, heads));
            // What came between the look and the subscription is not announced.
            return Ok(());
        }
        let Some((connection, heads)) = &mut self.heads else { return Ok(()) };
        match timeout(LOOK_INTERVAL, heads.next()).await {
            Err(_) => return Ok(()),
            Ok(Some(Ok(_))) => {}
            Ok(Some(Err(error))) => return Err(connection.failed(TASK, error)),
            Ok(None) => return Err(connection.failed(TASK, "the subscription ended")),
        }
        // Announcements that are waiting already are answered by the same look.
        while let Some(Some(Ok(_))) = heads.next().now_or_never() {}
        Ok(())
    }
}
