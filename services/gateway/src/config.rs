//! The settings of the gateway.

use std::net::{IpAddr, Ipv4Addr};

use serde::{Deserialize, Serialize};

/// Settings; the variables are `KINITRO_API_<FIELD>`.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The address to listen at.
    pub host: IpAddr,
    /// The port to listen at.
    pub port: u16,
    /// The key that executors send as `Authorization: Bearer <key>`. Needed unless `no_auth`.
    pub api_key: Option<String>,
    /// Lets everybody fetch and submit tasks. For development; only at a loopback address.
    pub no_auth: bool,
    /// The same, by the name that the earlier system has for it.
    pub auth_disabled: bool,
    /// With `no_auth`: at any address all the same.
    pub no_auth_on_any_address: bool,
    /// Accepted for existing deployments; the gateway asks the services and needs no database.
    pub database_url: Option<String>,
    /// The tasks of an executor that leases here and is silent while it plays go to another one after so long, unless it names a time itself
    /// (`lease_seconds`). At most scheduling's own `task_stale_threshold_seconds`.
    pub task_stale_threshold_seconds: u32,
    /// Connections at once; never more than half of the files that the process may open (`ulimit -n`). Beyond it, the one that has been
    /// idle for longest is closed for a new one.
    pub max_connections: u32,
    /// The same for one client address, whose requests under way (four a connection) and waiting bytes follow from it. Behind a proxy all
    /// clients have its address: then raise it to `max_connections`, of which one address gets at most half.
    pub max_connections_per_address: u32,
    /// A client that takes nothing of its answer for so long is cut off.
    pub client_stall_seconds: u64,
    /// DEBUG, INFO, WARNING, ERROR, or a filter. Applied by the program that starts the service.
    pub log_level: String,
    /// Where ingestion answers gRPC.
    pub ingestion_url: String,
    /// Where scheduling answers gRPC.
    pub scheduling_url: String,
    /// Where scoring answers gRPC.
    pub scoring_url: String,
    /// Where an executor answers gRPC. When set, it counts for the health of the whole.
    pub execution_url: Option<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            host: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            port: 8000,
            api_key: None,
            no_auth: false,
            auth_disabled: false,
            no_auth_on_any_address: false,
            database_url: None,
            task_stale_threshold_seconds: 300,
            max_connections: 4096,
            max_connections_per_address: 256,
            client_stall_seconds: 30,
            log_level: "INFO".to_owned(),
            ingestion_url: "http://127.0.0.1:50051".to_owned(),
            scheduling_url: "http://127.0.0.1:50052".to_owned(),
            scoring_url: "http://127.0.0.1:50054".to_owned(),
            execution_url: None,
        }
    }
}

impl Config {
    /// Checks the settings against each other.
    ///
    /// # Errors
    /// The field at fault and what to do.
    pub fn validate(&self) -> Result<(), String> {
        if self.no_auth_on_any_address && !self.no_auth {
            return Err("no_auth_on_any_address means nothing without no_auth; give both or neither".to_owned());
        }
        for (field, value) in [
            ("max_connections", u64::from(self.max_connections)),
            ("max_connections_per_address", u64::from(self.max_connections_per_address)),
            ("client_stall_seconds", self.client_stall_seconds),
        ] {
            if value == 0 {
                return Err(format!("{field} is 0, so that nothing would be served; set it to 1 or more"));
            }
        }
        if !(1..=86_400).contains(&self.task_stale_threshold_seconds) {
            let seconds = self.task_stale_threshold_seconds;
            return Err(format!("task_stale_threshold_seconds is {seconds}; set it to 1 … 86400"));
        }
        if let Some(key) = self.key()
            && !key.bytes().all(|byte| byte.is_ascii_graphic())
        {
            return Err(
                "api_key has a space or a character that no header can carry; use letters and digits".to_owned()
            );
        }
        let execution = self.execution_url.as_ref().map(|url| ("execution_url", url));
        let services = [
            ("ingestion_url", &self.ingestion_url),
            ("scheduling_url", &self.scheduling_url),
            ("scoring_url", &self.scoring_url),
        ];
        for (field, url) in services.into_iter().chain(execution) {
            let uri: Result<http::Uri, _> = url.parse();
            if !uri.is_ok_and(|uri| uri.scheme_str() == Some("http") && uri.host().is_some()) {
                return Err(format!("{field} {url:?} is not the address of a service; write it as http://host:port"));
            }
        }
        Ok(())
    }

    /// The key, when one is set; an empty one is none.
    pub(crate) fn key(&self) -> Option<&str> {
        self.api_key.as_deref().filter(|key| !key.is_empty())
    }
}
