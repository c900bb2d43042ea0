//! What the node says about itself, and the runtime's version and metadata.

use jsonrpsee::types::Params;
use kinitro_chain::account_of;
use kinitro_domain::Hotkey;
use scale_value::{At as _, Composite, Value, ValueDef};
use serde_json::{Value as Json, json};

use super::{
    blocks::unknown_block,
    methods::Methods,
    params::{self, RpcResult, internal, invalid, positional},
};
use crate::{block::hex, chain::Chain, meta::as_number};

pub(crate) fn register(methods: &mut Methods) {
    methods.read(&["system_chain"], |_, _| Ok(json!("Kinitro development chain")));
    methods.read(&["system_name"], |_, _| Ok(json!("kinitro-devchain")));
    methods.read(&["system_version"], |_, _| Ok(json!(env!("CARGO_PKG_VERSION"))));
    methods.read(&["system_chainType"], |_, _| Ok(json!("Development")));
    methods
        .read(&["system_properties"], |_, _| Ok(json!({ "ss58Format": 42, "tokenDecimals": 9, "tokenSymbol": "TAO" })));
    methods.read(&["system_health"], |_, _| Ok(json!({ "peers": 0, "isSyncing": false, "shouldHavePeers": false })));
    methods.read(&["system_accountNextIndex", "account_nextIndex"], next_index);
    methods.read(&["state_getRuntimeVersion", "chain_getRuntimeVersion"], runtime_version);
    methods.read(&["state_getMetadata"], |params, chain| {
        known_block(params, chain)?;
        Ok(json!(hex(&chain.meta.v14)))
    });
}

fn next_index(params: &Params<'_>, chain: &Chain) -> RpcResult<Json> {
    let (address,): (String,) = positional(params, 1)?;
    let hotkey = Hotkey::try_from(address).map_err(|error| invalid(error.to_string()))?;
    let account = account_of(&hotkey).map_err(|error| invalid(error.to_string()))?;
    Ok(json!(chain.next_nonce(&account).map_err(|error| internal(&error))?))
}

/// Every block has the same runtime, and so has the parent of the genesis block, a hash of zeros that the SDKs ask for.
fn known_block(params: &Params<'_>, chain: &Chain) -> RpcResult<()> {
    let (at,): (Option<String>,) = positional(params, 1)?;
    let Some(hash) = at.map(|at| params::hash(&at)).transpose()? else { return Ok(()) };
    if hash == [0; 32] || chain.block(&hash).is_some() { Ok(()) } else { Err(unknown_block(&hash)) }
}

fn runtime_version(params: &Params<'_>, chain: &Chain) -> RpcResult<Json> {
    known_block(params, chain)?;
    let version = &chain.meta.version;
    let number = |name: &str| version.at(name).and_then(as_number).and_then(|number| u32::try_from(number).ok());
    let text = |name: &str| version.at(name).and_then(as_text).unwrap_or_default();
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

/// A text, in however many wrappers.
fn as_text(value: &Value) -> Option<&str> {
    match &value.value {
        ValueDef::Composite(wrapper) if wrapper.len() == 1 => as_text(wrapper.values().next()?),
        _ => value.as_str(),
    }
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
