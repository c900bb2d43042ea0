//! Taking transactions and telling what becomes of them.

use std::sync::Arc;

use jsonrpsee::{
    Extensions, PendingSubscriptionSink, SubscriptionSink,
    core::{SubscriptionError, to_json_raw_value},
    types::Params,
};
use serde_json::{Value as Json, json};

use super::{
    methods::{Methods, Node},
    params::{RpcResult, bytes, internal_text, positional, refused},
};
use crate::{
    LostSubmission,
    block::{Hash, hex},
    chain::{Chain, Whereabouts},
    extrinsic::Extrinsic,
};

pub(crate) fn register(methods: &mut Methods) {
    methods.call("author_submitExtrinsic", |params, node, extensions| match submit(params, node, extensions)? {
        Some((hash, _)) => Ok(json!(hex(&hash))),
        // Nobody reads it.
        None => Err(internal_text("the connection is lost")),
    });
    methods.read(&["author_pendingExtrinsics"], |_, chain| {
        Ok(chain.waiting().iter().map(|bytes| json!(hex(bytes))).collect())
    });
    methods
        .subscription(["author_submitAndWatchExtrinsic", "author_extrinsicUpdate", "author_unwatchExtrinsic"], watch);
}

/// Takes a transaction, of which it answers the hash and the bytes; `None` when the connection was broken around it, by order.
fn submit(params: &Params<'_>, node: &Node, extensions: &Extensions) -> RpcResult<Option<(Hash, Vec<u8>)>> {
    let (extrinsic,): (String,) = positional(params, 1)?;
    let extrinsic = bytes(&extrinsic)?;
    let lost = node.faults.take_lost_submission();
    if lost == Some(LostSubmission::Before) {
        node.cut(extensions);
        return Ok(None);
    }
    let taken = node.chain.submit(&extrinsic);
    if lost == Some(LostSubmission::After) {
        node.cut(extensions);
        return Ok(None);
    }
    let hash = taken.map_err(refused)?;
    Ok(Some((hash, extrinsic)))
}

/// Tells what happens to a transaction until it is finalized or can no longer get into a block.
async fn watch(
    params: Params<'static>,
    pending: PendingSubscriptionSink,
    node: Arc<Node>,
    extensions: Extensions,
) -> Result<(), SubscriptionError> {
    let mut changes = node.chain.changes();
    let (hash, extrinsic) = match submit(&params, &node, &extensions) {
        Ok(Some(taken)) => taken,
        Ok(None) => return Ok(()),
        Err(error) => {
            pending.reject(error).await;
            return Ok(());
        }
    };
    let sink = pending.accept().await?;
    let mut ready = is_next(&node.chain, &extrinsic);
    if ready {
        tell_ready(&sink).await?;
    } else {
        tell(&sink, json!("future")).await?;
    }
    let mut included: Option<Hash> = None;
    loop {
        let now = node.chain.whereabouts(&hash);
        if !ready && now != Whereabouts::Gone && is_next(&node.chain, &extrinsic) {
            ready = true;
            tell_ready(&sink).await?;
        }
        let block = match now {
            Whereabouts::InBlock(block) | Whereabouts::Finalized(block) => Some(block),
            Whereabouts::Waiting | Whereabouts::Gone => None,
        };
        if let Some(old) = included.filter(|old| Some(*old) != block) {
            tell(&sink, json!({ "retracted": hex(&old) })).await?;
        }
        if let Some(new) = block.filter(|new| Some(*new) != included) {
            tell(&sink, json!({ "inBlock": hex(&new) })).await?;
        }
        included = block;
        match now {
            Whereabouts::Finalized(block) => return tell(&sink, json!({ "finalized": hex(&block) })).await,
            Whereabouts::Gone => return tell(&sink, json!("invalid")).await,
            Whereabouts::InBlock(_) | Whereabouts::Waiting => {}
        }
        tokio::select! {
            () = sink.closed() => return Ok(()),
            changed = changes.changed() => if changed.is_err() { return Ok(()) },
        }
    }
}

/// Whether no transaction of the same account is missing before this one, which was taken.
fn is_next(chain: &Chain, extrinsic: &[u8]) -> bool {
    let Ok(extrinsic) = Extrinsic::decode(&chain.meta, extrinsic) else { return false };
    chain.next_nonce(&extrinsic.account).is_ok_and(|next| next > extrinsic.nonce)
}

async fn tell_ready(sink: &SubscriptionSink) -> Result<(), SubscriptionError> {
    tell(sink, json!("ready")).await?;
    // To no peer: there is none.
    tell(sink, json!({ "broadcast": [] })).await
}

async fn tell(sink: &SubscriptionSink, status: Json) -> Result<(), SubscriptionError> {
    Ok(sink.send(to_json_raw_value(&status)?).await?)
}
