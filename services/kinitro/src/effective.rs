//! `kinitro config`: what every service would run with.

use anyhow::{Context as _, Result};
use kinitro_chassis::redacted;
use serde::Serialize;
use serde_json::Value;

use crate::settings::Settings;

/// Prints the settings as TOML that `--config` takes, with secrets redacted. An unknown or invalid setting is an error.
pub fn print(settings: &Settings) -> Result<()> {
    let sections = [
        ("mesh", value(&settings.mesh(Value::Null)?)?),
        ("gateway", value(&settings.gateway(Value::Null)?)?),
        ("ingestion", value(&settings.ingestion(Value::Null)?)?),
        ("scheduling", value(&settings.scheduling(Value::Null)?)?),
        ("execution", value(&settings.execution(Value::Null)?)?),
        ("scoring", value(&settings.scoring(Value::Null)?)?),
        ("validator", value(&settings.validator(Value::Null)?)?),
        ("db", value(&settings.db(Value::Null)?)?),
        ("devchain", value(&settings.devchain(Value::Null)?)?),
    ];
    for (name, section) in sections {
        // TOML has no null: a setting that is absent is not printed.
        let section = without_nulls(redacted(section));
        println!("[{name}]\n{}", toml::to_string(&section).with_context(|| format!("printing section {name}"))?);
    }
    Ok(())
}

fn value(config: &impl Serialize) -> Result<Value> {
    Ok(serde_json::to_value(config)?)
}

fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(fields) => fields
            .into_iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(name, value)| (name, without_nulls(value)))
            .collect(),
        other => other,
    }
}
