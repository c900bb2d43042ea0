//! Reading the calls that the chain executes.
//!
//! The bytes are anybody's. Every argument is walked over before it is decoded: decoding reserves memory for as many items as
//! a length announces. Calls that the chain does not execute stay opaque, because their types are recursive, and bytes from
//! anybody must not decide how deep we recurse.

use parity_scale_codec::{Compact, Decode as _};
use scale_decode::visitor::{IgnoreVisitor, decode_with_visitor};
use scale_value::{At as _, Composite, Value, ValueDef};

use crate::{
    extrinsic::Invalid,
    known_calls::{CallKind, KnownCall},
    meta::{Meta, as_number},
};

/// `MaxFields` of the commitments pallet.
const FIELD_LIMIT: u32 = 3;
/// The longest sealed weights that the real chain takes; the bound of the argument's type, which metadata does not tell.
const COMMIT_LIMIT: usize = 5_000;

/// Weights as sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SentWeights {
    pub uids: Vec<u16>,
    pub values: Vec<u16>,
    pub version_key: u64,
}

/// Weights that are sealed until a round of the beacon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SealedWeights {
    pub commit: Vec<u8>,
    pub reveal_round: u64,
    /// The version of commit-reveal that the sender speaks.
    pub version: u16,
}

#[derive(Debug, Clone)]
pub(crate) enum Call {
    SetCommitment {
        netuid: u16,
        info: Value,
        /// How many bytes the fields hold.
        length: u64,
    },
    SetWeights {
        netuid: u16,
        mechanism: u8,
        weights: SentWeights,
    },
    CommitTimelockedWeights {
        netuid: u16,
        mechanism: u8,
        sealed: SealedWeights,
    },
    /// Anything else: executed as a call that the runtime filters out.
    Other,
}

impl Call {
    pub(crate) fn decode(meta: &Meta, bytes: &[u8]) -> Result<Self, Invalid> {
        if bytes.len() < 2 {
            return Err(Invalid::format("the transaction holds no call"));
        }
        let Some((known, rest)) = meta.call(bytes) else { return Ok(Self::Other) };
        let mut arguments = Arguments { meta, known, next: 0, rest };
        let netuid = arguments.number("the netuid is no u16")?;
        let mechanism = match known.kind {
            CallKind::SetMechanismWeights | CallKind::CommitTimelockedMechanismWeights => {
                arguments.number("the mechanism is no u8")?
            }
            CallKind::SetCommitment | CallKind::SetWeights | CallKind::CommitTimelockedWeights => 0,
        };
        let call = match known.kind {
            CallKind::SetCommitment => {
                let fields = Compact::<u32>::decode(&mut &*arguments.rest).map_err(|_| arguments.wrong("no fields"))?;
                if fields.0 > FIELD_LIMIT {
                    return Err(arguments.wrong(&format!("more than {FIELD_LIMIT} fields")));
                }
                let info = arguments.value()?;
                let length = info.at("fields").map_or(0, count_numbers);
                Self::SetCommitment { netuid, info, length }
            }
            CallKind::SetWeights | CallKind::SetMechanismWeights => {
                let (uids, values) =
                    (arguments.list("the uids are no u16s")?, arguments.list("the weights are no u16s")?);
                let version_key = arguments.number("the version key is no u64")?;
                Self::SetWeights { netuid, mechanism, weights: SentWeights { uids, values, version_key } }
            }
            CallKind::CommitTimelockedWeights | CallKind::CommitTimelockedMechanismWeights => {
                let commit: Vec<u8> = arguments.list("the commit is no bytes")?;
                if commit.len() > COMMIT_LIMIT {
                    return Err(arguments.wrong(&format!("the commit has more than {COMMIT_LIMIT} bytes")));
                }
                let reveal_round = arguments.number("the reveal round is no u64")?;
                let version = arguments.number("the version is no u16")?;
                Self::CommitTimelockedWeights {
                    netuid,
                    mechanism,
                    sealed: SealedWeights { commit, reveal_round, version },
                }
            }
        };
        if !arguments.rest.is_empty() {
            return Err(arguments.wrong("bytes are left over"));
        }
        Ok(call)
    }
}

/// The arguments of a call, read one after the other.
struct Arguments<'a> {
    meta: &'a Meta,
    known: &'a KnownCall,
    next: usize,
    rest: &'a [u8],
}

impl Arguments<'_> {
    fn wrong(&self, reason: &str) -> Invalid {
        Invalid::format(format!("{}: {reason}", self.known.name))
    }

    fn value(&mut self) -> Result<Value, Invalid> {
        let ty = self.known.arguments.get(self.next).copied().ok_or_else(|| self.wrong("no more arguments"))?;
        self.next += 1;
        let types = self.meta.metadata.types();
        let mut walk = self.rest;
        decode_with_visitor(&mut walk, ty, types, IgnoreVisitor::new())
            .map_err(|error| self.wrong(&error.to_string()))?;
        let value = scale_value::scale::decode_as_type(&mut self.rest, ty, types);
        Ok(value.map_err(|error| self.wrong(&error.to_string()))?.remove_context())
    }

    fn number<T: TryFrom<u128>>(&mut self, wrong: &str) -> Result<T, Invalid> {
        let value = self.value()?;
        as_number(&value).and_then(|number| T::try_from(number).ok()).ok_or_else(|| self.wrong(wrong))
    }

    fn list<T: TryFrom<u128>>(&mut self, wrong: &str) -> Result<Vec<T>, Invalid> {
        let value = self.value()?;
        as_list(&value).ok_or_else(|| self.wrong(wrong))
    }
}

/// A list of numbers, alone or in a wrapper such as `BoundedVec`.
fn as_list<T: TryFrom<u128>>(value: &Value) -> Option<Vec<T>> {
    let ValueDef::Composite(composite) = &value.value else { return None };
    let mut items = composite.values();
    if let (1, Some(only)) = (items.len(), composite.values().next())
        && matches!(only.value, ValueDef::Composite(_))
    {
        return as_list(only);
    }
    items.try_fold(Vec::new(), |mut numbers, item| {
        numbers.push(T::try_from(as_number(item)?).ok()?);
        Some(numbers)
    })
}

/// How many numbers a value holds: for the fields of a commitment, how many bytes.
fn count_numbers(value: &Value) -> u64 {
    let inside = |composite: &Composite<()>| composite.values().map(count_numbers).sum();
    match &value.value {
        ValueDef::Composite(composite) => inside(composite),
        ValueDef::Variant(variant) => inside(&variant.values),
        ValueDef::Primitive(_) => 1,
        ValueDef::BitSequence(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use parity_scale_codec::Encode as _;
    use proptest::prelude::*;

    use super::*;
    use crate::config::SPECS;

    fn metas() -> impl Iterator<Item = Meta> {
        SPECS.into_iter().map(|spec| Meta::load(&crate::Config::default().metadata_dir(), spec).unwrap())
    }

    fn head(meta: &Meta, kind: CallKind) -> [u8; 2] {
        let known = meta.calls.iter().find(|known| known.kind == kind).unwrap();
        [known.pallet, known.index]
    }

    #[test]
    fn weights_are_read_from_the_bytes_of_a_real_node() {
        // From the records of the Python SDK's source distribution, the same at both specs.
        let set_weights = hex::decode("070001000800000100086400c8000000000000000000").unwrap();
        for meta in metas() {
            let call = Call::decode(&meta, &set_weights).unwrap();
            let Call::SetWeights { netuid: 1, mechanism: 0, weights } = call else { panic!("{call:?}") };
            assert_eq!(weights, SentWeights { uids: vec![0, 1], values: vec![100, 200], version_key: 0 });

            let set_weights = [&[7, 119, 1, 0, 3][..], &set_weights[4..]].concat();
            let call = Call::decode(&meta, &set_weights).unwrap();
            assert!(matches!(call, Call::SetWeights { netuid: 1, mechanism: 3, .. }), "{call:?}");
        }
    }

    #[test]
    fn sealed_weights_are_read_up_to_the_longest() {
        for meta in metas() {
            for (kind, mechanism) in
                [(CallKind::CommitTimelockedWeights, &[][..]), (CallKind::CommitTimelockedMechanismWeights, &[2])]
            {
                let call = |length: u16| {
                    let commit = [&Compact(u32::from(length)).encode()[..], &vec![7; length.into()]].concat();
                    let rest = [&9_u64.to_le_bytes()[..], &4_u16.to_le_bytes()].concat();
                    let bytes = [&head(&meta, kind)[..], &[1, 0], mechanism, &commit, &rest].concat();
                    Call::decode(&meta, &bytes)
                };
                for length in [0, 1, 300, 5_000] {
                    let Call::CommitTimelockedWeights { netuid: 1, mechanism: read, sealed } = call(length).unwrap()
                    else {
                        panic!("another call")
                    };
                    assert_eq!(read, mechanism.first().copied().unwrap_or(0));
                    let commit = vec![7; length.into()];
                    assert_eq!(sealed, SealedWeights { commit, reveal_round: 9, version: 4 });
                }
                assert!(call(5_001).unwrap_err().data.contains("more than 5000 bytes"));
            }
        }
    }

    #[test]
    fn random_arguments_never_panic() {
        let metas: Vec<_> = metas().collect();
        let noise = prop::collection::vec(any::<u8>(), 0..200);
        proptest!(|(noise in noise, which in 0_usize..2, call in 0_usize..5, length in any::<u32>(), cut in 0_usize..9)| {
            let meta = &metas[which];
            let known = &meta.calls[call];
            let announced = Compact(length).encode();
            for middle in [&[][..], &announced, &announced[..cut.min(announced.len())]] {
                let bytes = [&[known.pallet, known.index, 1, 0][..], middle, &noise].concat();
                let _ = Call::decode(meta, &bytes);
            }
        });
    }

    #[test]
    fn calls_that_announce_more_than_they_hold_or_hold_more_are_refused() {
        for meta in metas() {
            let billion = [0xfe, 0xff, 0xff, 0xff];
            let weights = head(&meta, CallKind::SetWeights);
            let good = [&weights[..], &[1, 0, 4, 0, 0, 4, 1, 0], &[0; 8]].concat();
            assert!(Call::decode(&meta, &good).is_ok());
            assert!(Call::decode(&meta, &[&good[..], &[0]].concat()).is_err());
            for end in 0..good.len() {
                assert!(Call::decode(&meta, &good[..end]).is_err(), "cut at {end}");
            }
            for bad in [&[&billion[..], &[0; 40]].concat(), &[&[0][..], &billion, &[0; 40]].concat()] {
                assert!(Call::decode(&meta, &[&weights[..], &[1, 0], bad].concat()).is_err());
            }
            let sealed = head(&meta, CallKind::CommitTimelockedWeights);
            assert!(Call::decode(&meta, &[&sealed[..], &[1, 0], &billion, &[0; 40]].concat()).is_err());
        }
    }

    #[test]
    fn a_commitment_that_announces_more_than_it_holds_is_refused() {
        for meta in metas() {
            let call =
                |info: &[u8]| Call::decode(&meta, &[&head(&meta, CallKind::SetCommitment)[..], &[1, 0], info].concat());
            let good = call(&[4, 6, b'h', b'e', b'l', b'l', b'o']).unwrap();
            assert!(matches!(good, Call::SetCommitment { netuid: 1, length: 5, .. }), "{good:?}");
            for bad in [
                &[][..],
                &[4],
                &[4, 6, b'h'],
                &[4, 6, b'h', b'e', b'l', b'l', b'o', 0],
                // Four fields; a billion fields; a timelocked field of a billion bytes.
                &[16, 1, 1, 1, 1],
                &[0xfe, 0xff, 0xff, 0xff, 1],
                &[4, 134, 0xfe, 0xff, 0xff, 0xff, 1],
                &[4, 255],
            ] {
                assert!(call(bad).is_err(), "{bad:?}");
            }
        }
    }
}
