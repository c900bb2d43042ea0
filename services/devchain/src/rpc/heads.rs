//! Subscriptions to new blocks.

use std::sync::Arc;

use jsonrpsee::{
    PendingSubscriptionSink, RpcModule, SubscriptionSink,
    core::{SubscriptionError, to_json_raw_value},
};

use crate::{block::Header, chain::Chain};

pub(crate) fn register(module: &mut RpcModule<Chain>) {
    for (subscribe, notification, unsubscribe, finalized) in [
        ("chain_subscribeNewHeads", "chain_newHead", "chain_unsubscribeNewHeads", false),
        ("chain_subscribeAllHeads", "chain_allHead", "chain_unsubscribeAllHeads", false),
        ("chain_subscribeFinalizedHeads", "chain_finalizedHead", "chain_unsubscribeFinalizedHeads", true),
    ] {
        let registered =
            module.register_subscription(subscribe, notification, unsubscribe, move |_, pending, chain, _| {
                follow(pending, chain, finalized)
            });
        registered.expect("every name is listed once");
    }
}

async fn follow(pending: PendingSubscriptionSink, chain: Arc<Chain>, finalized: bool) -> Result<(), SubscriptionError> {
    let sink = pending.accept().await?;
    let mut changes = chain.changes();
    let head = || if finalized { chain.finalized() } else { chain.best() };
    let mut last = head();
    send(&sink, &last).await?;
    loop {
        tokio::select! {
            () = sink.closed() => return Ok(()),
            changed = changes.changed() => if changed.is_err() { return Ok(()) },
        }
        let new = head();
        // After a reorganisation only the new head is told, as by a real node.
        let on_top = chain.hash_at(last.number.into()) == Some(last.hash());
        let headers = if on_top { chain.headers(last.number, new.number) } else { vec![new.clone()] };
        for header in &headers {
            send(&sink, header).await?;
        }
        last = new;
    }
}

async fn send(sink: &SubscriptionSink, header: &Header) -> Result<(), SubscriptionError> {
    Ok(sink.send(to_json_raw_value(&header.json())?).await?)
}
