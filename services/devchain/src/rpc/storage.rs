//! The storage of a block's state, by raw keys.

use std::sync::Arc;

use jsonrpsee::types::Params;
use serde_json::{Value as Json, json};

use super::{
    blocks::unknown_block,
    methods::Methods,
    params::{self, RpcResult, client_error, invalid, positional},
};
use crate::{
    block::{Hash, hex},
    chain::Chain,
    state::State,
};

/// What a real node allows for one page of keys.
const PAGE_LIMIT: usize = 1_000;

pub(crate) fn register(methods: &mut Methods) {
    methods.read(&["state_getStorage", "state_getStorageAt"], storage);
    methods.read(&["state_getKeysPaged", "state_getKeysPagedAt"], keys_paged);
    methods.read(&["state_queryStorageAt"], query_storage);
}

/// The state of a block, by default the best one, and the block's number.
pub(crate) fn state_at(chain: &Chain, at: Option<String>) -> RpcResult<(u32, Arc<State>)> {
    let hash: Hash = at.map(|at| params::hash(&at)).transpose()?.unwrap_or_else(|| chain.best().hash());
    let block = chain.block(&hash).ok_or_else(|| unknown_block(&hash))?;
    let gone = || client_error(format!("Client error: UnknownBlock: State already discarded for {}", hex(&hash)));
    Ok((block.header.number, block.state.ok_or_else(gone)?))
}

fn storage(params: &Params<'_>, chain: &Chain) -> RpcResult<Json> {
    let (key, at): (String, Option<String>) = positional(params, 2)?;
    let key = params::bytes(&key)?;
    Ok(state_at(chain, at)?.1.get(&key).map_or(Json::Null, |value| json!(hex(value))))
}

fn keys_paged(params: &Params<'_>, chain: &Chain) -> RpcResult<Json> {
    let (prefix, count, start, at): (Option<String>, usize, Option<String>, Option<String>) = positional(params, 4)?;
    if count > PAGE_LIMIT {
        return Err(invalid(format!("count exceeds maximum value: {PAGE_LIMIT}")));
    }
    let prefix = params::bytes(&prefix.unwrap_or_default())?;
    let start = start.map(|start| params::bytes(&start)).transpose()?;
    let (_, state) = state_at(chain, at)?;
    Ok(state.keys_after(&prefix, start.as_deref(), count).map(hex).collect())
}

fn query_storage(params: &Params<'_>, chain: &Chain) -> RpcResult<Json> {
    let (keys, at): (Vec<String>, Option<String>) = positional(params, 2)?;
    if keys.len() > PAGE_LIMIT {
        return Err(invalid(format!("at most {PAGE_LIMIT} keys are taken")));
    }
    // Resolved once: the head may move on between two looks.
    let block = at.unwrap_or_else(|| hex(&chain.best().hash()));
    let (_, state) = state_at(chain, Some(block.clone()))?;
    let mut changes = Vec::with_capacity(keys.len());
    for key in keys {
        let key = params::bytes(&key)?;
        changes.push(json!([hex(&key), state.get(&key).map(hex)]));
    }
    Ok(json!([{ "block": block, "changes": changes }]))
}
