//! Putting the layers together.
//!
//! A later layer wins: `C::default()`, then the section of the TOML file, then the environment, then flags. Every key is
//! checked against the fields of `C`, which are read from the serialised default: a field that is not serialised does
//! not exist here. An empty variable counts as not set, because that is what `${NAME:-}` leaves behind.

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    path::{Path, PathBuf},
};

use figment::{
    Error as FigmentError, Figment, Metadata, Profile, Provider,
    providers::{Format, Serialized, Toml},
    value::{Dict, Map as Profiles, Value as Layered},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use super::{ConfigError, environment::interpret, redact::is_hidden};

const ENVIRONMENT: &str = "the environment";
const COMMAND_LINE: &str = "the command line";

/// The variables of the operators' guides. One that a section has no use for is not a mistake.
const GUIDE_VARIABLES: &[(&str, &[&str])] = &[
    (
        "KINITRO_API_",
        &["host", "port", "database_url", "log_level", "task_stale_threshold_seconds", "api_key", "auth_disabled"],
    ),
    (
        "KINITRO_SCHEDULER_",
        &[
            "database_url",
            "network",
            "netuid",
            "eval_interval_seconds",
            "episodes_per_env",
            "env_families",
            "log_level",
            "pareto_temperature",
            "task_stale_threshold_seconds",
            "cycle_timeout_seconds",
            "backend_private_key",
            "backend_private_key_file",
            "threshold_z_score",
            "threshold_min_gap",
            "threshold_max_gap",
        ],
    ),
    (
        "KINITRO_EXECUTOR_",
        &[
            "api_url",
            "api_key",
            "batch_size",
            "poll_interval_seconds",
            "eval_image",
            "eval_images",
            "eval_mode",
            "log_level",
            "use_concurrent_executor",
            "default_max_concurrent",
            "max_concurrent_per_family",
            "env_families",
            "executor_id",
            "env_ids",
            "eval_mem_limit",
            "eval_hosts",
            "eval_gpu",
            "max_timesteps",
            "action_timeout",
            "eval_timeout",
            "use_images",
            "verification_enabled",
            "verification_rate",
            "verification_tolerance",
            "verification_samples",
            "verification_max_repo_size_gb",
            "verification_cache_dir",
        ],
    ),
    ("KINITRO_VALIDATOR_", &["log_level"]),
];

/// Defaults < TOML `[section]` < environment `PREFIX_FIELD` < flags. See [`ConfigLoader`] for prefixes that several
/// sections share.
pub fn load_config<C>(
    section: &'static str,
    env_prefix: &str,
    file: Option<&Path>,
    flags: Value,
) -> Result<C, ConfigError>
where
    C: Default + Serialize + DeserializeOwned,
{
    ConfigLoader::new(section, env_prefix).file(file).flags(flags).load()
}

/// The names of a configuration's fields.
pub fn field_names<C: Default + Serialize>() -> Vec<String> {
    match serde_json::to_value(C::default()) {
        Ok(Value::Object(fields)) => fields.into_iter().map(|(name, _)| name).collect(),
        _ => Vec::new(),
    }
}

/// Builds one section's configuration.
#[derive(Debug, Clone)]
pub struct ConfigLoader {
    section: &'static str,
    prefix: String,
    file: Option<PathBuf>,
    flags: Value,
    also_known: Vec<String>,
    sections: Vec<String>,
    environment: BTreeMap<String, String>,
}

impl ConfigLoader {
    /// For the TOML table `section` and the variables that start with `env_prefix`, such as `KINITRO_SCHEDULER_`.
    pub fn new(section: &'static str, env_prefix: &str) -> Self {
        let prefix = format!("{}_", env_prefix.trim_end_matches('_'));
        Self {
            section,
            prefix,
            file: None,
            flags: Value::Null,
            also_known: Vec::new(),
            sections: Vec::new(),
            // Variables that are not Unicode cannot be ours.
            environment: env::vars_os()
                .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
                .collect(),
        }
    }

    /// The TOML file; one that is named must be there.
    pub fn file(mut self, file: Option<&Path>) -> Self {
        self.file = file.map(Path::to_owned);
        self
    }

    /// An object of field names and values; a null is a flag that was not given.
    pub fn flags(mut self, flags: Value) -> Self {
        self.flags = flags;
        self
    }

    /// Fields that sections with the same prefix have ([`field_names`]): their variables are not for this section, and
    /// not a mistake.
    pub fn also_known<S: Into<String>>(mut self, fields: impl IntoIterator<Item = S>) -> Self {
        self.also_known.extend(fields.into_iter().map(Into::into));
        self
    }

    /// Every section the file may have; without this, other sections are not looked at.
    pub fn sections<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        self.sections.extend(names.into_iter().map(Into::into));
        self
    }

    /// Variables to use in place of the process's own.
    pub fn environment<K: Into<String>, V: Into<String>>(
        mut self,
        variables: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        self.environment = variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        self
    }

    /// Puts the layers together.
    pub fn load<C>(&self) -> Result<C, ConfigError>
    where
        C: Default + Serialize + DeserializeOwned,
    {
        let defaults = self.defaults::<C>()?;
        let mut layers = Figment::from(Serialized::defaults(&defaults));
        if let Some(path) = &self.file {
            layers = layers.merge(self.file_layer(path, &defaults)?);
        }
        layers = layers.merge(self.environment_layer::<C>(&defaults)?).merge(self.flag_layer(&defaults)?);
        layers.extract().map_err(|error| self.explain(error))
    }

    /// [`ConfigLoader::load`], then a check of the fields against each other.
    pub fn load_checked<C>(&self, check: impl FnOnce(&C) -> Result<(), String>) -> Result<C, ConfigError>
    where
        C: Default + Serialize + DeserializeOwned,
    {
        let config = self.load()?;
        check(&config).map_err(|reason| ConfigError::Invalid { section: self.section, reason })?;
        Ok(config)
    }

    fn defaults<C: Default + Serialize>(&self) -> Result<Map<String, Value>, ConfigError> {
        let invalid = |reason: String| ConfigError::Invalid { section: self.section, reason };
        match serde_json::to_value(C::default()) {
            Ok(Value::Object(fields)) => Ok(fields),
            Ok(_) => Err(invalid("its defaults are not a table of fields".to_owned())),
            Err(error) => Err(invalid(format!("its defaults cannot be written down: {error}"))),
        }
    }

    fn file_layer(&self, path: &Path, defaults: &Map<String, Value>) -> Result<Layer, ConfigError> {
        let text =
            fs::read_to_string(path).map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
        let mut document: Dict = Toml::from_str(&text)
            .map_err(|error| ConfigError::Malformed { path: path.to_owned(), reason: error.to_string() })?;
        if !self.sections.is_empty()
            && let Some(key) = document.keys().find(|key| !self.sections.contains(key))
        {
            return Err(unknown(&path.display().to_string(), key, self.sections.clone()));
        }
        let origin = format!("{} [{}]", path.display(), self.section);
        let fields = match document.remove(self.section) {
            None => Dict::new(),
            Some(Layered::Dict(_, fields)) => fields,
            Some(_) => {
                return Err(ConfigError::Malformed {
                    path: path.to_owned(),
                    reason: format!("{} is not a table, write [{0}]", self.section),
                });
            }
        };
        if let Some(key) = fields.keys().find(|key| !defaults.contains_key(*key)) {
            return Err(unknown(&origin, key, defaults.keys().cloned().collect()));
        }
        Ok(Layer { origin, prefix: None, fields })
    }

    fn environment_layer<C: DeserializeOwned>(&self, defaults: &Map<String, Value>) -> Result<Layer, ConfigError> {
        let variable = |field: &str| format!("{}{}", self.prefix, field.to_uppercase());
        let mut fields = Dict::new();
        for (name, text) in &self.environment {
            let Some(field) = name.strip_prefix(&self.prefix).map(str::to_lowercase) else { continue };
            if !defaults.contains_key(&field) {
                if self.is_known_elsewhere(&field) {
                    continue;
                }
                let known = defaults.keys().chain(&self.also_known).map(|field| variable(field));
                return Err(unknown(ENVIRONMENT, name, known.collect::<BTreeSet<_>>().into_iter().collect()));
            }
            if text.is_empty() {
                continue;
            }
            let value = interpret::<C>(defaults, &field, text).map_err(|reason| ConfigError::InvalidValue {
                origin: ENVIRONMENT.to_owned(),
                key: name.clone(),
                reason: if is_hidden(&field) { "it is not of the right kind (not shown)".to_owned() } else { reason },
            })?;
            fields.insert(field, self.layered(value)?);
        }
        Ok(Layer { origin: ENVIRONMENT.to_owned(), prefix: Some(self.prefix.clone()), fields })
    }

    /// The variables that are set, are known, and are no setting of this section: nothing here reads them. The log level is applied by the
    /// program.
    pub fn without_effect<C: Default + Serialize>(&self) -> Vec<String> {
        let own = field_names::<C>();
        let unread = |(name, text): &(&String, &String)| {
            let field = name.strip_prefix(&self.prefix).map(str::to_lowercase);
            !text.is_empty() && field.is_some_and(|field| field != "log_level" && !own.contains(&field))
        };
        self.environment.iter().filter(unread).map(|(name, _)| name.clone()).collect()
    }

    fn is_known_elsewhere(&self, field: &str) -> bool {
        let in_guide = |(prefix, fields): &(&str, &[&str])| *prefix == self.prefix && fields.contains(&field);
        self.also_known.iter().any(|known| known == field) || GUIDE_VARIABLES.iter().any(in_guide)
    }

    fn flag_layer(&self, defaults: &Map<String, Value>) -> Result<Layer, ConfigError> {
        let given = match &self.flags {
            Value::Null => Map::new(),
            Value::Object(given) => given.clone(),
            _ => {
                return Err(ConfigError::Invalid { section: self.section, reason: "flags are not a table".to_owned() });
            }
        };
        let mut fields = Dict::new();
        for (field, value) in given {
            if !defaults.contains_key(&field) {
                return Err(unknown(COMMAND_LINE, &field, defaults.keys().cloned().collect()));
            }
            if !value.is_null() {
                fields.insert(field, self.layered(value)?);
            }
        }
        Ok(Layer { origin: COMMAND_LINE.to_owned(), prefix: None, fields })
    }

    fn layered(&self, value: Value) -> Result<Layered, ConfigError> {
        Layered::serialize(value).map_err(|error| self.explain(error))
    }

    fn explain(&self, error: FigmentError) -> ConfigError {
        let Some(metadata) = &error.metadata else {
            return ConfigError::Invalid { section: self.section, reason: error.to_string() };
        };
        let key = metadata.interpolate(error.profile.as_ref().unwrap_or(&Profile::Default), &error.path);
        let secret = error.path.iter().any(|part| is_hidden(part));
        let reason = if secret { "it is not of the right kind (not shown)".to_owned() } else { error.kind.to_string() };
        ConfigError::InvalidValue { origin: metadata.name.to_string(), key, reason }
    }
}

/// One layer, with a name for error messages.
struct Layer {
    origin: String,
    prefix: Option<String>,
    fields: Dict,
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        let prefix = self.prefix.clone();
        Metadata::named(self.origin.clone()).interpolater(move |_: &Profile, keys: &[&str]| match &prefix {
            Some(prefix) => format!("{prefix}{}", keys.join("_").to_uppercase()),
            None => keys.join("."),
        })
    }

    fn data(&self) -> Result<Profiles<Profile, Dict>, FigmentError> {
        Ok(Profile::Default.collect(self.fields.clone()))
    }
}

fn unknown(origin: &str, key: &str, mut valid: Vec<String>) -> ConfigError {
    valid.sort();
    let suggestion = valid
        .iter()
        .map(|known| (distance(&known.to_lowercase(), &key.to_lowercase()), known))
        .filter(|(distance, _)| *distance <= 3)
        .min()
        .map(|(_, known)| known.clone());
    ConfigError::UnknownKey { origin: origin.to_owned(), key: key.to_owned(), suggestion, valid }
}

/// Levenshtein's distance in bytes.
fn distance(left: &str, right: &str) -> usize {
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in right.bytes().enumerate() {
            let change = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = change.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[right.len()]
}
