//! Subscriptions to new blocks.

use std::{
    collections::{HashSet, VecDeque},
    sync::Arc,
};

use jsonrpsee::{
    PendingSubscriptionSink, SubscriptionSink,
    core::{SubscriptionError, to_json_raw_value},
};

use super::methods::{Methods, Node};
use crate::{
    block::{Hash, Header},
    chain::Chain,
};

/// How many blocks back a follower of all heads looks for one that it told already.
const BRANCH_LIMIT: usize = 512;

#[derive(Clone, Copy)]
enum Heads {
    /// The best head; after a reorganisation only the new one, as by a real node.
    Best,
    /// Every block that becomes part of the best chain, also those of a new branch.
    All,
    Finalized,
}

pub(crate) fn register(methods: &mut Methods) {
    for (names, heads) in [
        (["chain_subscribeNewHeads", "chain_newHead", "chain_unsubscribeNewHeads"], Heads::Best),
        (["chain_subscribeAllHeads", "chain_allHead", "chain_unsubscribeAllHeads"], Heads::All),
        (["chain_subscribeFinalizedHeads", "chain_finalizedHead", "chain_unsubscribeFinalizedHeads"], Heads::Finalized),
    ] {
        methods.subscription(names, move |_, pending, node, _| follow(pending, node, heads));
    }
}

async fn follow(pending: PendingSubscriptionSink, node: Arc<Node>, heads: Heads) -> Result<(), SubscriptionError> {
    let sink = pending.accept().await?;
    let chain = &node.chain;
    let mut changes = chain.changes();
    let head = || if matches!(heads, Heads::Finalized) { chain.finalized() } else { chain.best() };
    let mut last = head();
    let mut told = Told::default();
    if matches!(heads, Heads::All) {
        // What is older than the subscription is not new.
        let older = told.branch(chain, &last);
        older.iter().for_each(|header| told.add(header.hash()));
    }
    send(&sink, &last).await?;
    loop {
        tokio::select! {
            () = sink.closed() => return Ok(()),
            changed = changes.changed() => if changed.is_err() { return Ok(()) },
        }
        let new = head();
        if new.hash() == last.hash() {
            continue;
        }
        let headers = match heads {
            Heads::All => told.branch(chain, &new),
            Heads::Best | Heads::Finalized if chain.hash_at(last.number.into()) == Some(last.hash()) => {
                chain.headers(last.number, new.number)
            }
            Heads::Best | Heads::Finalized => vec![new.clone()],
        };
        for header in &headers {
            if matches!(heads, Heads::All) {
                told.add(header.hash());
            }
            send(&sink, header).await?;
        }
        last = new;
    }
}

/// The last blocks that a follower was told of.
#[derive(Default)]
struct Told {
    known: HashSet<Hash>,
    order: VecDeque<Hash>,
}

impl Told {
    fn add(&mut self, hash: Hash) {
        if self.known.insert(hash) {
            self.order.push_back(hash);
        }
        if self.order.len() > BRANCH_LIMIT
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
    }

    /// The blocks from the last that was told to a new head, in order.
    fn branch(&self, chain: &Chain, head: &Header) -> Vec<Header> {
        let mut branch = vec![head.clone()];
        while branch.len() < BRANCH_LIMIT {
            let parent = branch[branch.len() - 1].parent;
            let Some(block) = chain.block(&parent).filter(|_| !self.known.contains(&parent)) else { break };
            branch.push(block.header);
        }
        branch.reverse();
        branch
    }
}

async fn send(sink: &SubscriptionSink, header: &Header) -> Result<(), SubscriptionError> {
    Ok(sink.send(to_json_raw_value(&header.json())?).await?)
}
