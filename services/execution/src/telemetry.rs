//! The metrics of an executor.

use std::time::Duration;

use kinitro_domain::{Cause, EnvId};

/// An episode ended.
pub(crate) fn episode(cause: Cause, took: Duration) {
    metrics::counter!("kinitro_episodes_total", "verdict" => cause.verdict().as_str(), "cause" => cause.as_str())
        .increment(1);
    metrics::histogram!("kinitro_episode_seconds").record(took.as_secs_f64());
}

/// A policy answered, or failed to.
pub(crate) fn policy_call(took: Duration) {
    metrics::histogram!("kinitro_policy_latency_seconds").record(took.as_secs_f64());
}

/// An episode made so many steps.
pub(crate) fn steps(env_id: &EnvId, count: u32) {
    metrics::counter!("kinitro_env_steps_total", "env_id" => env_id.to_string()).increment(u64::from(count));
}

/// How many slots play and how many are free.
pub(crate) fn slots(busy: usize, free: usize) {
    for (state, count) in [("busy", busy), ("free", free)] {
        metrics::gauge!("kinitro_slots", "state" => state).set(count as f64);
    }
}
