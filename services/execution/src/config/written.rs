//! Values as operators write them: structured, or as text in a variable.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// A list, or its text: JSON, or comma-separated. Empty text and an empty list mean that none was given.
pub(super) fn optional_list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<String>>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        List(Vec<String>),
        Text(String),
    }
    let list = match Option::<Written>::deserialize(deserializer)? {
        None => Vec::new(),
        Some(Written::List(list)) => list,
        Some(Written::Text(text)) if text.trim_start().starts_with('[') => {
            serde_json::from_str(&text).map_err(serde::de::Error::custom)?
        }
        Some(Written::Text(text)) => text.split(',').map(|item| item.trim().to_owned()).collect(),
    };
    let list: Vec<String> = list.into_iter().filter(|item| !item.is_empty()).collect();
    Ok((!list.is_empty()).then_some(list))
}

/// A JSON value, or its text.
pub(super) fn optional_json<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Ok(match Option::<Value>::deserialize(deserializer)? {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) if text.trim().is_empty() => None,
        Some(Value::String(text)) => Some(serde_json::from_str(&text).map_err(serde::de::Error::custom)?),
        Some(value) => Some(value),
    })
}

/// Slots by family, or their text in JSON. Empty text means that none were given.
pub(super) fn slots_by_family<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, u32>, D::Error> {
    let value = optional_json(deserializer)?.unwrap_or_else(|| Value::Object(serde_json::Map::new()));
    let wrong = |error| format!("max_concurrent_per_family is no JSON object of family to number: {error}");
    serde_json::from_value(value).map_err(|error| serde::de::Error::custom(wrong(error)))
}
