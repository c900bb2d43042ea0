//! The settings of an executor: `KINITRO_EXECUTOR_<FIELD>`, with the names and defaults of the operators' guide, but for `eval_timeout`: the
//! guide's 300 seconds let one slow policy keep a slot for as long as an ordinary one needs for ten episodes.

mod superseded;
mod written;

use std::collections::BTreeMap;

use kinitro_domain::{EnvId, ExecutorId};
use kinitro_sim::Randomisation;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::beacon::Beacon;
use written::{optional_json, optional_list, slots_by_family};

/// More episodes than this are in flight nowhere.
const MOST_SLOTS: u32 = 10_000;

/// The largest factor of the domain randomisation: beyond it, nothing behaves like the task.
const MOST_RANDOM: f64 = 10.0;

/// How carefully camera images are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImageQuality {
    /// As simply as an 84×84 picture allows.
    Fast,
    /// To the pixel as Meta-World's own renderer.
    Reference,
}

/// The settings of an executor. The last block is accepted so that existing deployments start; [`Config::superseded`] says what
/// becomes of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where scheduling answers gRPC, e.g. `http://scheduling:50052`.
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
    /// Seconds in which a policy that is not ready may wake up: once a miner and cycle, before its first action is answered. 0 for none.
    pub warm_up_seconds: f64,
    /// Seconds for a connection to a policy, at the start of an episode.
    pub connect_timeout: f64,
    /// Seconds that a policy has for all its answers in an episode together, once it was reached. On our side, a single step that takes longer has hung, and
    /// its family's process is replaced.
    pub eval_timeout: f64,
    /// Whether observations have camera images.
    pub use_images: bool,
    /// Only these environments.
    #[serde(deserialize_with = "optional_list")]
    pub env_ids: Option<Vec<String>>,
    /// Only environments of these families.
    #[serde(deserialize_with = "optional_list")]
    pub env_families: Option<Vec<String>>,
    /// Episodes in flight in each family.
    pub default_max_concurrent: u32,
    /// The same for single families, e.g. `{"metaworld": 50}`.
    #[serde(deserialize_with = "slots_by_family")]
    pub max_concurrent_per_family: BTreeMap<String, u32>,
    /// Episodes in flight against one miner's policy, and against one server whichever miners name it as theirs, over all families; 0 for
    /// no limit. Episodes on demand do not count. A server is an address and port; all addresses of this machine are one.
    pub max_concurrent_per_miner: u32,
    /// Domains of hosts that serve many policies behind one address, each under a name of its own below the domain: there a name is a
    /// server. `deployments.basilica.ai` when absent.
    #[serde(deserialize_with = "optional_list")]
    pub shared_hosts: Option<Vec<String>>,
    /// Threads in each family's process that step and render; 0 for one a core.
    pub simulation_threads: u32,
    /// How camera images are drawn. Part of what is measured: all executors of a deployment must agree on it.
    pub image_quality: ImageQuality,
    /// Whether friction and damping vary from episode to episode, as the episode's seed says. Part of what is measured: all executors of
    /// a deployment must agree on this and on both ranges, or the same seed is another episode.
    pub domain_randomization: bool,
    /// Lowest and highest factor on the friction of everything. All executors of a deployment must agree on it.
    pub friction_range: [f64; 2],
    /// Lowest and highest factor on the damping of every joint. All executors of a deployment must agree on it.
    pub damping_range: [f64; 2],
    /// An address that is no miner's, `host:port` or a URL: where it takes a connection, the network of this executor works. Without one,
    /// only other policies show that.
    pub beacon: Option<String>,
    /// Also call policies on private and loopback addresses. Link-local and metadata addresses are never called.
    pub allow_private_endpoints: bool,
    /// Seconds that running episodes have to finish when the executor drains.
    pub drain_seconds: f64,
    /// The folder in which results that scheduling has not taken outlive this process; absent to keep them in memory only.
    pub results_dir: Option<String>,
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
    /// The one container image of still older deployments.
    pub eval_image: Option<String>,
    /// Whether evaluation containers had a GPU.
    pub eval_gpu: Option<bool>,
    /// Where evaluation containers ran.
    pub eval_mode: Option<String>,
    /// Memory of an evaluation container.
    pub eval_mem_limit: Option<String>,
    /// Container hosts.
    #[serde(deserialize_with = "optional_json")]
    pub eval_hosts: Option<Value>,
    /// Whether families run in processes of their own, which they always do.
    pub use_concurrent_executor: Option<bool>,
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
    /// Where repositories that are checked are kept.
    pub verification_cache_dir: Option<String>,
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
            warm_up_seconds: 30.0,
            eval_timeout: 120.0,
            use_images: true,
            env_ids: None,
            env_families: None,
            default_max_concurrent: 20,
            max_concurrent_per_family: BTreeMap::new(),
            max_concurrent_per_miner: 4,
            shared_hosts: None,
            simulation_threads: 0,
            image_quality: ImageQuality::Fast,
            domain_randomization: true,
            friction_range: Randomisation::STANDARD.friction,
            damping_range: Randomisation::STANDARD.damping,
            beacon: None,
            allow_private_endpoints: false,
            drain_seconds: 20.0,
            results_dir: None,
            assets: None,
            log_level: "INFO".to_owned(),
            api_url: None,
            api_key: None,
            eval_images: None,
            eval_image: None,
            eval_gpu: None,
            eval_mode: None,
            eval_mem_limit: None,
            eval_hosts: None,
            use_concurrent_executor: None,
            verification_enabled: None,
            verification_rate: None,
            verification_tolerance: None,
            verification_samples: None,
            verification_max_repo_size_gb: None,
            verification_cache_dir: None,
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
        if !(0.0..=600.0).contains(&self.warm_up_seconds) {
            return Err(format!("warm_up_seconds is {}; it must be 0 to 600", self.warm_up_seconds));
        }
        if !(0.0..=3600.0).contains(&self.drain_seconds) {
            return Err(format!("drain_seconds is {}; it must be 0 to 3600", self.drain_seconds));
        }
        let ranges = [
            ("batch_size", self.batch_size, 1, 100),
            ("max_timesteps", self.max_timesteps, 1, 100_000),
            ("default_max_concurrent", self.default_max_concurrent, 1, MOST_SLOTS),
            ("max_concurrent_per_miner", self.max_concurrent_per_miner, 0, MOST_SLOTS),
            ("simulation_threads", self.simulation_threads, 0, 1024),
        ];
        for (name, value, least, most) in ranges {
            if !(least..=most).contains(&value) {
                return Err(format!("{name} is {value}; it must be {least} to {most}"));
            }
        }
        for (family, slots) in &self.max_concurrent_per_family {
            if !(1..=MOST_SLOTS).contains(slots) {
                return Err(format!("max_concurrent_per_family gives {family} {slots}; it must be 1 to {MOST_SLOTS}"));
            }
        }
        for (name, [low, high]) in [("friction_range", self.friction_range), ("damping_range", self.damping_range)] {
            let fits = low > 0.0 && low <= high && high <= MOST_RANDOM;
            if !fits {
                return Err(format!(
                    "{name} is [{low}, {high}]; it must be two factors above 0 and at most {MOST_RANDOM}, the lower one first"
                ));
            }
        }
        if let Some(id) = &self.executor_id {
            ExecutorId::try_from(id.clone()).map_err(|error| format!("executor_id {error}"))?;
        }
        if let Some(beacon) = &self.beacon {
            Beacon::parse(beacon)?;
        }
        for id in self.env_ids.iter().flatten() {
            id.parse::<EnvId>().map_err(|error| format!("env_ids: {error}"))?;
        }
        // They have no effect, but a nonsense value shows that something else was meant.
        if let Some(mode) = self.eval_mode.as_deref().filter(|mode| !matches!(*mode, "docker" | "basilica")) {
            return Err(format!("eval_mode is {mode:?}; it must be docker or basilica, or better be left out"));
        }
        for (name, value, most) in [
            ("verification_rate", self.verification_rate, 1.0),
            ("verification_tolerance", self.verification_tolerance, f64::MAX),
            ("verification_max_repo_size_gb", self.verification_max_repo_size_gb, f64::MAX),
        ] {
            if let Some(value) = value.filter(|value| !(0.0..=most).contains(value)) {
                let limit = if most < f64::MAX { format!("0 to {most}") } else { "0 or more".to_owned() };
                return Err(format!("{name} is {value}; it must be {limit}, or better be left out"));
            }
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

    /// Episodes in flight in a family.
    pub fn slots(&self, family: &str) -> u32 {
        self.max_concurrent_per_family.get(family).copied().unwrap_or(self.default_max_concurrent)
    }

    /// How the physics varies.
    pub(crate) fn randomisation(&self) -> Randomisation {
        match self.domain_randomization {
            true => Randomisation { friction: self.friction_range, damping: self.damping_range },
            false => Randomisation::OFF,
        }
    }
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
        assert_eq!((config.action_timeout, config.eval_timeout, config.use_images), (0.5, 120.0, true));
        assert_eq!((config.default_max_concurrent, config.superseded().len()), (20, 0));
        assert_eq!((config.max_concurrent_per_miner, config.image_quality), (4, ImageQuality::Fast));
        assert_eq!(config.randomisation(), Randomisation::STANDARD);
        assert_eq!(read(json!({"domain_randomization": false})).randomisation(), Randomisation::OFF);
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
    fn each_family_has_its_own_number_of_slots() {
        for slots in [json!({"metaworld": 50}), json!(r#"{"metaworld": 50, "genesis": 10}"#)] {
            let config = read(json!({"max_concurrent_per_family": slots, "default_max_concurrent": 7}));
            assert_eq!((config.slots("metaworld"), config.slots("other")), (50, 7));
        }
        assert_eq!(read(json!({"max_concurrent_per_family": ""})).slots("metaworld"), 20);
        assert!(serde_json::from_value::<Config>(json!({"max_concurrent_per_family": "metaworld=50"})).is_err());
        let wrong = serde_json::from_value::<Config>(json!({"max_concurrent_per_family": {"metaworld": -1}}));
        assert!(wrong.unwrap_err().to_string().contains("max_concurrent_per_family"));
    }

    #[test]
    fn a_deployment_of_the_earlier_system_starts_and_is_told_what_changed() {
        let config = read(json!({
            "api_url": "http://api:8000", "api_key": "k", "eval_mode": "docker", "eval_mem_limit": "8g",
            "eval_images": {"metaworld": "kinitro/metaworld:v1"}, "eval_hosts": "[\"localhost\"]",
            "use_concurrent_executor": true, "max_concurrent_per_family": "{\"metaworld\": 50}", "verification_enabled": true,
            "verification_rate": 0.05, "verification_tolerance": 0.001, "verification_samples": 5,
            "verification_max_repo_size_gb": 5.0, "verification_cache_dir": "/cache", "eval_image": "kinitro/eval-env:v1",
            "eval_gpu": true,
        }));
        assert_eq!(config.validate(), Ok(()));
        assert_eq!(config.superseded().len(), 10, "{:#?}", config.superseded());
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
            ("max_concurrent_per_family", json!({"metaworld": 0})),
            ("max_concurrent_per_miner", json!(10_001)),
            ("friction_range", json!([0.0, 1.2])),
            ("friction_range", json!([1.2, 0.8])),
            ("damping_range", json!([0.9, 10.1])),
            ("damping_range", json!([-0.9, 1.1])),
            ("executor_id", json!("two words")),
            ("env_ids", json!(["push-v3"])),
            ("eval_images", json!("[1]")),
            ("eval_mode", json!("dokcer")),
            ("verification_rate", json!(7.5)),
            ("verification_tolerance", json!(-0.1)),
            ("verification_max_repo_size_gb", json!(-1)),
            ("drain_seconds", json!(-0.1)),
            ("beacon", json!("example.com")),
            ("beacon", json!("http://user@/")),
        ] {
            let error = read(json!({field: value})).validate().unwrap_err();
            assert!(error.contains(field), "{field}: {error}");
        }
        for range in [[f64::NAN, 1.0], [1.0, f64::NAN], [1.0, f64::INFINITY]] {
            let config = Config { friction_range: range, ..Config::default() };
            assert!(config.validate().unwrap_err().contains("friction_range"), "{range:?}");
        }
        assert!(serde_json::from_value::<Config>(json!({"image_quality": "best"})).is_err());
        assert!(
            serde_json::from_value::<Config>(json!({"batchsize": 3})).unwrap_err().to_string().contains("batch_size")
        );
    }
}
