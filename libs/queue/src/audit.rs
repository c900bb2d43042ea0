//! Whether Redis still has what was written to it.
//!
//! Losing all of Redis is harmless, because scheduling then misses its tasks in the index. Losing a *part* of it is not: a task whose id is in
//! the index and whose entry nobody can reach would wait until its cycle times out. That happens when Redis evicts keys, or when somebody
//! trims a stream or deletes a key by hand.

use std::{collections::HashMap, sync::LazyLock};

use kinitro_domain::EnvId;
use redis::Script;

use crate::{QueueError, WorkQueue, work::GROUP};

static AUDIT: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("lua/audit.lua")));

const POLICY: &str = "maxmemory-policy";

/// Whether the keys of an environment belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// They do.
    Whole,
    /// Some of them were lost: there are tasks that nobody can lease.
    Torn,
    /// They did not and are gone now: its tasks have to be enqueued again.
    Cleared,
}

/// Which keys Redis drops when its memory is full.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Eviction {
    /// None that the queue lives on: `noeviction`, or only keys that expire.
    Harmless,
    /// Any key, under the policy named.
    AnyKey(String),
    /// The server does not tell.
    Unknown,
}

impl WorkQueue {
    /// Looks whether the keys of an environment belong together; one script, so whatever goes on at the same time. An environment that only
    /// fell out of the list of those with entries is put back. With `clear` everything of a torn one is forgotten, leased or not.
    pub async fn audit(&self, env_id: &EnvId, clear: bool) -> Result<Condition, QueueError> {
        let mut call = AUDIT.prepare_invoke();
        call.key(&self.keys.live.environments)
            .key(&self.keys.cursors)
            .arg(GROUP)
            .arg(&self.keys.live.work)
            .arg(&self.keys.live.entries)
            .arg(&self.keys.passed)
            .arg(env_id.as_str())
            .arg(u8::from(clear));
        match self.connection.invoke::<u8>(&call).await? {
            0 => Ok(Condition::Whole),
            1 => Ok(Condition::Torn),
            2 => Ok(Condition::Cleared),
            _ => Err(self.connection.unexpected("0, 1 or 2")),
        }
    }

    /// Whether Redis may drop keys of the queue. Managed servers forbid `CONFIG`: then `INFO` has it.
    pub async fn eviction(&self) -> Result<Eviction, QueueError> {
        let mut config = redis::cmd("CONFIG");
        config.arg("GET").arg(POLICY);
        let told = match self.connection.command::<HashMap<String, String>>(&config).await {
            Ok(mut config) => config.remove(POLICY),
            Err(QueueError::Refused { .. }) => None,
            Err(error) => return Err(error),
        };
        if let Some(policy) = told {
            return Ok(Eviction::of(&policy));
        }
        match self.connection.command::<String>(redis::cmd("INFO").arg("memory")).await {
            Ok(info) => Ok(Eviction::in_info(&info)),
            Err(QueueError::Refused { .. }) => Ok(Eviction::Unknown),
            Err(error) => Err(error),
        }
    }
}

impl Eviction {
    fn of(policy: &str) -> Self {
        // Of the queue's keys only staged ones expire, and these may go.
        if policy == "noeviction" || policy.starts_with("volatile-") {
            Self::Harmless
        } else {
            Self::AnyKey(policy.to_owned())
        }
    }

    fn in_info(info: &str) -> Self {
        let policy = info.lines().find_map(|line| line.strip_prefix("maxmemory_policy:"));
        policy.map_or(Self::Unknown, |policy| Self::of(policy.trim()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policy_is_read_from_the_memory_section() {
        let info = |policy: &str| format!("# Memory\r\nused_memory:1\r\nmaxmemory_policy:{policy}\r\nx:1\r\n");
        assert_eq!(Eviction::in_info(&info("noeviction")), Eviction::Harmless);
        assert_eq!(Eviction::in_info(&info("volatile-lru")), Eviction::Harmless);
        assert_eq!(Eviction::in_info(&info("allkeys-lru")), Eviction::AnyKey("allkeys-lru".to_owned()));
        assert_eq!(Eviction::in_info("# Memory\r\nused_memory:1\r\n"), Eviction::Unknown);
    }
}
