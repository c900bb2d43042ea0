//! Reading a signed transaction and checking its signature.
//!
//! The outer shape is read here, the call in [`Call`].

use std::sync::Arc;

use parity_scale_codec::{Compact, Decode as _, Encode as _};
use sp_crypto_hashing::blake2_256;

use crate::{
    block::Hash,
    call::Call,
    meta::{Extension, Meta, as_number},
};

/// The largest transaction of ours has sealed weights of 5000 bytes.
pub(crate) const EXTRINSIC_LIMIT: usize = 64 * 1024;

/// Version 4, signed.
const SIGNED_V4: u8 = 0x84;
const ADDRESS_ID: u8 = 0;
const SIGNATURE_SR25519: u8 = 1;

/// Why a transaction is not taken: the code and the texts of a real node's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Invalid {
    pub code: i32,
    pub message: &'static str,
    pub data: String,
}

impl Invalid {
    pub(crate) fn transaction(data: &str) -> Self {
        Self { code: 1010, message: "Invalid Transaction", data: data.to_owned() }
    }

    pub(crate) fn format(data: impl Into<String>) -> Self {
        Self { code: 1002, message: "Verification Error", data: data.into() }
    }
}

/// A transaction whose bytes make sense.
#[derive(Debug, Clone)]
pub(crate) struct Extrinsic {
    pub bytes: Arc<[u8]>,
    pub hash: Hash,
    pub account: [u8; 32],
    pub nonce: u32,
    pub era: Era,
    pub call: Call,
    signature: [u8; 64],
    /// What is signed before the extensions' additions.
    signed: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Era {
    Immortal,
    Mortal { period: u64, phase: u64 },
}

impl Era {
    fn decode(bytes: &[u8]) -> Option<Self> {
        match *bytes {
            [0] => Some(Self::Immortal),
            [low, high] => {
                let encoded = u64::from(u16::from_le_bytes([low, high]));
                let period = 2 << (encoded % 16);
                let phase = (encoded >> 4) * (period >> 12).max(1);
                (period >= 4 && phase < period).then_some(Self::Mortal { period, phase })
            }
            _ => None,
        }
    }

    /// The first block at which a transaction with this era was valid, seen from `current`.
    pub(crate) fn birth(self, current: u64) -> u64 {
        match self {
            Self::Immortal => 0,
            Self::Mortal { period, phase } => (current.max(phase) - phase) / period * period + phase,
        }
    }
}

impl Extrinsic {
    pub(crate) fn decode(meta: &Meta, bytes: &[u8]) -> Result<Self, Invalid> {
        if bytes.len() > EXTRINSIC_LIMIT {
            return Err(Invalid::format(format!("the transaction has more than {EXTRINSIC_LIMIT} bytes")));
        }
        let whole: Arc<[u8]> = bytes.into();
        let mut rest = bytes;
        let short = |_| Invalid::format("the transaction ends too early");
        let announced = Compact::<u32>::decode(&mut rest).map_err(short)?.0;
        if announced as usize != rest.len() {
            return Err(Invalid::format("the transaction's length is wrong"));
        }
        let (version, address) = <(u8, u8)>::decode(&mut rest).map_err(short)?;
        let account = <[u8; 32]>::decode(&mut rest).map_err(short)?;
        let kind = u8::decode(&mut rest).map_err(short)?;
        if (version, address, kind) != (SIGNED_V4, ADDRESS_ID, SIGNATURE_SR25519) {
            return Err(Invalid::format("only transactions of version 4 signed by an account's sr25519 key are taken"));
        }
        let signature = <[u8; 64]>::decode(&mut rest).map_err(short)?;

        let (mut era, mut nonce, extra) = (Era::Immortal, 0, rest);
        for (extension, ty) in &meta.extensions {
            let before = rest;
            let value = scale_value::scale::decode_as_type(&mut rest, *ty, meta.metadata.types())
                .map_err(|error| Invalid::format(format!("the transaction's extensions: {error}")))?
                .remove_context();
            let own = &before[..before.len() - rest.len()];
            match extension {
                Extension::Mortality => {
                    era = Era::decode(own).ok_or_else(|| Invalid::format("the era is malformed"))?;
                }
                Extension::Nonce => {
                    nonce = as_number(&value)
                        .and_then(|nonce| u32::try_from(nonce).ok())
                        .ok_or_else(|| Invalid::format("the nonce is malformed"))?;
                }
                Extension::MetadataHash if own != [0] => {
                    return Err(Invalid::format("signing the metadata's hash is not supported"));
                }
                _ => {}
            }
        }
        let extra = &extra[..extra.len() - rest.len()];
        let signed = [rest, extra].concat();
        let call = Call::decode(meta, rest)?;
        Ok(Self { hash: blake2_256(bytes), bytes: whole, account, nonce, era, call, signature, signed })
    }

    /// Whether the account signed this transaction for this chain and the block its era was born in.
    pub(crate) fn signature_is_good(&self, meta: &Meta, genesis: &Hash, birth: &Hash) -> bool {
        let mut payload = self.payload(meta, genesis, birth);
        if payload.len() > 256 {
            payload = blake2_256(&payload).to_vec();
        }
        let key = schnorrkel::PublicKey::from_bytes(&self.account);
        let (Ok(key), Ok(signature)) = (key, schnorrkel::Signature::from_bytes(&self.signature)) else { return false };
        key.verify_simple(b"substrate", &payload, &signature).is_ok()
    }

    /// What is signed (its hash, when it is longer than 256 bytes): the call, the extensions' parts of the transaction, and then
    /// what both sides must know without being told.
    pub(crate) fn payload(&self, meta: &Meta, genesis: &Hash, birth: &Hash) -> Vec<u8> {
        let mut payload = self.signed.clone();
        for (extension, _) in &meta.extensions {
            match extension {
                Extension::SpecVersion => payload.extend(meta.spec_version.encode()),
                Extension::TxVersion => payload.extend(meta.tx_version.encode()),
                Extension::Genesis => payload.extend(genesis),
                Extension::Mortality => payload.extend(birth),
                // The hash of the metadata: none.
                Extension::MetadataHash => payload.push(0),
                Extension::Nonce | Extension::Silent => {}
            }
        }
        payload
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    // From a real node of spec 461 (golden.json of the bittensor 11.3.0 source distribution): a transfer signed by Alice, with
    // the era of period 64 at block 66 and nonce 11, its hash, and what is signed for nonce 3.
    const TRANSFER: &str = "35028400d43593c715fdd31c61141abd04a99fd6822c8558854ccde39a5684e7a56da27d010102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f4025002c00000503008eaf04151687736326c9fea17e25fc5287613693c912909cb226aa4794f26a48e5c0";
    const TRANSFER_HASH: &str = "b5e1c30f6da7e2a335003ba340581245c07ca75ee128421679a09eb46bc7bb54";
    const PAYLOAD: &str = "0503008eaf04151687736326c9fea17e25fc5287613693c912909cb226aa4794f26a48e5c025000c0000cd010000010000001dc00e76a13fc48b9c932e076622c5920295afaad4fd805c284a5cf3222ce452d9f2d5c7e6b387e32b3f41d7808094cc966fbbbbd4709d96471c52d9b1a2b2aa00";
    const GENESIS: &str = "1dc00e76a13fc48b9c932e076622c5920295afaad4fd805c284a5cf3222ce452";
    const BIRTH: &str = "d9f2d5c7e6b387e32b3f41d7808094cc966fbbbbd4709d96471c52d9b1a2b2aa";

    fn bytes(text: &str) -> Vec<u8> {
        hex::decode(text).unwrap()
    }

    fn meta() -> Meta {
        Meta::load(&crate::Config::default().metadata_dir(), 461).unwrap()
    }

    #[test]
    fn a_real_nodes_transaction_is_read() {
        let extrinsic = Extrinsic::decode(&meta(), &bytes(TRANSFER)).unwrap();
        assert_eq!(hex::encode(extrinsic.hash), TRANSFER_HASH);
        assert_eq!(hex::encode(extrinsic.account), "d43593c715fdd31c61141abd04a99fd6822c8558854ccde39a5684e7a56da27d");
        assert_eq!((extrinsic.nonce, extrinsic.era), (11, Era::Mortal { period: 64, phase: 2 }));
        assert!(matches!(extrinsic.call, Call::Other));
    }

    #[test]
    fn what_is_signed_is_what_a_real_node_expects() {
        let meta = meta();
        let (genesis, birth) = (bytes(GENESIS).try_into().unwrap(), bytes(BIRTH).try_into().unwrap());
        let nonce_3 = TRANSFER.replace("25002c00", "25000c00");
        let extrinsic = Extrinsic::decode(&meta, &bytes(&nonce_3)).unwrap();
        assert_eq!(hex::encode(extrinsic.payload(&meta, &genesis, &birth)), PAYLOAD);
        // The record carries a made-up signature.
        assert!(!extrinsic.signature_is_good(&meta, &genesis, &birth));
    }

    #[test]
    fn damaged_transactions_are_refused_and_never_panic() {
        let (meta, whole) = (meta(), bytes(TRANSFER));
        for end in 0..whole.len() {
            assert!(Extrinsic::decode(&meta, &whole[..end]).is_err(), "cut at {end}");
        }
        for at in 0..whole.len() {
            for flip in [1, 0x80, 0xff] {
                let mut damaged = whole.clone();
                damaged[at] ^= flip;
                let _ = Extrinsic::decode(&meta, &damaged);
            }
        }
    }

    #[test]
    fn random_bytes_never_panic() {
        let (meta, whole) = (meta(), bytes(TRANSFER));
        let head = whole[2..whole.len() - 36].to_vec();
        let known = [meta.calls[0].pallet, meta.calls[0].index, 1, 0];
        let noise = prop::collection::vec(any::<u8>(), 0..200);
        proptest!(|(noise in noise, kept in 0..=head.len(), committing in any::<bool>())| {
            let call = if committing { &known[..] } else { &[] };
            let body = [&head[..kept], call, &noise].concat();
            let _ = Extrinsic::decode(&meta, &body.encode());
            let _ = Extrinsic::decode(&meta, &noise);
        });
    }

    #[test]
    fn eras_are_those_of_a_real_node() {
        let era = Era::decode(&[0x25, 0x00]);
        assert_eq!(era, Some(Era::Mortal { period: 64, phase: 2 }));
        assert_eq!(era.map(|era| (era.birth(66), era.birth(129), era.birth(130))), Some((66, 66, 130)));
        assert_eq!(Era::decode(&[0]), Some(Era::Immortal));
        assert_eq!(Era::decode(&[0, 0]), None);
    }
}
