//! The runtime metadata: what clients are given, and the names by which the chain itself finds types, indices and hashers.
//!
//! Everything that is stored, emitted or decoded goes through here as a [`Value`] and a name, so another runtime's metadata
//! needs no other code as long as the names exist.

use std::{fs, path::Path};

use parity_scale_codec::Encode as _;
use scale_decode::visitor::{IgnoreVisitor, decode_with_visitor};
use scale_value::{At as _, Composite, Value, ValueDef};
use sp_crypto_hashing::{blake2_128, blake2_256, twox_64, twox_128, twox_256};
use subxt_metadata::{Metadata, StorageEntryMetadata, StorageHasher};

use crate::{
    Error,
    known_calls::{KnownCall, known_calls},
};

/// The pallet of subnets, neurons and weights.
pub(crate) const SUBTENSOR: &str = "SubtensorModule";

/// What a transaction extension adds to a transaction and to what is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extension {
    SpecVersion,
    TxVersion,
    Genesis,
    Mortality,
    Nonce,
    MetadataHash,
    /// Adds perhaps to the transaction, never to what is signed.
    Silent,
}

pub(crate) struct Meta {
    pub v14: Vec<u8>,
    pub v15: Vec<u8>,
    pub metadata: Metadata,
    /// The constant `System.Version` as it is, which is also the answer of `Core_version`.
    pub version_bytes: Vec<u8>,
    pub version: Value,
    pub spec_version: u32,
    pub tx_version: u32,
    /// With the type of what each adds to a transaction, in the order of the metadata.
    pub extensions: Vec<(Extension, u32)>,
    pub calls: Vec<KnownCall>,
}

impl Meta {
    /// The metadata of a runtime's version, `metadata-<spec>-v15.scale` and `-v14.scale` in a folder.
    pub(crate) fn load(folder: &Path, spec: u32) -> Result<Self, Error> {
        let read = |name: &str| {
            let path = folder.join(name);
            fs::read(&path).map_err(|source| Error::MetadataMissing { path, source })
        };
        let (v15, v14) = (read(&format!("metadata-{spec}-v15.scale"))?, read(&format!("metadata-{spec}-v14.scale"))?);
        let unusable = |reason| Error::Metadata { path: folder.to_owned(), reason };
        let meta = Self::decode(v15, v14).map_err(unusable)?;
        if meta.spec_version != spec {
            return Err(unusable(format!("metadata-{spec}-v15.scale is of spec {}", meta.spec_version)));
        }
        Ok(meta)
    }

    fn decode(v15: Vec<u8>, v14: Vec<u8>) -> Result<Self, String> {
        let metadata = Metadata::decode_from(&v15).map_err(|error| error.to_string())?;
        let system = metadata.pallet_by_name("System").ok_or("it has no pallet System")?;
        let constant = system.constant_by_name("Version").ok_or("it has no constant System.Version")?;
        let version_bytes = constant.value().to_vec();
        let version =
            scale_value::scale::decode_as_type(&mut version_bytes.as_slice(), constant.ty(), metadata.types())
                .map_err(|error| format!("System.Version: {error}"))?
                .remove_context();
        let number = |name: &str| {
            version.at(name).and_then(as_number).and_then(|number| u32::try_from(number).ok()).ok_or("no version")
        };
        let (spec_version, tx_version) = (number("spec_version")?, number("transaction_version")?);

        let mut extensions = Vec::new();
        for extension in metadata.extrinsic().transaction_extensions_to_use_for_encoding() {
            let kind = match extension.identifier() {
                "CheckSpecVersion" => Extension::SpecVersion,
                "CheckTxVersion" => Extension::TxVersion,
                "CheckGenesis" => Extension::Genesis,
                "CheckMortality" | "CheckEra" => Extension::Mortality,
                "CheckNonce" => Extension::Nonce,
                "CheckMetadataHash" => Extension::MetadataHash,
                name => {
                    // Nothing of it is signed exactly when its additional type has a value of no bytes.
                    let silent = scale_value::scale::decode_as_type(
                        &mut [].as_slice(),
                        extension.additional_ty(),
                        metadata.types(),
                    );
                    silent.map_err(|_| format!("the transaction extension {name} is not known"))?;
                    Extension::Silent
                }
            };
            extensions.push((kind, extension.extra_ty()));
        }

        let calls = known_calls(&metadata)?;
        Ok(Self { v14, v15, version_bytes, version, spec_version, tx_version, extensions, calls, metadata })
    }

    pub(crate) fn hash(&self) -> [u8; 32] {
        blake2_256(&self.v15)
    }

    fn entry(&self, pallet: &str, name: &str) -> Result<&StorageEntryMetadata, Error> {
        self.metadata
            .pallet_by_name(pallet)
            .and_then(|pallet| pallet.storage())
            .and_then(|storage| storage.entry_by_name(name))
            .ok_or_else(|| encoding(pallet, name, "the metadata has no such storage"))
    }

    /// Whether this runtime has a storage entry.
    pub(crate) fn has(&self, pallet: &str, name: &str) -> bool {
        self.entry(pallet, name).is_ok()
    }

    /// Whether this runtime has an error.
    pub(crate) fn has_error(&self, pallet: &str, name: &str) -> bool {
        self.dispatch_error(pallet, name).is_ok()
    }

    /// The call that begins with these bytes, if it is one that the chain executes, and the bytes of its arguments.
    pub(crate) fn call<'a>(&self, bytes: &'a [u8]) -> Option<(&KnownCall, &'a [u8])> {
        let [pallet, index, arguments @ ..] = bytes else { return None };
        let known = self.calls.iter().find(|known| (known.pallet, known.index) == (*pallet, *index))?;
        Some((known, arguments))
    }

    /// The storage key of an entry, hashed as the metadata says.
    pub(crate) fn key(&self, pallet: &str, name: &str, keys: &[Value]) -> Result<Vec<u8>, Error> {
        let wanted = self.entry(pallet, name)?.keys().len();
        if wanted != keys.len() {
            return Err(encoding(pallet, name, &format!("it has {wanted} keys")));
        }
        self.prefix(pallet, name, keys)
    }

    /// What the storage keys of an entry with these first keys begin with.
    pub(crate) fn prefix(&self, pallet: &str, name: &str, keys: &[Value]) -> Result<Vec<u8>, Error> {
        let entry = self.entry(pallet, name)?;
        let mut hashed = [twox_128(pallet.as_bytes()), twox_128(name.as_bytes())].concat();
        for (info, key) in entry.keys().zip(keys) {
            let bytes = self.encode(key, info.key_id).map_err(|reason| encoding(pallet, name, &reason))?;
            match info.hasher {
                StorageHasher::Blake2_128 => hashed.extend(blake2_128(&bytes)),
                StorageHasher::Blake2_256 => hashed.extend(blake2_256(&bytes)),
                StorageHasher::Blake2_128Concat => hashed.extend([&blake2_128(&bytes)[..], &bytes].concat()),
                StorageHasher::Twox128 => hashed.extend(twox_128(&bytes)),
                StorageHasher::Twox256 => hashed.extend(twox_256(&bytes)),
                StorageHasher::Twox64Concat => hashed.extend([&twox_64(&bytes)[..], &bytes].concat()),
                StorageHasher::Identity => hashed.extend(bytes),
            }
        }
        Ok(hashed)
    }

    /// The bytes of a value of a storage entry.
    pub(crate) fn stored(&self, pallet: &str, name: &str, value: &Value) -> Result<Vec<u8>, Error> {
        let ty = self.entry(pallet, name)?.value_ty();
        self.encode(value, ty).map_err(|reason| encoding(pallet, name, &reason))
    }

    /// Bytes that were encoded without the metadata, if they are a value of the storage entry. For lists: a list in a
    /// [`Value`] looks the same as the wrapper of its only item.
    pub(crate) fn stored_as_is(&self, pallet: &str, name: &str, bytes: Vec<u8>) -> Result<Vec<u8>, Error> {
        let (ty, mut rest) = (self.entry(pallet, name)?.value_ty(), bytes.as_slice());
        decode_with_visitor(&mut rest, ty, self.metadata.types(), IgnoreVisitor::new())
            .map_err(|error| encoding(pallet, name, &error.to_string()))?;
        if rest.is_empty() { Ok(bytes) } else { Err(encoding(pallet, name, "bytes are left over")) }
    }

    /// The metadata's default of a storage entry.
    pub(crate) fn default_bytes(&self, pallet: &str, name: &str) -> Result<Option<&[u8]>, Error> {
        Ok(self.entry(pallet, name)?.default_value())
    }

    /// The value of a storage entry from bytes that the chain itself stored, or the metadata's default.
    pub(crate) fn read(&self, pallet: &str, name: &str, bytes: Option<&[u8]>) -> Result<Option<Value>, Error> {
        let entry = self.entry(pallet, name)?;
        let Some(bytes) = bytes.or_else(|| entry.default_value()) else { return Ok(None) };
        let value = scale_value::scale::decode_as_type(&mut &*bytes, entry.value_ty(), self.metadata.types());
        let value = value.map_err(|error| encoding(pallet, name, &error.to_string()))?;
        Ok(Some(value.remove_context()))
    }

    /// The bytes of an event: its pallet's index, then the pallet's own enum.
    pub(crate) fn event(&self, pallet: &str, event: Value) -> Result<Vec<u8>, Error> {
        let found = self.metadata.pallet_by_name(pallet);
        let (index, ty) = found
            .and_then(|pallet| Some((pallet.event_index(), pallet.event_ty_id()?)))
            .ok_or_else(|| encoding(pallet, "event", "the metadata has no events for it"))?;
        let encoded = self.encode(&event, ty).map_err(|reason| encoding(pallet, "event", &reason))?;
        Ok([vec![index], encoded].concat())
    }

    /// The `DispatchError` of a pallet's error.
    pub(crate) fn dispatch_error(&self, pallet: &str, error: &str) -> Result<Value, Error> {
        let found = self.metadata.pallet_by_name(pallet).and_then(|pallet| {
            let variant = pallet.error_variants()?.iter().find(|variant| variant.name == error)?;
            Some((pallet.error_index(), variant.index))
        });
        let (pallet, error) = found.ok_or_else(|| encoding(pallet, error, "the metadata has no such error"))?;
        let module = Value::named_composite([
            ("index", Value::u128(pallet.into())),
            ("error", Value::from_bytes([error, 0, 0, 0])),
        ]);
        Ok(Value::unnamed_variant("Module", [module]))
    }

    pub(crate) fn encode(&self, value: &Value, ty: u32) -> Result<Vec<u8>, String> {
        let mut bytes = Vec::new();
        scale_value::scale::encode_as_type(value, ty, self.metadata.types(), &mut bytes)
            .map_err(|error| error.to_string())?;
        Ok(bytes)
    }

    /// Metadata as runtime calls give it: with its length before it.
    pub(crate) fn opaque(&self, version: u32) -> Option<Vec<u8>> {
        match version {
            14 => Some(self.v14.encode()),
            15 => Some(self.v15.encode()),
            _ => None,
        }
    }
}

pub(crate) fn encoding(pallet: &str, name: &str, reason: &str) -> Error {
    Error::Encoding { item: format!("{pallet}.{name}"), reason: reason.to_owned() }
}

/// A number, alone or in single-field wrappers.
pub(crate) fn as_number(value: &Value) -> Option<u128> {
    match &value.value {
        ValueDef::Primitive(_) => value.as_u128(),
        ValueDef::Composite(Composite::Unnamed(values)) if values.len() == 1 => as_number(&values[0]),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    // From a real node of spec 461 (golden.json of the bittensor 11.3.0 source distribution).
    const ALICE: &str = "d43593c715fdd31c61141abd04a99fd6822c8558854ccde39a5684e7a56da27d";
    const ACCOUNT_OF_ALICE: &str = "26aa394eea5630e07c48ae0c9558cef7b99d880ec681799c0cf30e8886371da9de1e86a9a8c739864cf3cc5ec2bea59fd43593c715fdd31c61141abd04a99fd6822c8558854ccde39a5684e7a56da27d";
    const KEYS_1_0: &str = "658faa385070e074c85bf6b568cf05559f99a2ce711f3a31b2fc05604c93f17901000000";
    const EVENTS: &str = "26aa394eea5630e07c48ae0c9558cef780d41e5e16056765bc8461851072c9d7";

    fn meta() -> Meta {
        Meta::load(&crate::Config::default().metadata_dir(), 461).unwrap()
    }

    #[test]
    fn storage_keys_are_those_of_a_real_node() {
        let meta = meta();
        let key = |pallet, name, keys: &[Value]| hex::encode(meta.key(pallet, name, keys).unwrap());
        let alice = Value::from_bytes(hex::decode(ALICE).unwrap());
        assert_eq!(key("System", "Account", &[alice]), ACCOUNT_OF_ALICE);
        assert_eq!(key("SubtensorModule", "Keys", &[Value::u128(1), Value::u128(0)]), KEYS_1_0);
        assert_eq!(key("System", "Events", &[]), EVENTS);
    }

    #[test]
    fn missing_metadata_names_the_command_that_fetches_it() {
        let folder = tempfile::tempdir().unwrap();
        let names = [15, 14].map(|version| format!("metadata-461-v{version}.scale"));
        let refused = Meta::load(folder.path(), 461).err().unwrap().to_string();
        assert!(refused.contains("make setup") && refused.contains(&names[0]), "{refused}");
        for name in &names {
            std::fs::write(folder.path().join(name), b"meta").unwrap();
        }
        assert!(matches!(Meta::load(folder.path(), 461), Err(Error::Metadata { .. })));
    }

    #[test]
    fn metadata_of_another_spec_than_its_name_says_is_refused() {
        let (folder, vendor) = (tempfile::tempdir().unwrap(), crate::Config::default().metadata_dir());
        for version in [15, 14] {
            let (from, to) = (format!("metadata-419-v{version}.scale"), format!("metadata-461-v{version}.scale"));
            std::fs::copy(vendor.join(from), folder.path().join(to)).unwrap();
        }
        let refused = Meta::load(folder.path(), 461).err().unwrap().to_string();
        assert!(refused.contains("is of spec 419"), "{refused}");
    }

    #[test]
    fn both_runtimes_have_the_calls_that_are_executed() {
        for spec in crate::config::SPECS {
            let meta = Meta::load(&crate::Config::default().metadata_dir(), spec).unwrap();
            assert_eq!(meta.calls.len(), 5);
        }
    }

    #[test]
    fn a_pallets_error_is_found_by_name() {
        let meta = meta();
        assert!(meta.dispatch_error("Commitments", "AccountNotAllowedCommit").is_ok());
        assert!(meta.dispatch_error("System", "CallFiltered").is_ok());
        assert!(meta.dispatch_error("Commitments", "NoSuchError").is_err());
    }
}
