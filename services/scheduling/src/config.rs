//! The settings of scheduling: section `[scheduling]`, variables `KINITRO_SCHEDULER_*`.

use std::{fmt, path::PathBuf, time::Duration};

use kinitro_database::Address;
use kinitro_domain::{EnvId, Required, catalogued, default_environments, family_environments};
use serde::{Deserialize, Serialize};

/// The most episodes that a cycle plays per miner and environment.
pub const MAX_EPISODES_PER_ENV: u32 = 10_000;
/// The most environments of one cycle: scoring takes no more.
pub const MAX_ENVIRONMENTS: usize = 64;

/// Where the service finds its stores and neighbours, and how its cycles run. Durations are in seconds. `Debug` shows no secret.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The Postgres database; also in SQLAlchemy's spelling, `postgresql+asyncpg://`.
    pub database_url: String,
    /// Who asks the database, in place of the URL's user.
    pub database_user: Option<String>,
    /// The password, as it is, in place of the URL's.
    pub database_password: Option<String>,
    /// A file that holds the password.
    pub database_password_file: Option<PathBuf>,
    /// The Redis that carries the work queue and the events.
    pub redis_url: String,
    /// The password of Redis, as it is, in place of the URL's.
    pub redis_password: Option<String>,
    /// A file that holds it.
    pub redis_password_file: Option<PathBuf>,
    /// What every key in Redis starts with. Replicas of one deployment share it, two deployments must not.
    pub queue_prefix: String,
    /// From the start of a cycle to the start of the next one.
    pub eval_interval_seconds: u64,
    /// Episodes per miner and environment.
    pub episodes_per_env: u32,
    /// Only environments of these families; absent for all.
    pub env_families: Option<Vec<String>>,
    /// Only these environments, at most [`MAX_ENVIRONMENTS`]; absent for those that the catalogue plays by default.
    pub env_ids: Option<Vec<String>>,
    /// A cycle that runs longer is closed and scored with what is complete.
    pub cycle_timeout_seconds: u64,
    /// The leases of an executor that sends no heartbeats go to another one after so long, unless it or the gateway names less.
    pub task_stale_threshold_seconds: u64,
    /// A lease that is not heartbeaten for so long goes to another executor: executors of ours heartbeat three times as often. At most
    /// `task_stale_threshold_seconds`.
    pub heartbeat_lease_seconds: u64,
    /// Leases that a task may spend before it becomes a dead letter.
    pub max_attempts: u32,
    /// How many seconds a policy may take for its answers in an episode, on average over a cycle. Episodes that are not played when a miner
    /// has used up that time for all of its episodes count as its failures. 0 for no limit.
    pub episode_budget_seconds: f64,
    /// The part of a miner's episodes in a cycle that may be lost as our fault after its policy saw an observation. What a miner alone
    /// loses beyond it counts as its failures.
    pub max_lost_share: f64,
    /// A cycle is scored when at least this part of its episodes count, and of its miners; above 0, at most 1. Otherwise it ends
    /// `unscored`, and the weights of before stand. What a miner loses by its own fault counts.
    pub min_played_share: f64,
    /// A miner is evaluated when at least this part of its episodes count in every environment; above 0, at most 1. Otherwise it keeps
    /// its weight of before, for three cycles in a row at most.
    pub min_miner_share: f64,
    /// Start cycles only when asked.
    pub on_demand: bool,
    /// The gRPC address of ingestion.
    pub ingestion_url: String,
    /// The gRPC address of scoring.
    pub scoring_url: String,
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config").field("queue_prefix", &self.queue_prefix).finish_non_exhaustive()
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            database_url: "postgres://kinitro@127.0.0.1:5432/kinitro".to_owned(),
            database_user: None,
            database_password: None,
            database_password_file: None,
            redis_url: "redis://127.0.0.1:6379/0".to_owned(),
            redis_password: None,
            redis_password_file: None,
            queue_prefix: "kinitro".to_owned(),
            eval_interval_seconds: 3600,
            episodes_per_env: 50,
            env_families: None,
            env_ids: None,
            cycle_timeout_seconds: 7200,
            task_stale_threshold_seconds: 900,
            heartbeat_lease_seconds: 30,
            max_attempts: 3,
            episode_budget_seconds: 60.0,
            max_lost_share: 0.05,
            min_played_share: Required::default().in_all,
            min_miner_share: Required::default().of_miner,
            on_demand: false,
            ingestion_url: "http://127.0.0.1:50051".to_owned(),
            scoring_url: "http://127.0.0.1:50054".to_owned(),
        }
    }
}

impl Config {
    /// The URL of Redis with its password. Reads the password's file.
    pub fn redis(&self) -> Result<String, String> {
        let password = match (&self.redis_password, &self.redis_password_file) {
            (Some(_), Some(_)) => {
                return Err("redis_password and redis_password_file are both set: keep one of them".to_owned());
            }
            (given, None) => given.clone(),
            (None, Some(path)) => Some(
                kinitro_chassis::read_secret(path)
                    .map_err(|reason| format!("redis_password_file {} cannot be used: {reason}", path.display()))?,
            ),
        };
        kinitro_queue::redis_url(&self.redis_url, password.as_deref()).map_err(|error| error.to_string())
    }

    /// Where the database is, and who asks.
    pub fn database(&self) -> Address {
        Address::new(&self.database_url).with(
            self.database_user.clone(),
            self.database_password.clone(),
            self.database_password_file.clone(),
        )
    }

    /// Whether the settings make sense together. The message names the field, what is wrong, and what to do.
    pub fn validate(&self) -> Result<(), String> {
        self.validate_addresses()?;
        self.validate_bounds()?;
        if self.cycle_timeout_seconds <= self.task_stale_threshold_seconds {
            return Err(format!(
                "cycle_timeout_seconds ({}) must be longer than task_stale_threshold_seconds ({}): a task of a lost executor \
                 could never be played again; raise the first or lower the second",
                self.cycle_timeout_seconds, self.task_stale_threshold_seconds
            ));
        }
        at_most(self.environments()?.len()).map_err(|problem| {
            format!("env_ids and env_families leave {problem}: name fewer in env_ids (KINITRO_SCHEDULER_ENV_IDS)")
        })
    }

    fn validate_addresses(&self) -> Result<(), String> {
        if let Err(problem) = self.database().check() {
            return Err(format!("database_url cannot be used: {problem}"));
        }
        let schemes: [(&str, &str, &[&str]); 3] = [
            ("redis_url", &self.redis_url, &["redis://", "rediss://", "unix://", "redis+unix://"]),
            ("ingestion_url", &self.ingestion_url, &["http://"]),
            ("scoring_url", &self.scoring_url, &["http://"]),
        ];
        for (field, value, allowed) in schemes {
            if !allowed.iter().any(|scheme| value.starts_with(scheme)) {
                return Err(format!(
                    "{field} has no scheme that is known here: begin it with {}",
                    allowed.join(" or ")
                ));
            }
        }
        let printable = self.queue_prefix.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_:.".contains(&byte));
        if !(1..=64).contains(&self.queue_prefix.len()) || !printable {
            return Err("queue_prefix must be 1 to 64 letters, digits or `-_:.`: choose a short name, e.g. `kinitro`"
                .to_owned());
        }
        Ok(())
    }

    fn validate_bounds(&self) -> Result<(), String> {
        const YEAR: u64 = 365 * 24 * 3600;
        let bounds = [
            ("eval_interval_seconds", self.eval_interval_seconds, 1, YEAR),
            ("episodes_per_env", u64::from(self.episodes_per_env), 1, u64::from(MAX_EPISODES_PER_ENV)),
            ("cycle_timeout_seconds", self.cycle_timeout_seconds, 1, YEAR),
            ("task_stale_threshold_seconds", self.task_stale_threshold_seconds, 1, 24 * 3600),
            ("heartbeat_lease_seconds", self.heartbeat_lease_seconds, 1, 3600),
            ("max_attempts", u64::from(self.max_attempts), 1, 100),
        ];
        for (field, value, least, most) in bounds {
            if !(least..=most).contains(&value) {
                return Err(format!("{field} is {value}: set it to {least} … {most}"));
            }
        }
        if !(0.0..=86_400.0).contains(&self.episode_budget_seconds) {
            return Err(format!(
                "episode_budget_seconds is {}: set it to 0 (no limit) … 86400, e.g. 60",
                self.episode_budget_seconds
            ));
        }
        if !(0.0..=1.0).contains(&self.max_lost_share) {
            return Err(format!("max_lost_share is {}: set it to 0 … 1, e.g. 0.05 for 5 %", self.max_lost_share));
        }
        for (field, share) in [("min_played_share", self.min_played_share), ("min_miner_share", self.min_miner_share)] {
            // Also refuses what is no number.
            if !(share > 0.0 && share <= 1.0) {
                return Err(format!("{field} is {share}: set it to a share above 0 and at most 1, e.g. 0.9"));
            }
        }
        Ok(())
    }

    /// The environments that cycles play, in the catalogue's order: those named, or without names the default ones, of the families
    /// wanted. May be none.
    pub fn environments(&self) -> Result<Vec<EnvId>, String> {
        let families = self.env_families.as_deref().unwrap_or_default();
        if let Some(family) = families.iter().find(|family| format!("{family}/any").parse::<EnvId>().is_err()) {
            return Err(format!(
                "env_families holds `{}`, which is no family: name families as in `metaworld`",
                family.escape_debug()
            ));
        }
        let wanted = match &self.env_ids {
            None => None,
            Some(texts) => Some(known_environments(texts).map_err(|problem| format!("env_ids: {problem}"))?),
        };
        let Some(wanted) = wanted else { return Ok(default_environments(families)) };
        let mut environments = family_environments(families);
        environments.retain(|id| wanted.contains(id));
        Ok(environments)
    }

    pub(crate) fn interval(&self) -> Duration {
        Duration::from_secs(self.eval_interval_seconds)
    }
}

/// Whether a cycle over so many environments can be scored; what is wrong else.
pub(crate) fn at_most(environments: usize) -> Result<(), String> {
    if environments <= MAX_ENVIRONMENTS {
        return Ok(());
    }
    Err(format!("{environments} environments, and a cycle can be scored over at most {MAX_ENVIRONMENTS}"))
}

/// Ids as types. Each must be in the catalogue and there only once; the error says what to do.
pub(crate) fn known_environments(texts: &[String]) -> Result<Vec<EnvId>, String> {
    let mut ids = Vec::with_capacity(texts.len());
    for text in texts {
        let id: EnvId = text.parse().map_err(|error: kinitro_domain::EnvIdError| error.to_string())?;
        if catalogued(&id).is_none() {
            return Err(format!("`{id}` is no environment of this version: ListEnvironments names them"));
        }
        if ids.contains(&id) {
            return Err(format!("`{id}` is listed twice: leave one out"));
        }
        ids.push(id);
    }
    Ok(ids)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(change: impl FnOnce(&mut Config)) -> String {
        let mut config = Config::default();
        change(&mut config);
        config.validate().expect_err("must be refused")
    }

    #[test]
    fn the_defaults_of_the_guide_are_valid() {
        let config = Config::default();
        assert_eq!(config.validate(), Ok(()));
        let metaworld = Config { env_families: Some(vec!["metaworld".to_owned()]), ..Config::default() };
        for config in [config, metaworld] {
            let names = config.environments().expect("valid").iter().map(|id| id.name().to_owned()).collect::<Vec<_>>();
            assert_eq!(names, ["reach-v3", "push-v3", "drawer-close-v3"]);
        }
    }

    #[test]
    fn a_refusal_names_the_field() {
        assert!(refusal(|c| c.eval_interval_seconds = 0).starts_with("eval_interval_seconds is 0"));
        assert!(refusal(|c| c.episodes_per_env = 10_001).starts_with("episodes_per_env is 10001"));
        assert!(refusal(|c| c.max_attempts = 0).starts_with("max_attempts"));
        assert!(refusal(|c| c.max_lost_share = f64::NAN).starts_with("max_lost_share"));
        assert!(refusal(|c| c.min_played_share = 0.0).starts_with("min_played_share is 0"));
        assert!(refusal(|c| c.min_miner_share = 1.5).starts_with("min_miner_share is 1.5"));
        assert!(refusal(|c| c.min_miner_share = f64::NAN).starts_with("min_miner_share is NaN"));
        assert!(refusal(|c| c.episode_budget_seconds = -1.0).starts_with("episode_budget_seconds is -1"));
        assert!(refusal(|c| c.cycle_timeout_seconds = 900).starts_with("cycle_timeout_seconds (900)"));
        assert!(refusal(|c| c.database_url = "mysql://x".to_owned()).starts_with("database_url"));
        assert!(refusal(|c| c.queue_prefix = "a b".to_owned()).starts_with("queue_prefix"));
        assert!(refusal(|c| c.env_families = Some(vec!["Meta World".to_owned()])).starts_with("env_families"));
        assert!(refusal(|c| c.env_ids = Some(vec!["metaworld/fly-v3".to_owned()])).starts_with("env_ids"));
    }

    #[test]
    fn more_environments_than_can_be_scored_are_refused() {
        assert_eq!(at_most(64), Ok(()));
        assert_eq!(at_most(65), Err("65 environments, and a cycle can be scored over at most 64".to_owned()));
        let all: Vec<String> = kinitro_domain::CATALOGUE.iter().map(|entry| entry.id.to_owned()).collect();
        let config = Config { env_ids: Some(all.clone()), ..Config::default() };
        match at_most(all.len()) {
            Ok(()) => assert_eq!(config.validate(), Ok(())),
            Err(_) => assert!(config.validate().expect_err("too many").starts_with("env_ids and env_families leave")),
        }
        let config = Config { env_ids: Some(all.into_iter().take(MAX_ENVIRONMENTS).collect()), ..Config::default() };
        assert_eq!(config.validate(), Ok(()));
    }

    #[test]
    fn an_alias_names_the_environment_that_it_stands_for() {
        let named = known_environments(&["metaworld/peg-insert-v3".to_owned()]);
        let told = named.map_or_else(|problem| problem, |ids| ids[0].to_string());
        assert!(told.contains("metaworld/peg-insert-side-v3"), "{told}");
        let twice = ["metaworld/peg-insert-v3", "metaworld/peg-insert-side-v3"].map(str::to_owned);
        assert!(known_environments(&twice).is_err());
    }

    #[test]
    fn families_may_be_written_with_commas_in_the_environment() {
        let variables = [("KINITRO_SCHEDULER_ENV_FAMILIES", "metaworld, genesis"), ("KINITRO_SCHEDULER_NETUID", "26")];
        let loader = kinitro_chassis::ConfigLoader::new("scheduling", "KINITRO_SCHEDULER_").environment(variables);
        let config: Config = loader.load().expect("valid");
        assert_eq!(config.env_families, Some(vec!["metaworld".to_owned(), "genesis".to_owned()]));
        assert_eq!(config.validate(), Ok(()));
    }

    #[test]
    fn unknown_settings_are_refused() {
        assert!(serde_json::from_value::<Config>(serde_json::json!({"episodes": 3})).is_err());
    }

    #[test]
    fn both_filters_apply() {
        let config = Config {
            env_families: Some(vec!["genesis".to_owned()]),
            env_ids: Some(vec!["metaworld/push-v3".to_owned()]),
            ..Config::default()
        };
        assert_eq!(config.environments(), Ok(Vec::new()));
    }
}
