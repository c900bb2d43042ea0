//! What the text of an environment variable means.
//!
//! The type of the field decides, and the field's own deserialiser is asked: each reading of the text is tried until
//! one is accepted. So a hexadecimal key of digits alone stays text, and a list may be JSON or comma-separated.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// The value of `field` that `text` stands for, or why no reading fits. `defaults` are the fields of `C::default()`.
pub(super) fn interpret<C: DeserializeOwned>(
    defaults: &Map<String, Value>,
    field: &str,
    text: &str,
) -> Result<Value, String> {
    let mut first_refusal = None;
    for reading in readings(text, defaults.get(field).unwrap_or(&Value::Null)) {
        let mut fields = defaults.clone();
        fields.insert(field.to_owned(), reading.clone());
        match serde_json::from_value::<C>(Value::Object(fields)) {
            Ok(_) => return Ok(reading),
            Err(error) => {
                first_refusal.get_or_insert_with(|| error.to_string());
            }
        }
    }
    Err(first_refusal.unwrap_or_else(|| "it has no meaning".to_owned()))
}

fn readings(text: &str, default: &Value) -> Vec<Value> {
    let trimmed = text.trim();
    let json = serde_json::from_str::<Value>(trimmed);
    let mut readings = Vec::new();
    // `null` is how the guides write an option that is not set; a list or a number is never meant as text where the
    // default is one.
    if trimmed == "null" && default.is_null() {
        readings.push(Value::Null);
    }
    let as_text = Value::String(text.to_owned());
    if default.is_number() || default.is_boolean() || default.is_array() || default.is_object() {
        readings.extend(json);
        readings.push(as_text);
    } else {
        readings.push(as_text);
        readings.extend(json);
    }
    match trimmed.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => readings.push(Value::Bool(true)),
        "false" | "0" | "no" | "off" => readings.push(Value::Bool(false)),
        _ => {}
    }
    let items = || trimmed.split(',').map(str::trim).filter(|item| !item.is_empty());
    readings.push(items().map(Value::from).collect());
    readings
        .extend(items().map(|item| serde_json::from_str(item).ok()).collect::<Option<Vec<Value>>>().map(Value::from));
    readings
}
