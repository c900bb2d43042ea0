//! The settings of the service.

use kinitro_chassis::postgres_url;
use kinitro_pareto::{Published1, Scheme, SubsetPoints};
use serde::{Deserialize, Serialize};

/// Settings; the variables are `KINITRO_SCHEDULER_<FIELD>`.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Postgres, e.g. `postgres://kinitro@127.0.0.1:5432/kinitro`. A URL written for SQLAlchemy
    /// (`postgresql+asyncpg://`) works too.
    pub database_url: String,
    /// Temperature of the softmax that turns points into weights; finite and greater than 0.
    pub pareto_temperature: f64,
    /// The scheme that scores new cycles: `published-1`.
    pub scheme: String,
    /// What a subset of the environments is worth to its winner: `linear`, `exponential` or `equal`.
    pub weight_scheme: SubsetPoints,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            database_url: "postgres://kinitro@127.0.0.1:5432/kinitro".to_owned(),
            pareto_temperature: 1.0,
            scheme: "published-1".to_owned(),
            weight_scheme: SubsetPoints::Linear,
        }
    }
}

impl Config {
    /// Checks the settings.
    pub fn validate(&self) -> Result<(), String> {
        postgres_url(&self.database_url).map_err(|error| error.to_string())?;
        self.scheme().map(|_| ())
    }

    /// The scheme with its parameters.
    pub(crate) fn scheme(&self) -> Result<Scheme, String> {
        let scheme = match self.scheme.as_str() {
            "published-1" => Scheme::Published1(Published1 {
                weight_scheme: self.weight_scheme,
                pareto_temperature: self.pareto_temperature,
            }),
            other => return Err(format!("scheme `{other}` is unknown: expected published-1")),
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
        assert_eq!(error, Err("scheme `published-2` is unknown: expected published-1".to_owned()));
    }
}
