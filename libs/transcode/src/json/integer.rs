//! Integers, exactly or not at all.

use prost_reflect::Value;

use super::{
    fault::{Fault, Reason, quoted},
    float,
};
use crate::schema::Single;

/// Largest magnitude below which every integer is a double of its own: 2^53 - 1.
const MAX_EXACT: f64 = 9_007_199_254_740_991.0;

/// The value of an integer kind, when it is in range.
pub(super) fn in_range(kind: &Single, value: i128) -> Result<Value, Fault> {
    let fitted = match kind {
        Single::I32 => i32::try_from(value).ok().map(Value::I32),
        Single::I64 => i64::try_from(value).ok().map(Value::I64),
        Single::U32 => u32::try_from(value).ok().map(Value::U32),
        Single::U64 => u64::try_from(value).ok().map(Value::U64),
        _ => None,
    };
    fitted.ok_or_else(|| {
        let (name, low, high) = bounds(kind);
        Fault::new(Reason::InvalidValue, format!("{value} is out of range for {name} ({low} to {high})"))
    })
}

/// A number written with a fraction or an exponent: accepted when it is an integer beyond doubt.
pub(super) fn from_double(kind: &Single, value: f64) -> Result<Value, Fault> {
    if value.fract() != 0.0 {
        return Err(Fault::new(Reason::InvalidValue, format!("{value} is not an integer")));
    }
    if value.abs() > MAX_EXACT {
        let (name, low, high) = bounds(kind);
        return Err(Fault::new(
            Reason::InvalidValue,
            format!("{value:e} is not exact, or out of range for {name} ({low} to {high}); write all digits"),
        ));
    }
    #[allow(clippy::cast_possible_truncation, reason = "an integer within 2^53")]
    in_range(kind, value as i128)
}

/// A decimal integer as text: digits with an optional minus, no leading zeros, sign or space.
pub(super) fn from_text(kind: &Single, text: &str) -> Result<Value, Fault> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let plain = !digits.is_empty()
        && digits.len() <= 20
        && digits.bytes().all(|byte| byte.is_ascii_digit())
        && (digits == "0" || !digits.starts_with('0'))
        && text != "-0";
    match text.parse::<i128>() {
        Ok(value) if plain => in_range(kind, value),
        _ => {
            let (name, low, high) = bounds(kind);
            Err(Fault::new(
                Reason::InvalidValue,
                format!("{} is not a decimal integer for {name} ({low} to {high})", quoted(text)),
            ))
        }
    }
}

/// An integer in JSON quotes: everything that would be one without them.
pub(super) fn from_quoted(kind: &Single, text: &str) -> Result<Value, Fault> {
    from_text(kind, text).or_else(|fault| match float::from_text(text) {
        // All digits were there: the value is out of range, and told exactly.
        Ok(_) if text.bytes().all(|byte| byte == b'-' || byte.is_ascii_digit()) => Err(fault),
        Ok(value) => from_double(kind, value),
        Err(_) => Err(fault),
    })
}

fn bounds(kind: &Single) -> (&'static str, i128, i128) {
    match kind {
        Single::I32 => ("int32", i32::MIN.into(), i32::MAX.into()),
        Single::I64 => ("int64", i64::MIN.into(), i64::MAX.into()),
        Single::U32 => ("uint32", 0, u32::MAX.into()),
        _ => ("uint64", 0, u64::MAX.into()),
    }
}
