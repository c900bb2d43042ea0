//! The services behind the gateway.

use std::time::Duration;

use kinitro_chassis::{MeshAccess, MeshChannel};

use crate::{Config, Error};

/// How long a call may take, with room for an executor that waits 20 s for work.
pub(crate) const CALL_LIMIT: Duration = Duration::from_secs(30);
/// The channel's own limit ends a call as "cancelled"; the call's deadline must come first to end it by its right name.
const CHANNEL_LIMIT: Duration = Duration::from_secs(35);

/// A service and what it says that it depends on.
#[derive(Clone)]
pub(crate) struct Upstream {
    pub name: &'static str,
    pub channel: MeshChannel,
    pub dependencies: &'static [&'static str],
}

/// Every service; `execution` only when it is configured.
#[derive(Clone)]
pub(crate) struct Upstreams {
    pub ingestion: Upstream,
    pub scheduling: Upstream,
    pub scoring: Upstream,
    pub execution: Option<Upstream>,
}

impl Upstreams {
    /// Connects lazily: a service need not be there yet.
    pub fn new(config: &Config, access: &MeshAccess) -> Result<Self, Error> {
        let upstream = |name, url: &str, dependencies| -> Result<Upstream, Error> {
            Ok(Upstream { name, channel: access.channel_within(url, CHANNEL_LIMIT)?, dependencies })
        };
        Ok(Self {
            ingestion: upstream("ingestion", &config.ingestion_url, &["postgres", "chain"])?,
            scheduling: upstream("scheduling", &config.scheduling_url, &["postgres", "redis"])?,
            scoring: upstream("scoring", &config.scoring_url, &["postgres"])?,
            execution: config
                .execution_url
                .as_deref()
                .map(|url| upstream("execution", url, &["scheduling"]))
                .transpose()?,
        })
    }

    pub fn all(&self) -> impl Iterator<Item = &Upstream> {
        [&self.ingestion, &self.scheduling, &self.scoring].into_iter().chain(&self.execution)
    }
}
