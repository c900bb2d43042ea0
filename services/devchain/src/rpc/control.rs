//! The control interface, `dev_*`: off unless configured. What makes a block answers the number of the new head, what orders a
//! fault or lets time pass answers `null`.

use std::{collections::BTreeSet, time::Duration};

use jsonrpsee::types::{ErrorObjectOwned, Params};
use serde_json::{Value as Json, json};

use super::{
    methods::Methods,
    params::{RpcResult, bytes, invalid, positional},
};
use crate::{Devchain, Error, Hyperparameter, LostSubmission};

const PREFIX: &str = "dev_";
const ADVANCE_LIMIT: u32 = 10_000;
const FAILURES_LIMIT: u32 = 1_000_000;
const MESSAGE_LIMIT: usize = 1_000;
/// What the real chain's accounts can hold at most: 21 million TAO.
const STAKE_LIMIT: u64 = 21_000_000_000_000_000;

type Method = fn(&Params<'_>, &Devchain) -> RpcResult<Json>;

/// A year.
const PASSING_LIMIT: Duration = Duration::from_secs(365 * 86_400);

const METHODS: [(&str, Method); 11] = [
    ("dev_passTime", pass_time),
    ("dev_reorg", reorganise),
    ("dev_register", register_hotkey),
    ("dev_setCommitmentRaw", set_commitment_raw),
    ("dev_setStake", set_stake),
    ("dev_setPermit", set_permit),
    ("dev_setHyperparameter", set_hyperparameter),
    ("dev_setCommitReveal", set_commit_reveal),
    ("dev_dropConnections", drop_connections),
    ("dev_holdTransactions", hold_transactions),
    ("dev_loseNextSubmission", lose_next_submission),
];

pub(crate) fn register(methods: &mut Methods, devchain: &Devchain) {
    let served: BTreeSet<&str> = methods.0.method_names().chain(["rpc_methods"]).collect();
    let chain = devchain.clone();
    methods.call("dev_failNext", move |params, _, _| fail_next(params, &chain, &served));
    let chain = devchain.clone();
    methods.call_slowly("dev_advance", move |params, _, _| advance(params, &chain));
    for (name, run) in METHODS {
        let chain = devchain.clone();
        methods.call(name, move |params, _, _| run(params, &chain));
    }
}

/// `(blocks)`, by default one.
fn advance(params: &Params<'_>, devchain: &Devchain) -> RpcResult<Json> {
    let (blocks,): (Option<u32>,) = positional(params, 1)?;
    let blocks = blocks.unwrap_or(1);
    if blocks > ADVANCE_LIMIT {
        return Err(invalid(format!("at most {ADVANCE_LIMIT} blocks are made at once")));
    }
    number(devchain.advance(blocks))
}

/// `(milliseconds)`: that much later than otherwise comes every block from now on.
fn pass_time(params: &Params<'_>, devchain: &Devchain) -> RpcResult<Json> {
    let (milliseconds,): (u64,) = positional(params, 1)?;
    let time = Duration::from_millis(milliseconds);
    if time > PASSING_LIMIT {
        return Err(invalid(format!("at most {} ms pass at once", PASSING_LIMIT.as_millis())));
    }
    devchain.pass_time(time);
    Ok(Json::Null)
}

/// `(depth)`.
fn reorganise(params: &Params<'_>, devchain: &Devchain) -> RpcResult<Json> {
    let (depth,): (u32,) = positional(params, 1)?;
    number(devchain.reorganise(depth))
}

/// `(uid, hotkey)`.
fn register_hotkey(params: &Params<'_>, devchain: &Devchain) -> RpcResult<Json> {
    let (uid, hotkey): (u16, String) = positional(params, 2)?;
    number(devchain.register(uid, &hotkey))
}

/// `(hotkey, stored bytes in hex)`.
fn set_commitment_raw(params: &Params<'_>, devchain: &Devchain) -> RpcResult<Json> {
    let (hotkey, stored): (String, String) = positional(params, 2)?;
    number(devchain.set_commitment_raw(&hotkey, bytes(&stored)?))
}

/// `(hotkey, stake in rao)`.
fn set_stake(params: &Params<'_>, devchain: &Devchain) -> RpcResult<Json> {
    let (hotkey, stake): (String, u64) = positional(params, 2)?;
    if stake > STAKE_LIMIT {
        return Err(invalid(format!("a stake is at most {STAKE_LIMIT} rao")));
    }
    number(devchain.set_stake(&hotkey, stake))
}

/// `(uid, whether it has the permit)`.
fn set_permit(params: &Params<'_>, devchain: &Devchain) -> RpcResult<Json> {
    let (uid, permit): (u16, bool) = positional(params, 2)?;
    number(devchain.set_permit(uid, permit))
}

/// `(name, value)`, the name as in the configuration.
fn set_hyperparameter(params: &Params<'_>, devchain: &Devchain) -> RpcResult<Json> {
    let (name, value): (String, Json) = positional(params, 2)?;
    let parameter: Hyperparameter = serde_json::from_value(json!({ &name: value })).map_err(|error| {
        let name: String = name.chars().take(100).collect();
        invalid(format!("the hyperparameter `{name}`: {error}"))
    })?;
    number(devchain.set_hyperparameter(parameter))
}

/// `(whether commit-reveal is on)`.
fn set_commit_reveal(params: &Params<'_>, devchain: &Devchain) -> RpcResult<Json> {
    let (on,): (bool,) = positional(params, 1)?;
    number(devchain.set_commit_reveal(on))
}

/// `()`: every connection that is open now breaks, this one too, so nobody reads the answer.
fn drop_connections(params: &Params<'_>, devchain: &Devchain) -> RpcResult<Json> {
    let () = nothing(params)?;
    devchain.drop_connections();
    Ok(Json::Null)
}

/// `(whether transactions stay out of the blocks)`.
fn hold_transactions(params: &Params<'_>, devchain: &Devchain) -> RpcResult<Json> {
    let (hold,): (bool,) = positional(params, 1)?;
    devchain.hold_transactions(hold);
    Ok(Json::Null)
}

/// `("before" | "after")`: when the connection of the next submission breaks.
fn lose_next_submission(params: &Params<'_>, devchain: &Devchain) -> RpcResult<Json> {
    let (kind,): (LostSubmission,) = positional(params, 1)?;
    devchain.lose_next_submission(kind);
    Ok(Json::Null)
}

/// `(method, times, code, message)`: the next calls of a method are answered with an error; 0 times takes that back.
fn fail_next(params: &Params<'_>, devchain: &Devchain, served: &BTreeSet<&str>) -> RpcResult<Json> {
    let (method, times, code, message): (String, u32, i32, String) = positional(params, 4)?;
    if method.starts_with(PREFIX) || !served.contains(method.as_str()) {
        let method: String = method.chars().take(100).collect();
        return Err(invalid(format!("`{method}` is no method that can fail: see rpc_methods, without dev_*")));
    }
    if times > FAILURES_LIMIT {
        return Err(invalid(format!("a method fails at most {FAILURES_LIMIT} times")));
    }
    if message.len() > MESSAGE_LIMIT {
        return Err(invalid(format!("the message has more than {MESSAGE_LIMIT} bytes")));
    }
    devchain.fail_next(&method, times, code, &message);
    Ok(Json::Null)
}

fn nothing(params: &Params<'_>) -> RpcResult<()> {
    let _: [Json; 0] = positional(params, 0)?;
    Ok(())
}

fn number(made: Result<u32, Error>) -> RpcResult<Json> {
    made.map(|number| json!(number)).map_err(failed)
}

fn failed(error: Error) -> ErrorObjectOwned {
    invalid(error.to_string())
}
