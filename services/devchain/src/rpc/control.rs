//! The control interface, `dev_*`: off unless configured. Each answers the number of the new head.

use jsonrpsee::{RpcModule, types::Params};
use serde_json::{Value as Json, json};

use super::params::{RpcResult, bytes, invalid, positional};
use crate::{Devchain, Error, chain::Chain};

const ADVANCE_LIMIT: u32 = 10_000;

pub(crate) fn register(module: &mut RpcModule<Chain>, devchain: Devchain) {
    let mut method = |name: &'static str, run: fn(&Params<'_>, &Devchain) -> RpcResult<u32>| {
        let devchain = devchain.clone();
        let registered = module
            .register_method(name, move |params, _, _| -> RpcResult<Json> { Ok(json!(run(&params, &devchain)?)) });
        registered.expect("every name is listed once");
    };
    // (blocks)
    method("dev_advance", |params, devchain| {
        let (blocks,): (Option<u32>,) = positional(params, 1)?;
        let blocks = blocks.unwrap_or(1);
        if blocks > ADVANCE_LIMIT {
            return Err(invalid(format!("at most {ADVANCE_LIMIT} blocks are made at once")));
        }
        devchain.advance(blocks).map_err(failed)
    });
    // (depth)
    method("dev_reorg", |params, devchain| {
        let (depth,): (u32,) = positional(params, 1)?;
        devchain.reorganise(depth).map_err(failed)
    });
    // (uid, hotkey)
    method("dev_register", |params, devchain| {
        let (uid, hotkey): (u16, String) = positional(params, 2)?;
        devchain.register(uid, &hotkey).map_err(failed)
    });
    // (hotkey, stored bytes in hex)
    method("dev_setCommitmentRaw", |params, devchain| {
        let (hotkey, stored): (String, String) = positional(params, 2)?;
        devchain.set_commitment_raw(&hotkey, bytes(&stored)?).map_err(failed)
    });
}

fn failed(error: Error) -> jsonrpsee::types::ErrorObjectOwned {
    invalid(error.to_string())
}
