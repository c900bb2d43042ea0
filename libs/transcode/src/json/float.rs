//! Doubles and floats: finite ones only, and the nearest to what was written.

use prost_reflect::Value;

use super::fault::{Fault, Reason, quoted};

/// A float, when the number does not overflow it.
pub(super) fn single_precision(value: f64) -> Result<Value, Fault> {
    #[allow(clippy::cast_possible_truncation, reason = "rounding to the nearest float is what the field asks for")]
    let narrowed = value as f32;
    if narrowed.is_finite() {
        Ok(Value::F32(narrowed))
    } else {
        Err(Fault::new(Reason::InvalidValue, format!("{value:e} is out of range for float")))
    }
}

/// A number in the spelling of JSON, as a path, a query or a JSON string gives it.
pub(super) fn from_text(text: &str) -> Result<f64, Fault> {
    let digits_first = text.strip_prefix('-').unwrap_or(text).starts_with(|first: char| first.is_ascii_digit());
    match serde_json::from_str::<f64>(text) {
        Ok(value) if digits_first && text.ends_with(|last: char| last.is_ascii_digit()) => Ok(value),
        _ => Err(Fault::new(Reason::InvalidValue, format!("{} is not a finite number", quoted(text)))),
    }
}
