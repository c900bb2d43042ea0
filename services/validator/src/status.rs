//! What the validator knows about itself, for `/health`, `/metrics` and the log.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use kinitro_domain::BlockNumber;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::{check::Accepted, memory::LastSet};

/// Where something can be in the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Area {
    /// The backend does not answer, or not with weights.
    Backend,
    /// Its weights are of the wrong time, or go backwards.
    Weights,
    /// The chain cannot be read.
    Chain,
    /// It does not go on: its finality stands still, or the node is behind.
    Finality,
    /// The weights cannot be set.
    Setting,
    /// They were set so long ago that they count no more.
    Age,
    /// What is on the chain is not what was sent.
    ReadBack,
}

impl Area {
    fn as_str(self) -> &'static str {
        match self {
            Self::Backend => "backend",
            Self::Weights => "weights",
            Self::Chain => "chain",
            Self::Finality => "finality",
            Self::Setting => "setting",
            Self::Age => "age",
            Self::ReadBack => "read_back",
        }
    }
}

struct Trouble {
    reason: String,
    since: Instant,
}

/// What was seen last.
#[derive(Default)]
struct Seen {
    troubles: BTreeMap<Area, Trouble>,
    finalized: Option<BlockNumber>,
    last_update: Option<BlockNumber>,
    accepted: Option<Accepted>,
    last_set: Option<LastSet>,
    pending: bool,
    doing: String,
}

/// Shared by the loop, which writes, and the HTTP routes, which read.
pub struct Status {
    identity: Value,
    limit: Duration,
    /// When the last round ended, or when the validator started.
    round: Mutex<Instant>,
    seen: Mutex<Seen>,
}

impl Status {
    /// A validator that has seen nothing yet. `identity` is shown as it is.
    pub fn new(identity: Value, limit: Duration) -> Self {
        let seen = Seen { doing: "waiting for the backend and the chain".to_owned(), ..Seen::default() };
        Self { identity, limit, round: Mutex::new(Instant::now()), seen: Mutex::new(seen) }
    }

    /// Something is in the way. The reason may change; the time since when stays.
    pub fn raise(&self, area: Area, cause: &'static str, reason: String) {
        metrics::counter!("kinitro_validator_failures_total", "cause" => cause).increment(1);
        let mut seen = self.seen();
        let before = seen.troubles.remove(&area);
        let told = before.as_ref().is_some_and(|before| before.reason == reason);
        let since = before.map_or_else(Instant::now, |before| before.since);
        if !told {
            tracing::warn!(area = area.as_str(), cause, "{reason}");
        }
        seen.troubles.insert(area, Trouble { reason, since });
    }

    /// Nothing is in the way there any more.
    pub fn clear(&self, area: Area) {
        if self.seen().troubles.remove(&area).is_some() {
            tracing::info!(area = area.as_str(), "the trouble is over");
        }
    }

    /// What the validator does now, for people.
    pub fn doing(&self, what: impl Into<String>) {
        let (mut seen, what) = (self.seen(), what.into());
        if seen.doing != what {
            tracing::info!("{what}");
            seen.doing = what;
        }
    }

    /// How far the chain is finalized, and when the hotkey's weights were set there last.
    pub fn saw_chain(&self, finalized: BlockNumber, last_update: Option<BlockNumber>) {
        let mut seen = self.seen();
        seen.finalized = Some(finalized);
        seen.last_update = last_update;
        metrics::gauge!("kinitro_validator_finalized_block").set(finalized.0 as f64);
        if let Some(last) = last_update {
            metrics::gauge!("kinitro_validator_last_set_block").set(last.0 as f64);
            metrics::gauge!("kinitro_validator_weights_age_blocks").set(finalized.0.saturating_sub(last.0) as f64);
        }
    }

    /// What the memory on disk says.
    pub fn remembers(&self, accepted: Option<Accepted>, last_set: Option<LastSet>, pending: bool) {
        if let Some(accepted) = &accepted {
            metrics::gauge!("kinitro_validator_accepted_block").set(accepted.block.0 as f64);
        }
        let mut seen = self.seen();
        (seen.accepted, seen.last_set, seen.pending) = (accepted, last_set, pending);
    }

    /// A round ended.
    pub fn round_ended(&self) {
        *self.round.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        metrics::gauge!("kinitro_validator_healthy").set(if self.report().0 { 1.0 } else { 0.0 });
    }

    /// Whether all is well, and everything that is known.
    pub fn report(&self) -> (bool, Value) {
        self.report_at(Instant::now())
    }

    fn report_at(&self, now: Instant) -> (bool, Value) {
        let idle = now.duration_since(*self.round.lock().unwrap_or_else(PoisonError::into_inner));
        let seen = self.seen();
        let lasting = seen.troubles.values().any(|trouble| now.duration_since(trouble.since) >= self.limit);
        // A transaction may take its whole era; nothing else takes long.
        let stuck = idle >= self.limit.max(Duration::from_secs(1800));
        let troubles: Vec<Value> = seen
            .troubles
            .iter()
            .map(|(area, trouble)| {
                json!({"area": area.as_str(), "reason": trouble.reason, "seconds": now.duration_since(trouble.since).as_secs()})
            })
            .collect();
        let last_set = seen.last_set.as_ref().map(|last| {
            json!({
                "block": last.at, "weights_block": last.message.block, "cycle_id": last.message.cycle_id,
                "uids": last.message.weights.len(), "hidden": last.message.reveal.is_some(),
                "revealed_as_committed": last.message.reveal.and(last.as_sent),
            })
        });
        let age = seen.finalized.zip(seen.last_update).map(|(now, last)| now.0.saturating_sub(last.0));
        let accepted = seen.accepted.as_ref();
        let well = !lasting && !stuck;
        let report = json!({
            "status": if well { "healthy" } else { "unhealthy" },
            "validator": self.identity,
            "doing": seen.doing,
            "troubles": troubles,
            "finalized_block": seen.finalized,
            "last_set_block": seen.last_update,
            "weights_age_blocks": age,
            "accepted": accepted.map(|accepted| json!({"block": accepted.block, "cycle_id": accepted.cycle_id})),
            "last_set": last_set,
            "transaction_pending": seen.pending,
            "last_round_seconds_ago": idle.as_secs(),
        });
        (well, report)
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(60);

    #[test]
    fn only_a_lasting_trouble_is_unhealthy() {
        let status = Status::new(json!({}), LIMIT);
        assert!(status.report().0);
        let start = Instant::now();
        status.raise(Area::Backend, "unreachable", "away".to_owned());
        status.raise(Area::Backend, "unexpected", "500".to_owned());
        assert!(status.report_at(start + LIMIT / 2).0);
        let raised = Instant::now();
        let (well, report) = status.report_at(raised + LIMIT);
        assert_eq!((well, &report["status"]), (false, &json!("unhealthy")));
        assert_eq!(report["troubles"], json!([{"area": "backend", "reason": "500", "seconds": 60}]));
        status.clear(Area::Backend);
        assert!(status.report_at(raised + LIMIT).0);
    }

    #[test]
    fn a_loop_that_stands_still_is_unhealthy() {
        let start = Instant::now();
        let status = Status::new(json!({}), LIMIT);
        let minutes = |minutes: u64| Duration::from_secs(minutes * 60);
        assert!(status.report_at(start + minutes(29)).0);
        assert!(!status.report_at(Instant::now() + minutes(30)).0);
    }
}
