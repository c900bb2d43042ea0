//! The settings of an executor: `KINITRO_EXECUTOR_<FIELD>`, with the names and defaults of the operators' guide.

use kinitro_domain::{EnvId, ExecutorId};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

/// The settings of an executor. The last block is accepted so that existing deployments start; [`Config::superseded`] says what
/// becomes of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where scheduling answers gRPC, e.g. `http://scheduling:50051`.
    pub scheduling_url: Option<String>,
    /// The name under which tasks are leased; `executor-<random>` when absent.
    pub executor_id: Option<String>,
    /// The most tasks leased at a time, 1 to 100.
    pub batch_size: u32,
    /// How long one request for work waits for some, and the pause after an empty answer.
    pub poll_interval_seconds: f64,
    /// The most steps of an episode.
    pub max_timesteps: u32,
    /// Seconds that a policy has for each answer.
    pub action_timeout: f64,
    /// Seconds for a connection to a policy, at the start of an episode.
    pub connect_timeout: f64,
    /// Seconds that a policy has for all its answers in an episode together; on our side, the limit of a single step.
    pub eval_timeout: f64,
    /// Whether observations have camera images.
    pub use_images: bool,
    /// Only these environments.
    #[serde(deserialize_with = "optional_list")]
    pub env_ids: Option<Vec<String>>,
    /// Only environments of these families.
    #[serde(deserialize_with = "optional_list")]
    pub env_families: Option<Vec<String>>,
    /// Episodes in flight.
    pub default_max_concurrent: u32,
    /// Threads that step and render; 0 for one a core.
    pub simulation_threads: u32,
    /// Also call policies on private and loopback addresses.
    pub allow_private_endpoints: bool,
    /// Seconds that running episodes have to finish when the executor drains.
    pub drain_seconds: f64,
    /// The folder with the environments' models; absent for where `make setup` puts it.
    pub assets: Option<String>,
    /// Verbosity of the log.
    pub log_level: String,

    /// The REST gateway, which executors of the earlier system leased from.
    pub api_url: Option<String>,
    /// The bearer key for it.
    pub api_key: Option<String>,
    /// Container images by family. The families named here are played when `env_families` is absent.
    #[serde(deserialize_with = "optional_json")]
    pub eval_images: Option<Value>,
    /// Where evaluation containers ran.
    pub eval_mode: Option<String>,
    /// Memory of an evaluation container.
    pub eval_mem_limit: Option<String>,
    /// Container hosts.
    #[serde(deserialize_with = "optional_json")]
    pub eval_hosts: Option<Value>,
    /// One process a family.
    pub use_concurrent_executor: Option<bool>,
    /// Limits by family.
    #[serde(deserialize_with = "optional_json")]
    pub max_concurrent_per_family: Option<Value>,
    /// Spot checks of deployments against repositories.
    pub verification_enabled: Option<bool>,
    /// How many miners are checked.
    pub verification_rate: Option<f64>,
    /// When two actions are equal.
    pub verification_tolerance: Option<f64>,
    /// Observations a check.
    pub verification_samples: Option<u32>,
    /// The largest repository that is checked.
    pub verification_max_repo_size_gb: Option<f64>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            scheduling_url: None,
            executor_id: None,
            batch_size: 10,
            poll_interval_seconds: 5.0,
            max_timesteps: 500,
            action_timeout: 0.5,
            connect_timeout: 5.0,
            eval_timeout: 300.0,
            use_images: true,
            env_ids: None,
            env_families: None,
            default_max_concurrent: 20,
            simulation_threads: 0,
            allow_private_endpoints: false,
            drain_seconds: 20.0,
            assets: None,
            log_level: "INFO".to_owned(),
            api_url: None,
            api_key: None,
            eval_images: None,
            eval_mode: None,
            eval_mem_limit: None,
            eval_hosts: None,
            use_concurrent_executor: None,
            max_concurrent_per_family: None,
            verification_enabled: None,
            verification_rate: None,
            verification_tolerance: None,
            verification_samples: None,
            verification_max_repo_size_gb: None,
        }
    }
}

impl Config {
    /// Checks each field and the fields against each other; the message names the field.
    pub fn validate(&self) -> Result<(), String> {
        let positive = |name: &str, seconds: f64, most: f64| {
            let fits = seconds > 0.0 && seconds <= most;
            if fits {
                Ok(())
            } else {
                Err(format!("{name} is {seconds}; it must be above 0 and at most {most} seconds"))
            }
        };
        positive("poll_interval_seconds", self.poll_interval_seconds, 3600.0)?;
        positive("action_timeout", self.action_timeout, 600.0)?;
        positive("connect_timeout", self.connect_timeout, 600.0)?;
        positive("eval_timeout", self.eval_timeout, 86_400.0)?;
        if self.eval_timeout <= self.action_timeout {
            return Err(format!(
                "eval_timeout is {}; it must be longer than action_timeout, which is {}",
                self.eval_timeout, self.action_timeout
            ));
        }
        if !(0.0..=3600.0).contains(&self.drain_seconds) {
            return Err(format!("drain_seconds is {}; it must be 0 to 3600", self.drain_seconds));
        }
        let ranges = [
            ("batch_size", self.batch_size, 1, 100),
            ("max_timesteps", self.max_timesteps, 1, 100_000),
            ("default_max_concurrent", self.default_max_concurrent, 1, 10_000),
            ("simulation_threads", self.simulation_threads, 0, 1024),
        ];
        for (name, value, least, most) in ranges {
            if !(least..=most).contains(&value) {
                return Err(format!("{name} is {value}; it must be {least} to {most}"));
            }
        }
        if let Some(id) = &self.executor_id {
            ExecutorId::try_from(id.clone()).map_err(|error| format!("executor_id {error}"))?;
        }
        for id in self.env_ids.iter().flatten() {
            id.parse::<EnvId>().map_err(|error| format!("env_ids: {error}"))?;
        }
        if self.eval_images.as_ref().is_some_and(|images| !images.is_object()) {
            return Err("eval_images must be a JSON object of family to image".to_owned());
        }
        Ok(())
    }

    /// The families to play; `None` for all.
    pub fn families(&self) -> Option<Vec<String>> {
        let of_images = || Some(self.eval_images.as_ref()?.as_object()?.keys().cloned().collect());
        self.env_families.clone().or_else(of_images)
    }

    /// One line for each setting that existing deployments have and that does something else now, or nothing.
    pub fn superseded(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let mut line = |set: bool, name: &str, now: &str| {
            if set {
                lines.push(format!("{name} is set: {now}"));
            }
        };
        line(
            self.api_url.is_some(),
            "api_url",
            "executors lease by gRPC from scheduling_url; the REST gateway is not called",
        );
        line(self.api_key.is_some(), "api_key", "executors do not call the REST gateway, so no key is sent");
        line(
            self.eval_images.is_some(),
            "eval_images",
            "environments are built in and no image is run; only the families it names are used, when env_families is not set",
        );
        line(self.eval_mode.is_some(), "eval_mode", "episodes run in this process, without containers");
        line(
            self.eval_mem_limit.is_some(),
            "eval_mem_limit",
            "there is no evaluation container; limit this process instead",
        );
        line(
            self.eval_hosts.is_some(),
            "eval_hosts",
            "episodes run on this host; start an executor on each host instead",
        );
        line(
            self.use_concurrent_executor.is_some(),
            "use_concurrent_executor",
            "every executor plays default_max_concurrent episodes at once",
        );
        line(
            self.max_concurrent_per_family.is_some(),
            "max_concurrent_per_family",
            "default_max_concurrent counts over all families; start one executor a family to limit each",
        );
        let verification = self.verification_rate.is_some()
            || self.verification_tolerance.is_some()
            || self.verification_samples.is_some()
            || self.verification_max_repo_size_gb.is_some();
        line(
            verification || self.verification_enabled == Some(true),
            "verification_*",
            "this version does not compare deployments with repositories",
        );
        lines
    }
}

/// A list, or its text: JSON, or comma-separated. Empty text and an empty list mean that none was given.
fn optional_list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<String>>, D::Error> {
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
fn optional_json<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Ok(match Option::<Value>::deserialize(deserializer)? {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) if text.trim().is_empty() => None,
        Some(Value::String(text)) => Some(serde_json::from_str(&text).map_err(serde::de::Error::custom)?),
        Some(value) => Some(value),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(value: Value) -> Config {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn the_defaults_are_those_of_the_guide_and_valid() {
        let config = read(json!({}));
        assert_eq!(config.validate(), Ok(()));
        assert_eq!((config.batch_size, config.poll_interval_seconds, config.max_timesteps), (10, 5.0, 500));
        assert_eq!((config.action_timeout, config.eval_timeout, config.use_images), (0.5, 300.0, true));
        assert_eq!((config.default_max_concurrent, config.superseded().len()), (20, 0));
    }

    #[test]
    fn lists_are_read_in_each_way_that_the_guide_writes_them() {
        for families in
            [json!("metaworld,genesis"), json!(["metaworld", "genesis"]), json!(r#"["metaworld","genesis"]"#)]
        {
            assert_eq!(read(json!({"env_families": families})).families().unwrap(), ["metaworld", "genesis"]);
        }
        assert_eq!(read(json!({"env_families": ""})).families(), None);
        let images = r#"{"metaworld": "kinitro/metaworld:v1"}"#;
        assert_eq!(read(json!({"eval_images": images})).families().unwrap(), ["metaworld"]);
    }

    #[test]
    fn a_deployment_of_the_earlier_system_starts_and_is_told_what_changed() {
        let config = read(json!({
            "api_url": "http://api:8000", "api_key": "k", "eval_mode": "docker", "eval_mem_limit": "8g",
            "eval_images": {"metaworld": "kinitro/metaworld:v1"}, "eval_hosts": "[\"localhost\"]",
            "use_concurrent_executor": true, "max_concurrent_per_family": "{\"metaworld\": 50}", "verification_enabled": true,
            "verification_rate": 0.05, "verification_tolerance": 0.001, "verification_samples": 5,
            "verification_max_repo_size_gb": 5.0,
        }));
        assert_eq!(config.validate(), Ok(()));
        assert_eq!(config.superseded().len(), 9, "{:#?}", config.superseded());
    }

    #[test]
    fn a_wrong_setting_is_named() {
        for (field, value) in [
            ("batch_size", json!(0)),
            ("batch_size", json!(101)),
            ("poll_interval_seconds", json!(0)),
            ("action_timeout", json!(-1)),
            ("eval_timeout", json!(0.4)),
            ("max_timesteps", json!(0)),
            ("default_max_concurrent", json!(0)),
            ("executor_id", json!("two words")),
            ("env_ids", json!(["push-v3"])),
            ("eval_images", json!("[1]")),
            ("drain_seconds", json!(-0.1)),
        ] {
            let error = read(json!({field: value})).validate().unwrap_err();
            assert!(error.contains(field), "{field}: {error}");
        }
        assert!(
            serde_json::from_value::<Config>(json!({"batchsize": 3})).unwrap_err().to_string().contains("batch_size")
        );
    }
}
