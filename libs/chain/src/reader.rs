//! Reads of one block's state: bounded in size, with the metadata's defaults.

use scale_decode::{DecodeAsType, visitor::IgnoreVisitor};
use scale_value::Value;
use subxt::{dynamic, error::StorageError, ext::frame_decode::storage::StorageInfoError, storage::StorageValue};

use crate::{ChainError, link::Connection, state::AtBlock};

/// 65,536 entries of 8 bytes and a length: the longest list that a subnet can have.
const VALUE_LIMIT: usize = 65_536 * 8 + 5;

/// A pallet's storage at one block.
pub(crate) struct Reader<'a> {
    pub(crate) connection: &'a Connection,
    pub(crate) at: &'a AtBlock,
    pub(crate) pallet: &'static str,
    /// What errors say was tried.
    pub(crate) task: &'static str,
}

impl Reader<'_> {
    /// A value, or its default; `None` when it has neither, or the runtime knows no such item.
    pub(crate) async fn stored<V: DecodeAsType>(&self, item: &str, keys: Vec<Value>) -> Result<Option<V>, ChainError> {
        let address = dynamic::storage::<Vec<Value>, V>(self.pallet, item);
        match self.at.storage().try_fetch(address, keys).await {
            Ok(Some(stored)) => self.decode(item, &stored).map(Some),
            Ok(None) | Err(StorageError::StorageInfoError(StorageInfoError::StorageNotFound { .. })) => Ok(None),
            Err(error) => Err(self.connection.failed(self.task, error)),
        }
    }

    pub(crate) async fn needed<V: DecodeAsType>(&self, item: &str, keys: Vec<Value>) -> Result<V, ChainError> {
        let missing = || self.connection.failed(self.task, format!("the runtime has no {}.{item}", self.pallet));
        self.stored(item, keys).await?.ok_or_else(missing)
    }

    pub(crate) async fn of_subnet<V: DecodeAsType>(&self, item: &str, netuid: u16) -> Result<V, ChainError> {
        self.needed(item, vec![number(netuid)]).await
    }

    /// As [`of_subnet`](Self::of_subnet), where a runtime without the item is none to refuse.
    pub(crate) async fn of_subnet_or<V: DecodeAsType>(
        &self,
        item: &str,
        netuid: u16,
        absent: V,
    ) -> Result<V, ChainError> {
        Ok(self.stored(item, vec![number(netuid)]).await?.unwrap_or(absent))
    }

    /// A list reserves memory for as many items as its length announces, so that must be known to be true before.
    fn decode<V: DecodeAsType>(&self, item: &str, stored: &StorageValue<'_, V>) -> Result<V, ChainError> {
        let wrong = |what: String| self.connection.failed(self.task, format!("{}.{item} {what}", self.pallet));
        if stored.bytes().len() > VALUE_LIMIT {
            return Err(wrong(format!("has more than {VALUE_LIMIT} bytes")));
        }
        stored.visit(IgnoreVisitor::new()).map_err(|error| wrong(error.to_string()))?;
        stored.decode().map_err(|error| wrong(error.to_string()))
    }
}

pub(crate) fn number(number: u16) -> Value {
    Value::u128(number.into())
}

pub(crate) fn account(account: &[u8; 32]) -> Value {
    Value::from_bytes(account)
}
