//! Blocks: hashes, headers, bodies.

use jsonrpsee::types::{ErrorObjectOwned, Params};
use serde_json::{Value as Json, json};

use super::{
    methods::Methods,
    params::{self, RpcResult, client_error, invalid, positional},
};
use crate::{
    block::{Block, Hash, hex},
    chain::Chain,
};

/// How many numbers are looked up at once.
const NUMBERS_LIMIT: usize = 1_000;

pub(crate) fn register(methods: &mut Methods) {
    methods.read(&["chain_getBlockHash", "chain_getHead"], block_hash);
    methods.read(&["chain_getFinalizedHead", "chain_getFinalisedHead"], |_, chain| {
        Ok(json!(hex(&chain.finalized().hash())))
    });
    methods.read(&["chain_getHeader"], |params, chain| {
        Ok(optional_block(params, chain)?.map_or(Json::Null, |block| block.header.json()))
    });
    methods.read(&["chain_getBlock"], |params, chain| {
        // The body of an old block is discarded with its state; an empty one would say that nothing was in it.
        let block = optional_block(params, chain)?.filter(|block| block.state.is_some());
        Ok(block.map_or(Json::Null, |block| {
            let extrinsics: Vec<_> = block.extrinsics.iter().map(|bytes| hex(bytes)).collect();
            json!({ "block": { "header": block.header.json(), "extrinsics": extrinsics }, "justifications": null })
        }))
    });
}

pub(crate) fn unknown_block(hash: &Hash) -> ErrorObjectOwned {
    client_error(format!("Client error: UnknownBlock: {}", hex(hash)))
}

/// By number, by hex number, by a list of these, or the head.
fn block_hash(params: &Params<'_>, chain: &Chain) -> RpcResult<Json> {
    let (number,): (Option<Json>,) = positional(params, 1)?;
    match number {
        None => Ok(json!(hex(&chain.best().hash()))),
        Some(Json::Array(numbers)) if numbers.len() > NUMBERS_LIMIT => {
            Err(invalid(format!("at most {NUMBERS_LIMIT} numbers are taken")))
        }
        Some(Json::Array(numbers)) => numbers.iter().map(|number| hash_of(number, chain)).collect(),
        Some(number) => hash_of(&number, chain),
    }
}

fn hash_of(number: &Json, chain: &Chain) -> RpcResult<Json> {
    let number = match number {
        Json::Number(number) => number.as_u64(),
        Json::String(text) => u64::from_str_radix(text.trim_start_matches("0x"), 16).ok(),
        _ => None,
    };
    let number = number.ok_or_else(|| invalid("a block number must be a number or hex digits"))?;
    Ok(chain.hash_at(number).map_or(Json::Null, |hash| json!(hex(&hash))))
}

fn optional_block(params: &Params<'_>, chain: &Chain) -> RpcResult<Option<Block>> {
    let (at,): (Option<String>,) = positional(params, 1)?;
    let hash = at.map(|at| params::hash(&at)).transpose()?.unwrap_or_else(|| chain.best().hash());
    Ok(chain.block(&hash))
}
