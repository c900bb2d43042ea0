//! Reading parameters, which anybody may have written.

use jsonrpsee::types::{ErrorObjectOwned, Params};
use serde::de::DeserializeOwned;

use crate::{Error, block::Hash, extrinsic::Invalid};

pub(crate) type RpcResult<T> = Result<T, ErrorObjectOwned>;

/// What a real node answers when it lacks a block or its state.
const UNKNOWN_BLOCK: i32 = 4003;
const INVALID_PARAMS: i32 = -32602;
const INTERNAL: i32 = -32603;

pub(crate) fn invalid(message: impl Into<String>) -> ErrorObjectOwned {
    ErrorObjectOwned::owned(INVALID_PARAMS, message, None::<()>)
}

pub(crate) fn client_error(message: impl Into<String>) -> ErrorObjectOwned {
    ErrorObjectOwned::owned(UNKNOWN_BLOCK, message, None::<()>)
}

pub(crate) fn internal(error: &Error) -> ErrorObjectOwned {
    internal_text(error.to_string())
}

pub(crate) fn internal_text(message: impl Into<String>) -> ErrorObjectOwned {
    ErrorObjectOwned::owned(INTERNAL, message, None::<()>)
}

pub(crate) fn refused(invalid: Invalid) -> ErrorObjectOwned {
    ErrorObjectOwned::owned(invalid.code, invalid.message, Some(invalid.data))
}

/// The parameters by position; those missing at the end are `null`.
pub(crate) fn positional<T: DeserializeOwned>(params: &Params<'_>, count: usize) -> RpcResult<T> {
    let given: Vec<serde_json::Value> = if params.len_bytes() == 0 { Vec::new() } else { params.parse()? };
    if given.len() > count {
        return Err(invalid(format!("at most {count} parameters are taken")));
    }
    let mut given = given;
    given.resize(count, serde_json::Value::Null);
    serde_json::from_value(given.into()).map_err(|error| invalid(error.to_string()))
}

/// Bytes from hex digits, with or without `0x`: both are in use.
pub(crate) fn bytes(text: &str) -> RpcResult<Vec<u8>> {
    hex::decode(text.strip_prefix("0x").unwrap_or(text)).map_err(|error| invalid(format!("no hex bytes: {error}")))
}

pub(crate) fn hash(text: &str) -> RpcResult<Hash> {
    bytes(text)?.try_into().map_err(|_| invalid("a hash has 32 bytes"))
}
