//! Finding one's way in values that were decoded by the node's own metadata.
//!
//! Runtimes wrap and unwrap types between versions (`u16` becomes `NetUid(u16)`, a vector becomes a bounded one), so these
//! readers look through wrappers instead of expecting an exact shape.

use scale_value::{Composite, Primitive, Value, ValueDef, Variant};

/// A number, alone or in single-field wrappers.
pub(crate) fn number(value: &Value) -> Option<u128> {
    match &value.value {
        ValueDef::Primitive(Primitive::U128(number)) => Some(*number),
        ValueDef::Composite(composite) if composite.len() == 1 => number(composite.values().next()?),
        _ => None,
    }
}

/// The variants in a list, however many wrappers are around it.
pub(crate) fn variants(value: &Value) -> Vec<&Variant<()>> {
    match &value.value {
        ValueDef::Variant(variant) => vec![variant],
        ValueDef::Composite(composite) => composite.values().flat_map(variants).collect(),
        _ => Vec::new(),
    }
}

/// The bytes inside, in order; `None` when something else than bytes is among them.
pub(crate) fn bytes(composite: &Composite<()>) -> Option<Vec<u8>> {
    let mut all = Vec::new();
    for value in composite.values() {
        match &value.value {
            ValueDef::Primitive(Primitive::U128(byte)) => all.push(u8::try_from(*byte).ok()?),
            ValueDef::Composite(inner) => all.extend(bytes(inner)?),
            _ => return None,
        }
    }
    Some(all)
}
