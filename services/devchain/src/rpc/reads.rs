//! What is read: blocks, storage, runtime calls, the node itself.

use std::sync::Arc;

use jsonrpsee::{RpcModule, types::Params};
use kinitro_chain::account_of;
use kinitro_domain::Hotkey;
use parity_scale_codec::{Decode as _, Encode as _};
use scale_value::{At as _, Composite, Value, ValueDef};
use serde_json::{Value as Json, json};

use super::params::{self, RpcResult, client_error, internal, invalid, positional};
use crate::{
    block::{Block, Hash, hex},
    chain::Chain,
    meta::as_number,
    runtime::Execution,
    state::State,
};

/// What a real node allows for one page of keys.
const PAGE_LIMIT: usize = 1_000;

pub(crate) fn register(module: &mut RpcModule<Chain>) {
    let mut method = |names: &[&'static str], answer: fn(&Params<'_>, &Chain) -> RpcResult<Json>| {
        for name in names {
            let registered = module.register_method(name, move |params, chain, _| answer(&params, chain));
            registered.expect("every name is listed once");
        }
    };
    method(&["system_chain"], |_, _| Ok(json!("Kinitro development chain")));
    method(&["system_name"], |_, _| Ok(json!("kinitro-devchain")));
    method(&["system_version"], |_, _| Ok(json!(env!("CARGO_PKG_VERSION"))));
    method(&["system_chainType"], |_, _| Ok(json!("Development")));
    method(&["system_properties"], |_, _| Ok(json!({ "ss58Format": 42, "tokenDecimals": 9, "tokenSymbol": "TAO" })));
    method(&["system_health"], |_, _| Ok(json!({ "peers": 0, "isSyncing": false, "shouldHavePeers": false })));
    method(&["system_accountNextIndex", "account_nextIndex"], next_index);
    method(&["chain_getBlockHash", "chain_getHead"], block_hash);
    method(&["chain_getFinalizedHead", "chain_getFinalisedHead"], |_, chain| Ok(json!(hex(&chain.finalized().hash()))));
    method(&["chain_getHeader"], |params, chain| {
        Ok(optional_block(params, chain)?.map_or(Json::Null, |block| block.header.json()))
    });
    method(&["chain_getBlock"], |params, chain| {
        Ok(optional_block(params, chain)?.map_or(Json::Null, |block| {
            let extrinsics: Vec<_> = block.extrinsics.iter().map(|bytes| hex(bytes)).collect();
            json!({ "block": { "header": block.header.json(), "extrinsics": extrinsics }, "justifications": null })
        }))
    });
    method(&["state_getRuntimeVersion", "chain_getRuntimeVersion"], runtime_version);
    method(&["state_getMetadata"], |_, chain| Ok(json!(hex(&chain.meta.v14))));
    method(&["state_getStorage", "state_getStorageAt"], storage);
    method(&["state_getKeysPaged", "state_getKeysPagedAt"], keys_paged);
    method(&["state_queryStorageAt"], query_storage);
    method(&["state_call", "state_callAt"], runtime_call);
}

fn next_index(params: &Params<'_>, chain: &Chain) -> RpcResult<Json> {
    let (address,): (String,) = positional(params, 1)?;
    let hotkey = Hotkey::try_from(address).map_err(|error| invalid(error.to_string()))?;
    let account = account_of(&hotkey).map_err(|error| invalid(error.to_string()))?;
    Ok(json!(chain.next_nonce(&account).map_err(|error| internal(&error))?))
}

/// By number, by hex number, or the head.
fn block_hash(params: &Params<'_>, chain: &Chain) -> RpcResult<Json> {
    let (number,): (Option<Json>,) = positional(params, 1)?;
    let number = match number {
        None => return Ok(json!(hex(&chain.best().hash()))),
        Some(Json::Number(number)) => number.as_u64(),
        Some(Json::String(text)) => u64::from_str_radix(text.trim_start_matches("0x"), 16).ok(),
        Some(_) => None,
    };
    let number = number.ok_or_else(|| invalid("a block number must be a number or hex digits"))?;
    Ok(chain.hash_at(number).map_or(Json::Null, |hash| json!(hex(&hash))))
}

fn optional_block(params: &Params<'_>, chain: &Chain) -> RpcResult<Option<Block>> {
    let (at,): (Option<String>,) = positional(params, 1)?;
    let hash = at.map(|at| params::hash(&at)).transpose()?.unwrap_or_else(|| chain.best().hash());
    Ok(chain.block(&hash))
}

fn state_at(chain: &Chain, at: Option<String>) -> RpcResult<Arc<State>> {
    let hash: Hash = at.map(|at| params::hash(&at)).transpose()?.unwrap_or_else(|| chain.best().hash());
    let block = chain.block(&hash);
    let block = block.ok_or_else(|| client_error(format!("Client error: UnknownBlock: {}", hex(&hash))))?;
    let gone = || client_error(format!("Client error: UnknownBlock: State already discarded for {}", hex(&hash)));
    block.state.ok_or_else(gone)
}

fn storage(params: &Params<'_>, chain: &Chain) -> RpcResult<Json> {
    let (key, at): (String, Option<String>) = positional(params, 2)?;
    let key = params::bytes(&key)?;
    Ok(state_at(chain, at)?.get(&key).map_or(Json::Null, |value| json!(hex(value))))
}

fn keys_paged(params: &Params<'_>, chain: &Chain) -> RpcResult<Json> {
    let (prefix, count, start, at): (Option<String>, usize, Option<String>, Option<String>) = positional(params, 4)?;
    if count > PAGE_LIMIT {
        return Err(invalid(format!("count exceeds maximum value: {PAGE_LIMIT}")));
    }
    let prefix = params::bytes(&prefix.unwrap_or_default())?;
    let start = start.map(|start| params::bytes(&start)).transpose()?;
    let state = state_at(chain, at)?;
    Ok(state.keys_after(&prefix, start.as_deref(), count).map(hex).collect())
}

fn query_storage(params: &Params<'_>, chain: &Chain) -> RpcResult<Json> {
    let (keys, at): (Vec<String>, Option<String>) = positional(params, 2)?;
    if keys.len() > PAGE_LIMIT {
        return Err(invalid(format!("at most {PAGE_LIMIT} keys are taken")));
    }
    let block = at.clone().unwrap_or_else(|| hex(&chain.best().hash()));
    let state = state_at(chain, at)?;
    let mut changes = Vec::with_capacity(keys.len());
    for key in keys {
        let key = params::bytes(&key)?;
        changes.push(json!([hex(&key), state.get(&key).map(hex)]));
    }
    Ok(json!([{ "block": block, "changes": changes }]))
}

fn runtime_call(params: &Params<'_>, chain: &Chain) -> RpcResult<Json> {
    let (function, data, at): (String, String, Option<String>) = positional(params, 3)?;
    let (data, meta) = (params::bytes(&data)?, &chain.meta);
    let state = state_at(chain, at)?;
    let answer = match function.as_str() {
        "Core_version" => meta.version_bytes.clone(),
        "Metadata_metadata" => meta.v14.encode(),
        "Metadata_metadata_versions" => vec![14_u32, 15].encode(),
        "Metadata_metadata_at_version" => {
            let version = u32::decode(&mut data.as_slice()).map_err(|_| invalid("expected a version"))?;
            match meta.opaque(version) {
                Some(opaque) => [vec![1], opaque].concat(),
                None => vec![0],
            }
        }
        "AccountNonceApi_account_nonce" => {
            let account = <[u8; 32]>::decode(&mut data.as_slice()).map_err(|_| invalid("expected an account"))?;
            Execution::nonce(meta, &state, &account).map_err(|error| internal(&error))?.encode()
        }
        _ => {
            let name: String = function.chars().take(100).collect();
            return Err(client_error(format!("Client error: Execution failed: Exported method {name} is not found")));
        }
    };
    Ok(json!(hex(&answer)))
}

fn runtime_version(_: &Params<'_>, chain: &Chain) -> RpcResult<Json> {
    let version = &chain.meta.version;
    let number = |name: &str| version.at(name).and_then(as_number).and_then(|number| u32::try_from(number).ok());
    let text = |name: &str| version.at(name).and_then(Value::as_str).unwrap_or_default();
    Ok(json!({
        "specName": text("spec_name"),
        "implName": text("impl_name"),
        "authoringVersion": number("authoring_version"),
        "specVersion": number("spec_version"),
        "implVersion": number("impl_version"),
        "transactionVersion": number("transaction_version"),
        "stateVersion": number("system_version").or_else(|| number("state_version")),
        "apis": version.at("apis").map(runtime_apis).unwrap_or_default(),
    }))
}

/// Pairs of eight bytes and a number, however many wrappers are around the list.
fn runtime_apis(apis: &Value) -> Vec<Json> {
    let ValueDef::Composite(list) = &apis.value else { return Vec::new() };
    let pair = |values: &[&Value]| match values {
        [id, version] => {
            let ValueDef::Composite(Composite::Unnamed(id)) = &id.value else { return None };
            let id = id.iter().map(|byte| u8::try_from(as_number(byte)?).ok()).collect::<Option<Vec<_>>>()?;
            Some(json!([hex(&id), as_number(version)?]))
        }
        _ => None,
    };
    match pair(&list.values().collect::<Vec<_>>()) {
        Some(pair) => vec![pair],
        None => list.values().flat_map(runtime_apis).collect(),
    }
}
