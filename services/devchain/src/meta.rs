//! The runtime metadata: what clients are given, and the names by which the chain itself finds types, indices and hashers.
//!
//! Everything that is stored, emitted or decoded goes through here as a [`Value`] and a name, so another runtime's metadata
//! needs no other code as long as the names exist.

use std::{fs, path::Path};

use parity_scale_codec::Encode as _;
use scale_value::{At as _, Composite, Value, ValueDef};
use sp_crypto_hashing::{blake2_128, blake2_256, twox_64, twox_128, twox_256};
use subxt_metadata::{Metadata, StorageEntryMetadata, StorageHasher};

use crate::Error;

const V15: &str = "metadata-461-v15.scale";
const V14: &str = "metadata-461-v14.scale";

/// The one call that the chain executes.
pub(crate) struct CommitmentCall {
    pub pallet: u8,
    pub index: u8,
    pub netuid_ty: u32,
    pub info_ty: u32,
}

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
    pub commitment_call: CommitmentCall,
}

impl Meta {
    pub(crate) fn load(folder: &Path) -> Result<Self, Error> {
        let read = |name: &str| {
            let path = folder.join(name);
            fs::read(&path).map_err(|source| Error::MetadataMissing { path, source })
        };
        let (v15, v14) = (read(V15)?, read(V14)?);
        Self::decode(v15, v14).map_err(|reason| Error::Metadata { path: folder.to_owned(), reason })
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

        let commitments = metadata.pallet_by_name("Commitments").ok_or("it has no pallet Commitments")?;
        let call = commitments.call_variant_by_name("set_commitment").ok_or("it has no call set_commitment")?;
        let argument = |name: &str| {
            let field = call.fields.iter().find(|field| field.name.as_deref() == Some(name));
            field.map(|field| field.ty.id).ok_or(format!("set_commitment has no argument {name}"))
        };
        let commitment_call = CommitmentCall {
            pallet: commitments.call_index(),
            index: call.index,
            netuid_ty: argument("netuid")?,
            info_ty: argument("info")?,
        };
        Ok(Self { v14, v15, version_bytes, version, spec_version, tx_version, extensions, commitment_call, metadata })
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

    /// The storage key of an entry, hashed as the metadata says.
    pub(crate) fn key(&self, pallet: &str, name: &str, keys: &[Value]) -> Result<Vec<u8>, Error> {
        let entry = self.entry(pallet, name)?;
        if entry.keys().len() != keys.len() {
            return Err(encoding(pallet, name, &format!("it has {} keys", entry.keys().len())));
        }
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

fn encoding(pallet: &str, name: &str, reason: &str) -> Error {
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
        Meta::load(&crate::Config::default().metadata_dir()).unwrap()
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
        let refused = Meta::load(folder.path()).err().unwrap().to_string();
        assert!(refused.contains("make setup") && refused.contains(V15), "{refused}");
        std::fs::write(folder.path().join(V15), b"meta").unwrap();
        std::fs::write(folder.path().join(V14), b"meta").unwrap();
        assert!(matches!(Meta::load(folder.path()), Err(Error::Metadata { .. })));
    }

    #[test]
    fn a_pallets_error_is_found_by_name() {
        let meta = meta();
        assert!(meta.dispatch_error("Commitments", "AccountNotAllowedCommit").is_ok());
        assert!(meta.dispatch_error("System", "CallFiltered").is_ok());
        assert!(meta.dispatch_error("Commitments", "NoSuchError").is_err());
    }
}
