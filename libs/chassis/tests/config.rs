//! The layers of a configuration and what is said about mistakes.
#![allow(clippy::unwrap_used)]

use std::{collections::BTreeMap, fs};

use kinitro_chassis::{ConfigError, ConfigLoader, field_names};
use serde::{Deserialize, Serialize};
use serde_json::json;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Config {
    episodes_per_env: u32,
    pareto_temperature: f64,
    network: String,
    use_images: bool,
    eval_hosts: Vec<String>,
    ports: Vec<u16>,
    env_ids: Option<Vec<String>>,
    backend_private_key: Option<String>,
    limit: Option<u64>,
    max_concurrent_per_family: BTreeMap<String, u32>,
    mode: Mode,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Mode {
    Docker,
    Basilica,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            episodes_per_env: 50,
            pareto_temperature: 1.0,
            network: "finney".to_owned(),
            use_images: true,
            eval_hosts: vec!["localhost".to_owned()],
            ports: Vec::new(),
            env_ids: None,
            backend_private_key: None,
            limit: None,
            max_concurrent_per_family: BTreeMap::new(),
            mode: Mode::Docker,
        }
    }
}

fn loader() -> ConfigLoader {
    ConfigLoader::new("scheduling", "KINITRO_SCHEDULER_").environment::<String, String>([])
}

fn from_environment(name: &str, value: &str) -> Result<Config, ConfigError> {
    loader().environment([(name, value)]).load()
}

fn toml(text: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), text).unwrap();
    file
}

#[test]
fn a_later_layer_wins() {
    let file = toml("[scheduling]\nepisodes_per_env = 1\nnetwork = 'file'\nlimit = 1\n[scoring]\nwhatever = 1\n");
    let config: Config = loader()
        .file(Some(file.path()))
        .environment([("KINITRO_SCHEDULER_NETWORK", "environment"), ("KINITRO_SCHEDULER_LIMIT", "2"), ("HOME", "/")])
        .flags(json!({"limit": 3, "network": null}))
        .load()
        .unwrap();
    let expected =
        Config { episodes_per_env: 1, network: "environment".to_owned(), limit: Some(3), ..Config::default() };
    assert_eq!(config, expected);
}

#[test]
fn without_any_layer_the_defaults_hold() {
    assert_eq!(loader().load::<Config>().unwrap(), Config::default());
}

#[test]
fn variables_are_read_as_the_field_wants_them() {
    let read = |name: &str, value: &str| from_environment(&format!("KINITRO_SCHEDULER_{name}"), value).unwrap();
    assert_eq!(read("EPISODES_PER_ENV", "7").episodes_per_env, 7);
    assert_eq!(read("PARETO_TEMPERATURE", "2").pareto_temperature, 2.0);
    assert_eq!(read("NETWORK", "42").network, "42");
    for text in ["false", "False", "0", "no", "off"] {
        assert!(!read("USE_IMAGES", text).use_images, "{text}");
    }
    for text in ["a,b", " a , b ,", r#"["a","b"]"#] {
        assert_eq!(read("EVAL_HOSTS", text).eval_hosts, ["a", "b"], "{text}");
        assert_eq!(read("ENV_IDS", text).env_ids.unwrap(), ["a", "b"], "{text}");
    }
    assert_eq!(read("ENV_IDS", "null").env_ids, None);
    assert_eq!(read("PORTS", "1, 2").ports, [1, 2]);
    assert_eq!(read("BACKEND_PRIVATE_KEY", "0123").backend_private_key.unwrap(), "0123");
    assert_eq!(read("LIMIT", "9").limit, Some(9));
    assert_eq!(read("MODE", "basilica").mode, Mode::Basilica);
    let limits = read("MAX_CONCURRENT_PER_FAMILY", r#"{"metaworld": 50, "genesis": 10}"#).max_concurrent_per_family;
    assert_eq!(limits["genesis"], 10);
}

#[test]
fn an_empty_variable_counts_as_not_set() {
    for name in ["EPISODES_PER_ENV", "BACKEND_PRIVATE_KEY", "NETWORK"] {
        assert_eq!(from_environment(&format!("KINITRO_SCHEDULER_{name}"), "").unwrap(), Config::default());
    }
}

#[test]
fn an_unknown_variable_is_an_error_that_lists_the_valid_ones() {
    let error = from_environment("KINITRO_SCHEDULER_EPISODE_PER_ENV", "1").unwrap_err().to_string();
    for part in [
        "the environment sets KINITRO_SCHEDULER_EPISODE_PER_ENV",
        "did you mean KINITRO_SCHEDULER_EPISODES_PER_ENV?",
        "KINITRO_SCHEDULER_BACKEND_PRIVATE_KEY",
        "KINITRO_SCHEDULER_ENV_IDS",
    ] {
        assert!(error.contains(part), "{part} is missing in {error}");
    }
}

#[test]
fn variables_of_the_guides_and_of_siblings_are_left_alone() {
    assert_eq!(from_environment("KINITRO_SCHEDULER_CYCLE_TIMEOUT_SECONDS", "7").unwrap(), Config::default());
    let sibling = [("KINITRO_SCHEDULER_RPC_URL", "ws://x")];
    assert!(loader().environment(sibling).load::<Config>().is_err());
    assert_eq!(loader().environment(sibling).also_known(["rpc_url"]).load::<Config>().unwrap(), Config::default());
}

#[test]
fn an_unknown_key_in_the_file_is_named_with_the_file_and_section() {
    let file = toml("[scheduling]\nepisodes = 1\n");
    let error = loader().file(Some(file.path())).load::<Config>().unwrap_err();
    let ConfigError::UnknownKey { origin, key, valid, .. } = &error else { panic!("{error}") };
    assert_eq!(*origin, format!("{} [scheduling]", file.path().display()));
    assert_eq!(key, "episodes");
    assert!(valid.iter().any(|name| name == "limit"), "options without a value are valid keys, too: {valid:?}");
}

#[test]
fn an_unknown_section_is_an_error_where_the_sections_are_known() {
    let file = toml("[schedulling]\nlimit = 1\n");
    let error = loader().sections(["scheduling", "scoring"]).file(Some(file.path())).load::<Config>().unwrap_err();
    assert!(error.to_string().contains("did you mean scheduling?"), "{error}");
}

#[test]
fn an_unknown_flag_is_an_error() {
    let error = loader().flags(json!({"episodes": 1})).load::<Config>().unwrap_err().to_string();
    assert!(error.contains("the command line sets episodes"), "{error}");
}

#[test]
fn a_value_of_the_wrong_type_is_named_with_its_source() {
    let error = from_environment("KINITRO_SCHEDULER_LIMIT", "many").unwrap_err().to_string();
    assert!(error.contains("the environment sets KINITRO_SCHEDULER_LIMIT"), "{error}");
    let file = toml("[scheduling]\nlimit = 'many'\n");
    let error = loader().file(Some(file.path())).load::<Config>().unwrap_err().to_string();
    assert!(error.contains("[scheduling] sets limit to something unusable"), "{error}");
    let error = loader().flags(json!({"limit": -1})).load::<Config>().unwrap_err().to_string();
    assert!(error.contains("the command line sets limit"), "{error}");
}

#[test]
fn a_secret_never_shows_in_an_error() {
    #[derive(Debug, Default, Serialize, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    struct Keyed {
        secret_number: u32,
    }
    let from_env = loader().environment([("KINITRO_SCHEDULER_SECRET_NUMBER", "hunter2")]).load::<Keyed>();
    let file = toml("[scheduling]\nsecret_number = 'hunter2'\n");
    let from_file = loader().file(Some(file.path())).load::<Keyed>();
    for error in [from_env.unwrap_err(), from_file.unwrap_err()] {
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }

    // Somebody takes the key for the name of its file, and forgets the quotes.
    #[derive(Debug, Default, Serialize, Deserialize)]
    struct KeyedByFile {
        private_key_file: Option<std::path::PathBuf>,
    }
    let file = toml("[keyed]\nprivate_key_file = 7070707070707\n");
    let refused = ConfigLoader::new("keyed", "KEYED_").file(Some(file.path())).load::<KeyedByFile>().unwrap_err();
    assert!(refused.to_string().contains("private_key_file") && !refused.to_string().contains("7070"), "{refused}");
}

#[test]
fn a_file_that_is_missing_or_broken_is_named() {
    let error = loader().file(Some("/nowhere/kinitro.toml".as_ref())).load::<Config>().unwrap_err().to_string();
    assert!(error.contains("/nowhere/kinitro.toml"), "{error}");
    let file = toml("[scheduling\n");
    let error = loader().file(Some(file.path())).load::<Config>().unwrap_err();
    assert!(matches!(error, ConfigError::Malformed { .. }), "{error}");
    let file = toml("scheduling = 1\n");
    let error = loader().file(Some(file.path())).load::<Config>().unwrap_err();
    assert!(matches!(error, ConfigError::Malformed { .. }), "{error}");
}

#[test]
fn fields_are_checked_against_each_other() {
    let check = |config: &Config| {
        if config.limit.is_some() { Ok(()) } else { Err("limit must be set with episodes_per_env".to_owned()) }
    };
    let error = loader().load_checked(check).unwrap_err().to_string();
    assert!(error.contains("scheduling") && error.contains("limit must be set"), "{error}");
    loader().flags(json!({"limit": 1})).load_checked(check).unwrap();
}

#[test]
fn every_field_has_a_name_also_those_without_a_value() {
    let names = field_names::<Config>();
    assert_eq!(names.len(), 11);
    assert!(names.contains(&"backend_private_key".to_owned()));
}
