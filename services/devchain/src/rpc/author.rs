//! Taking transactions and telling what becomes of them.

use std::sync::Arc;

use jsonrpsee::{
    PendingSubscriptionSink, RpcModule,
    core::{SubscriptionError, to_json_raw_value},
    types::Params,
};
use serde_json::{Value as Json, json};

use super::params::{RpcResult, bytes, positional, refused};
use crate::{
    block::{Hash, hex},
    chain::{Chain, Whereabouts},
};

pub(crate) fn register(module: &mut RpcModule<Chain>) {
    let registered = module.register_method("author_submitExtrinsic", |params, chain, _| {
        submit(&params, chain).map(|hash| json!(hex(&hash)))
    });
    registered.expect("every name is listed once");
    let registered = module.register_method("author_pendingExtrinsics", |_, chain, _| {
        chain.waiting().iter().map(|bytes| json!(hex(bytes))).collect::<Json>()
    });
    registered.expect("every name is listed once");
    let registered = module.register_subscription(
        "author_submitAndWatchExtrinsic",
        "author_extrinsicUpdate",
        "author_unwatchExtrinsic",
        |params, pending, chain, _| watch(params, pending, chain),
    );
    registered.expect("every name is listed once");
}

fn submit(params: &Params<'_>, chain: &Chain) -> RpcResult<Hash> {
    let (extrinsic,): (String,) = positional(params, 1)?;
    chain.submit(&bytes(&extrinsic)?).map_err(refused)
}

async fn watch(
    params: Params<'static>,
    pending: PendingSubscriptionSink,
    chain: Arc<Chain>,
) -> Result<(), SubscriptionError> {
    let mut changes = chain.changes();
    let hash = match submit(&params, &chain) {
        Ok(hash) => hash,
        Err(error) => {
            pending.reject(error).await;
            return Ok(());
        }
    };
    let sink = pending.accept().await?;
    sink.send(to_json_raw_value(&json!("ready"))?).await?;
    let mut included: Option<Hash> = None;
    loop {
        let now = chain.whereabouts(&hash);
        let block = match now {
            Whereabouts::InBlock(block) | Whereabouts::Finalized(block) => Some(block),
            Whereabouts::Waiting | Whereabouts::Gone => None,
        };
        if let Some(old) = included.filter(|old| Some(*old) != block) {
            sink.send(to_json_raw_value(&json!({ "retracted": hex(&old) }))?).await?;
        }
        if let Some(new) = block.filter(|new| Some(*new) != included) {
            sink.send(to_json_raw_value(&json!({ "inBlock": hex(&new) }))?).await?;
        }
        included = block;
        match now {
            Whereabouts::Finalized(block) => {
                sink.send(to_json_raw_value(&json!({ "finalized": hex(&block) }))?).await?;
                return Ok(());
            }
            Whereabouts::Gone => {
                sink.send(to_json_raw_value(&json!("invalid"))?).await?;
                return Ok(());
            }
            Whereabouts::InBlock(_) | Whereabouts::Waiting => {}
        }
        tokio::select! {
            () = sink.closed() => return Ok(()),
            changed = changes.changed() => if changed.is_err() { return Ok(()) },
        }
    }
}
