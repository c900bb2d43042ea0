//! The settings of the service.

use std::{collections::BTreeMap, path::PathBuf};

use kinitro_database::Address;
use kinitro_domain::{EnvId, MinerUid};
use kinitro_pareto::{Guarded1, Published1, Scheme, SubsetPoints};
use serde::{Deserialize, Serialize};

use crate::no_success::{NoSuccess, WithoutSuccess};

/// Settings; the variables are `KINITRO_SCHEDULER_<FIELD>`.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Postgres, e.g. `postgres://kinitro@127.0.0.1:5432/kinitro`. A URL written for SQLAlchemy
    /// (`postgresql+asyncpg://`) works too.
    pub database_url: String,
    /// Who asks the database, in place of the URL's user.
    pub database_user: Option<String>,
    /// The password, as it is, in place of the URL's.
    pub database_password: Option<String>,
    /// A file that holds the password.
    pub database_password_file: Option<PathBuf>,
    /// Temperature of the softmax that turns points into weights; finite and greater than 0.
    pub pareto_temperature: f64,
    /// For `published-1`: how many standard errors of an earlier miner's rate a later one must exceed it by. Recorded with the cycle.
    pub threshold_z_score: f64,
    /// For `published-1`: the least that this gap can be.
    pub threshold_min_gap: f64,
    /// For `published-1`: the most that this gap can be.
    pub threshold_max_gap: f64,
    /// The scheme that scores new cycles: `published-1` or `guarded-1`.
    pub scheme: String,
    /// For `guarded-1`: the success of somebody who does nothing useful, by environment, e.g.
    /// `{"metaworld/push-v3":0.02}`; 0 where nothing is said. `kinitro env floor` measures it.
    pub floors: BTreeMap<EnvId, f64>,
    /// For `guarded-1` and for `no_success = "burn"`, which need it: the uid that gets the whole weight when no miner earned any. It
    /// must be the subnet owner's, or validators do not set the weights.
    pub burn_uid: Option<MinerUid>,
    /// What is done when all was played and no miner succeeded in any episode: `keep` the weights of before, `burn` the whole weight at
    /// `burn_uid`, or what the scheme says (`published`). Absent for `keep` under `published-1`, and for `published` under `guarded-1`,
    /// which burns then.
    pub no_success: Option<NoSuccess>,
    /// What a subset of the environments is worth to its winner: `linear`, `exponential` or `equal`.
    pub weight_scheme: SubsetPoints,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            database_url: "postgres://kinitro@127.0.0.1:5432/kinitro".to_owned(),
            database_user: None,
            database_password: None,
            database_password_file: None,
            pareto_temperature: 1.0,
            threshold_z_score: 1.5,
            threshold_min_gap: 0.02,
            threshold_max_gap: 0.1,
            scheme: "published-1".to_owned(),
            floors: BTreeMap::new(),
            burn_uid: None,
            no_success: None,
            weight_scheme: SubsetPoints::Linear,
        }
    }
}

impl Config {
    /// Where the database is, and who asks.
    pub(crate) fn database(&self) -> Address {
        Address::new(&self.database_url).with(
            self.database_user.clone(),
            self.database_password.clone(),
            self.database_password_file.clone(),
        )
    }

    /// Checks the settings.
    pub fn validate(&self) -> Result<(), String> {
        self.database().check().map_err(|problem| format!("database_url cannot be used: {problem}"))?;
        self.without_success()?;
        self.scheme().map(|_| ())
    }

    /// What is done when no miner succeeded.
    pub(crate) fn without_success(&self) -> Result<WithoutSuccess, String> {
        match (self.no_success, self.burn_uid) {
            (None, _) if self.scheme == "guarded-1" => Ok(WithoutSuccess::Published),
            (None | Some(NoSuccess::Keep), _) => Ok(WithoutSuccess::Keep),
            (Some(NoSuccess::Published), _) => Ok(WithoutSuccess::Published),
            (Some(NoSuccess::Burn), Some(burn_uid)) => Ok(WithoutSuccess::Burn(burn_uid)),
            (Some(NoSuccess::Burn), None) => {
                Err("no_success is `burn` and needs burn_uid: set it to the subnet owner's uid".to_owned())
            }
        }
    }

    fn has_other_thresholds(&self) -> bool {
        let of = |config: &Self| (config.threshold_z_score, config.threshold_min_gap, config.threshold_max_gap);
        of(self) != of(&Self::default())
    }

    /// The scheme with its parameters.
    pub(crate) fn scheme(&self) -> Result<Scheme, String> {
        let &Self { weight_scheme, pareto_temperature, burn_uid, .. } = self;
        let &Self { threshold_z_score, threshold_min_gap, threshold_max_gap, .. } = self;
        let published = Published1::new(weight_scheme, pareto_temperature);
        let floors = self.floors.clone();
        let burns = burn_uid.is_none() || self.no_success == Some(NoSuccess::Burn);
        let scheme = match (self.scheme.as_str(), burn_uid) {
            ("published-1", _) if floors.is_empty() && burns => {
                Scheme::Published1(Published1 { threshold_z_score, threshold_min_gap, threshold_max_gap, ..published })
            }
            ("published-1", _) => {
                return Err(
                    "floors have no effect under published-1, and burn_uid none unless no_success is `burn`: remove them, or set \
                     scheme to guarded-1"
                        .to_owned(),
                );
            }
            ("guarded-1", _) if self.has_other_thresholds() => {
                return Err(
                    "threshold_z_score, threshold_min_gap and threshold_max_gap have no effect under guarded-1: remove them, or set \
                     scheme to published-1"
                        .to_owned(),
                );
            }
            ("guarded-1", Some(burn_uid)) => {
                Scheme::Guarded1(Guarded1 { weight_scheme, pareto_temperature, floors, burn_uid })
            }
            ("guarded-1", None) => {
                return Err(
                    "guarded-1 needs burn_uid, a uid of the subnet that gets the weight when nobody earned any: \
                            set it, e.g. to the subnet owner's"
                        .to_owned(),
                );
            }
            (other, _) => return Err(format!("scheme `{other}` is unknown: expected published-1 or guarded-1")),
        };
        scheme.validate().map_err(|error| error.to_string())?;
        Ok(scheme)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_those_of_the_guide() {
        let config = Config::default();
        assert_eq!((config.pareto_temperature, config.scheme.as_str()), (1.0, "published-1"));
        assert_eq!(config.validate(), Ok(()));
        let sqlalchemy = Config { database_url: "postgresql+asyncpg://u:p@host/name".to_owned(), ..config.clone() };
        assert_eq!(sqlalchemy.validate(), Ok(()));
        assert!(Config { database_url: String::new(), ..config }.validate().is_err());
    }

    #[test]
    fn a_temperature_or_scheme_that_cannot_score_is_refused() {
        let config = Config::default();
        for pareto_temperature in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let error = Config { pareto_temperature, ..config.clone() }.validate();
            assert!(error.is_err_and(|error| error.starts_with("pareto_temperature")));
        }
        let error = Config { scheme: "published-2".to_owned(), ..config }.validate();
        assert_eq!(error, Err("scheme `published-2` is unknown: expected published-1 or guarded-1".to_owned()));
    }

    #[test]
    fn thresholds_are_parameters_of_published_1_and_of_nothing_else() {
        let config = Config { threshold_z_score: 2.0, threshold_min_gap: 0.01, ..Config::default() };
        let parameters = serde_json::to_value(config.scheme().expect("valid")).expect("a value");
        assert_eq!(parameters["threshold_z_score"], 2.0, "{parameters}");
        assert_eq!(
            (&parameters["threshold_min_gap"], &parameters["threshold_max_gap"]),
            (&0.01.into(), &serde_json::Value::Null)
        );
        let refused = Config { scheme: "guarded-1".to_owned(), burn_uid: Some(MinerUid(0)), ..config }.validate();
        assert!(refused.is_err_and(|refused| refused.contains("no effect under guarded-1")));
        let wrong = Config { threshold_max_gap: 0.01, ..Config::default() }.validate();
        assert!(wrong.is_err_and(|wrong| wrong.contains("threshold_min_gap")));
    }

    #[test]
    fn guarded_1_needs_a_burn_uid_and_floors_that_are_rates() {
        let floors = |floor| BTreeMap::from([("metaworld/push-v3".parse().expect("valid"), floor)]);
        let with = |scheme: &str, floor, burn_uid| {
            Config { scheme: scheme.to_owned(), floors: floors(floor), burn_uid, ..Config::default() }.validate()
        };
        assert_eq!(with("guarded-1", 0.02, Some(MinerUid(0))), Ok(()));
        assert!(with("guarded-1", 0.02, None).is_err_and(|error| error.contains("needs burn_uid")));
        for floor in [-0.1, 1.0, f64::NAN] {
            assert!(
                with("guarded-1", floor, Some(MinerUid(0))).is_err_and(|error| error.contains("metaworld/push-v3"))
            );
        }
        assert!(with("published-1", 0.02, None).is_err_and(|error| error.starts_with("floors")));
    }

    #[test]
    fn what_is_done_without_success_is_settled_by_the_setting_and_else_by_the_scheme() {
        let with = |scheme: &str, no_success, burn_uid| {
            let config = Config { scheme: scheme.to_owned(), no_success, burn_uid, ..Config::default() };
            config.validate().and_then(|()| config.without_success())
        };
        let owner = Some(MinerUid(0));
        assert_eq!(with("published-1", None, None), Ok(WithoutSuccess::Keep));
        assert_eq!(with("published-1", Some(NoSuccess::Published), None), Ok(WithoutSuccess::Published));
        assert_eq!(with("published-1", Some(NoSuccess::Burn), owner), Ok(WithoutSuccess::Burn(MinerUid(0))));
        assert!(with("published-1", Some(NoSuccess::Burn), None).is_err_and(|error| error.contains("needs burn_uid")));
        assert!(with("published-1", Some(NoSuccess::Keep), owner).is_err(), "the uid would have no effect");
        assert_eq!(with("guarded-1", None, owner), Ok(WithoutSuccess::Published));
        assert_eq!(with("guarded-1", Some(NoSuccess::Keep), owner), Ok(WithoutSuccess::Keep));
        let read: Config = serde_json::from_value(serde_json::json!({"no_success": "burn"})).expect("valid");
        assert_eq!(read.no_success, Some(NoSuccess::Burn));
    }
}
