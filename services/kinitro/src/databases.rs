//! What each service of `kinitro up` knows of the database.

use anyhow::{Context as _, Result};
use kinitro_database::{Address, give_roles, role_of};
use serde_json::json;

use crate::{db, settings::Settings};

/// One URL a service.
pub struct Databases {
    pub ingestion: String,
    pub scheduling: String,
    pub scoring: String,
    /// The URLs are whole: users and passwords that are set elsewhere are not for them.
    pub own: bool,
}

impl Databases {
    /// A database that was given: every service uses it as configured.
    pub async fn given(url: String, settings: &Settings) -> Result<Self> {
        let config = settings.scheduling(json!({ "database_url": url }))?;
        db::migrate(&config.database()).await?;
        Ok(Self { ingestion: url.clone(), scheduling: url.clone(), scoring: url, own: false })
    }

    /// A private one: the owner makes the tables, and every service gets a role of its own with a password that lasts as long as this
    /// process.
    pub async fn private(owner: &str) -> Result<Self> {
        let address = Address::new(owner);
        db::migrate(&address).await?;
        let passwords: [String; 3] = std::array::from_fn(|_| uuid::Uuid::new_v4().simple().to_string());
        let schemas = ["ingestion", "scheduling", "scoring"];
        let roles: Vec<_> =
            schemas.iter().zip(&passwords).map(|(schema, password)| (*schema, Some(password.as_str()))).collect();
        give_roles(address, &roles).await?;
        let (_, server) = owner.rsplit_once('@').context("the private database has an owner")?;
        let [ingestion, scheduling, scoring] =
            std::array::from_fn(|i| format!("postgres://{}:{}@{server}", role_of(schemas[i]), passwords[i]));
        Ok(Self { ingestion, scheduling, scoring, own: true })
    }
}
