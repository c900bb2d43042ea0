//! The effective settings of every service: defaults, then the file, then the environment, then flags.
//!
//! Ingestion, scheduling and scoring were one process once, so they share the prefix `KINITRO_SCHEDULER_`: a variable of one is no
//! mistake for the others.

use std::{collections::BTreeMap, ffi::OsString, path::PathBuf};

use kinitro_chassis::{ConfigError, ConfigLoader, MeshAccess, MeshConfig, field_names};
use kinitro_execution::WorkerCommand;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::cli::MeshArgs;

/// The sections that a file may have.
const SECTIONS: [&str; 9] =
    ["mesh", "gateway", "scheduling", "ingestion", "scoring", "execution", "validator", "devchain", "db"];
const MESH: &str = "mesh";
const SCHEDULER: &str = "KINITRO_SCHEDULER_";

/// The settings of `kinitro db`: section `[db]`, variables `KINITRO_DB_*`. What is absent is scheduling's.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DbConfig {
    /// The database, for the user who owns the tables.
    pub database_url: Option<String>,
    /// Who asks, in place of the URL's user.
    pub database_user: Option<String>,
    /// The password, as it is, in place of the URL's.
    pub database_password: Option<String>,
    /// A file that holds it.
    pub database_password_file: Option<PathBuf>,
    /// The password of the role `kinitro_ingestion`, which `db init` then makes.
    pub ingestion_password: Option<String>,
    /// The password of the role `kinitro_scheduling`, which `db init` then makes.
    pub scheduling_password: Option<String>,
    /// The password of the role `kinitro_scoring`, which `db init` then makes.
    pub scoring_password: Option<String>,
}

impl DbConfig {
    /// The password that the role of a schema is to have.
    pub fn password_of(&self, schema: &str) -> Option<&str> {
        let password = match schema {
            "ingestion" => &self.ingestion_password,
            "scheduling" => &self.scheduling_password,
            "scoring" => &self.scoring_password,
            _ => &None,
        };
        password.as_deref()
    }
}

/// Where settings come from besides flags.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// The TOML file.
    pub file: Option<PathBuf>,
    /// The level of this process's log, which its children share; absent for their own default.
    pub log_level: Option<String>,
    /// The process is one service, so that what this service does not read has no effect.
    pub alone: bool,
}

/// Variables of the earlier system that stand for a setting of several sections, and the settings.
const SHARED: [(&str, &str, &str); 6] = [
    ("KINITRO_NETUID", "ingestion", "KINITRO_SCHEDULER_NETUID"),
    ("KINITRO_NETWORK", "ingestion", "KINITRO_SCHEDULER_NETWORK"),
    ("KINITRO_NETUID", "validator", "KINITRO_VALIDATOR_NETUID"),
    ("KINITRO_NETWORK", "validator", "KINITRO_VALIDATOR_NETWORK"),
    ("KINITRO_WALLET_NAME", "validator", "KINITRO_VALIDATOR_WALLET_NAME"),
    ("KINITRO_HOTKEY_NAME", "validator", "KINITRO_VALIDATOR_HOTKEY_NAME"),
];

/// What variables of ours begin with, or are.
const KNOWN: [&str; 17] = [
    "KINITRO_MESH_",
    "KINITRO_API_",
    "KINITRO_SCHEDULER_",
    "KINITRO_EXECUTOR_",
    "KINITRO_VALIDATOR_",
    "KINITRO_DEVCHAIN_",
    "KINITRO_CONFIG",
    "KINITRO_DATABASE_URL",
    "KINITRO_REDIS_URL",
    "KINITRO_NETUID",
    "KINITRO_NETWORK",
    "KINITRO_WALLET_NAME",
    "KINITRO_HOTKEY_NAME",
    "KINITRO_HOTKEY_SEED",
    "KINITRO_BACKEND_HOTKEY",
    "KINITRO_BACKEND_PUBLIC_KEY",
    "KINITRO_METAWORLD_ASSETS",
];

impl Settings {
    /// What the services of this process share: section `[mesh]`, variables `KINITRO_MESH_*`.
    pub fn mesh(&self, flags: Value) -> Result<MeshConfig, ConfigError> {
        self.load(MESH, "KINITRO_MESH_", &[], flags)
    }

    /// What this process shows to services and asks of its callers, with the tokens read from their files. A file that is named on the
    /// command line takes the place of every other way to name the token.
    pub fn access(&self, args: &MeshArgs) -> Result<MeshAccess, ConfigError> {
        let mut config = self.mesh(json!({ "token_file": args.token_file }))?;
        if args.token_file.is_some() {
            config.token = None;
        }
        config.access().map_err(|error| ConfigError::Invalid { section: MESH, reason: error.to_string() })
    }

    /// The gateway's.
    pub fn gateway(&self, flags: Value) -> Result<kinitro_gateway::Config, ConfigError> {
        let mut config: kinitro_gateway::Config = self.load("gateway", "KINITRO_API_", &[], flags)?;
        config.no_auth |= config.auth_disabled;
        Ok(config)
    }

    /// Scheduling's.
    pub fn scheduling(&self, flags: Value) -> Result<kinitro_scheduling::Config, ConfigError> {
        self.load("scheduling", SCHEDULER, &scheduler_fields(), flags)
    }

    /// Ingestion's.
    pub fn ingestion(&self, flags: Value) -> Result<kinitro_ingestion::Config, ConfigError> {
        self.load("ingestion", SCHEDULER, &scheduler_fields(), flags)
    }

    /// Scoring's.
    pub fn scoring(&self, flags: Value) -> Result<kinitro_scoring::Config, ConfigError> {
        self.load("scoring", SCHEDULER, &scheduler_fields(), flags)
    }

    /// Execution's.
    pub fn execution(&self, flags: Value) -> Result<kinitro_execution::Config, ConfigError> {
        self.load("execution", "KINITRO_EXECUTOR_", &[], flags)
    }

    /// How execution starts its simulation processes: this program again, logging as this one does.
    pub fn family_worker(&self) -> WorkerCommand {
        let level = self.log_level.iter().flat_map(|level| ["--log-level", level]);
        WorkerCommand::this_program(["family-worker"].into_iter().chain(level))
    }

    /// The validator's.
    pub fn validator(&self, flags: Value) -> Result<kinitro_validator::Config, ConfigError> {
        self.load("validator", "KINITRO_VALIDATOR_", &[], flags)
    }

    /// Those of `kinitro db`.
    pub fn db(&self, flags: Value) -> Result<DbConfig, ConfigError> {
        self.load("db", "KINITRO_DB_", &[], flags)
    }

    /// The development chain's, checked: the chain itself takes every configuration that it can be built from.
    pub fn devchain(&self, flags: Value) -> Result<kinitro_devchain::Config, ConfigError> {
        let config: kinitro_devchain::Config = self.load("devchain", "KINITRO_DEVCHAIN_", &[], flags)?;
        match config.validate() {
            Ok(()) => Ok(config),
            Err(reason) => Err(ConfigError::Invalid { section: "devchain", reason }),
        }
    }

    fn load<C>(&self, section: &'static str, prefix: &str, also: &[String], flags: Value) -> Result<C, ConfigError>
    where
        C: Default + Serialize + DeserializeOwned,
    {
        let loader = ConfigLoader::new(section, prefix)
            .environment(environment(section, std::env::vars_os()))
            .file(self.file.as_deref())
            .sections(SECTIONS)
            .also_known(also.iter().cloned())
            .flags(flags);
        let config = loader.load()?;
        // What all services share is loaded besides a service's own section, which says it.
        if self.alone && section != MESH {
            say_without_effect(section, loader.without_effect::<C>());
        }
        Ok(config)
    }
}

/// The variables, with what stands for settings of a section as those settings.
fn environment(section: &str, variables: impl Iterator<Item = (OsString, OsString)>) -> BTreeMap<String, String> {
    // Variables that are not Unicode cannot be ours.
    let text = |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value.into_string().ok()?));
    let mut variables: BTreeMap<String, String> = variables.filter_map(text).collect();
    for (shared, _, own) in SHARED.into_iter().filter(|(_, of, _)| *of == section) {
        if let Some(value) = variables.get(shared).cloned()
            && variables.get(own).is_none_or(String::is_empty)
        {
            variables.insert(own.to_owned(), value);
        }
    }
    variables
}

/// Says which variables are set for nothing.
fn say_without_effect(section: &str, mut names: Vec<String>) {
    let ours = |name: &String| name.starts_with("KINITRO_") && !KNOWN.iter().any(|known| name.starts_with(known));
    names.extend(std::env::vars_os().filter_map(|(name, _)| name.into_string().ok()).filter(ours));
    if names.is_empty() {
        return;
    }
    let shown: Vec<String> = names.iter().map(|name| format!("{name}{}", reader(name))).collect();
    tracing::warn!("these variables are set and have no effect on {section}: {}", shown.join(", "));
}

/// Which service reads a variable of those that share a prefix.
fn reader(name: &str) -> String {
    let Some(field) = name.strip_prefix(SCHEDULER).map(str::to_lowercase) else { return String::new() };
    let readers: Vec<&str> = [
        ("ingestion", field_names::<kinitro_ingestion::Config>()),
        ("scheduling", field_names::<kinitro_scheduling::Config>()),
        ("scoring", field_names::<kinitro_scoring::Config>()),
    ]
    .into_iter()
    .filter_map(|(service, fields)| fields.contains(&field).then_some(service))
    .collect();
    if readers.is_empty() { String::new() } else { format!(" ({} reads it)", readers.join(" or ")) }
}

fn scheduler_fields() -> Vec<String> {
    [
        field_names::<kinitro_scheduling::Config>(),
        field_names::<kinitro_ingestion::Config>(),
        field_names::<kinitro_scoring::Config>(),
    ]
    .concat()
}

/// Adds fields to flags, where the flag was not given.
pub fn with(mut flags: Value, fields: Value) -> Value {
    if let (Value::Object(flags), Value::Object(fields)) = (&mut flags, fields) {
        for (name, value) in fields {
            flags.entry(name).or_insert(value);
        }
    }
    flags
}
