//! The state of one block: raw storage keys and values, as on a real node.

use std::{collections::BTreeMap, ops::Bound, sync::Arc};

use parity_scale_codec::{Decode, Encode};
use scale_value::Value;

use crate::{
    Error,
    meta::{Meta, encoding},
};

/// Keys and values are shared between the snapshots of successive blocks; only what a block wrote is new.
#[derive(Clone, Default)]
pub(crate) struct State(BTreeMap<Arc<[u8]>, Arc<[u8]>>);

impl State {
    pub(crate) fn get(&self, key: &[u8]) -> Option<&[u8]> {
        self.0.get(key).map(AsRef::as_ref)
    }

    pub(crate) fn put_raw(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.0.insert(key.into(), value.into());
    }

    pub(crate) fn put(&mut self, meta: &Meta, entry: (&str, &str), keys: &[Value], value: &Value) -> Result<(), Error> {
        let bytes = meta.stored(entry.0, entry.1, value)?;
        self.put_raw(meta.key(entry.0, entry.1, keys)?, bytes);
        Ok(())
    }

    /// Stores a list or a structure of fixed types, after a look at whether the metadata has the same types.
    pub(crate) fn put_as_is(
        &mut self,
        meta: &Meta,
        entry: (&str, &str),
        keys: &[Value],
        value: &impl Encode,
    ) -> Result<(), Error> {
        let bytes = meta.stored_as_is(entry.0, entry.1, value.encode())?;
        self.put_raw(meta.key(entry.0, entry.1, keys)?, bytes);
        Ok(())
    }

    /// The stored value or the metadata's default, of a fixed type.
    pub(crate) fn get_as_is<T: Decode>(&self, meta: &Meta, entry: (&str, &str), keys: &[Value]) -> Result<T, Error> {
        let key = meta.key(entry.0, entry.1, keys)?;
        let default = meta.default_bytes(entry.0, entry.1)?;
        let mut bytes = self.get(&key).or(default).ok_or_else(|| encoding(entry.0, entry.1, "it has no value"))?;
        T::decode(&mut bytes).map_err(|error| encoding(entry.0, entry.1, &error.to_string()))
    }

    pub(crate) fn remove_raw(&mut self, key: &[u8]) {
        self.0.remove(key);
    }

    pub(crate) fn remove(&mut self, meta: &Meta, entry: (&str, &str), keys: &[Value]) -> Result<(), Error> {
        self.0.remove(meta.key(entry.0, entry.1, keys)?.as_slice());
        Ok(())
    }

    /// The stored value or the metadata's default.
    pub(crate) fn value(&self, meta: &Meta, entry: (&str, &str), keys: &[Value]) -> Result<Option<Value>, Error> {
        let key = meta.key(entry.0, entry.1, keys)?;
        meta.read(entry.0, entry.1, self.get(&key))
    }

    pub(crate) fn contains(&self, meta: &Meta, entry: (&str, &str), keys: &[Value]) -> Result<bool, Error> {
        Ok(self.get(&meta.key(entry.0, entry.1, keys)?).is_some())
    }

    /// Up to `count` keys below a prefix, after `start`, in order.
    pub(crate) fn keys_after<'a>(
        &'a self,
        prefix: &'a [u8],
        start: Option<&'a [u8]>,
        count: usize,
    ) -> impl Iterator<Item = &'a [u8]> {
        let from = match start {
            Some(start) if start > prefix => Bound::Excluded(start),
            _ => Bound::Included(prefix),
        };
        let below = self.0.range::<[u8], _>((from, Bound::Unbounded));
        below.map(|(key, _)| key.as_ref()).take_while(move |key| key.starts_with(prefix)).take(count)
    }
}
