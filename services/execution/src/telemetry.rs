//! The metrics of an executor. All are recorded in this process, also what the families' processes report, because only this one is
//! asked for them.

use kinitro_domain::EnvId;

use crate::episode::Report;

/// An episode ended.
pub(crate) fn episode(env_id: &EnvId, report: &Report) {
    let Report { cause, timesteps, timing, calls, .. } = report;
    metrics::counter!("kinitro_episodes_total", "verdict" => cause.verdict().as_str(), "cause" => cause.as_str())
        .increment(1);
    metrics::histogram!("kinitro_episode_seconds").record(timing.total);
    metrics::counter!("kinitro_env_steps_total", "env_id" => env_id.to_string()).increment(u64::from(*timesteps));
    let latency = metrics::histogram!("kinitro_policy_latency_seconds");
    calls.iter().for_each(|call| latency.record(f64::from(*call)));
    for (part, seconds) in [
        ("policy", timing.policy),
        ("simulation", timing.simulation),
        ("render", timing.render),
        ("queue", timing.queue),
    ] {
        metrics::histogram!("kinitro_episode_part_seconds", "part" => part).record(seconds);
    }
}

/// How many slots of a family play, how many are free, and whether its process is there.
pub(crate) fn slots(family: &str, busy: usize, free: usize, up: bool) {
    for (state, count) in [("busy", busy), ("free", free)] {
        metrics::gauge!("kinitro_slots", "family" => family.to_owned(), "state" => state).set(count as f64);
    }
    metrics::gauge!("kinitro_family_up", "family" => family.to_owned()).set(f64::from(u8::from(up)));
}

/// The process of a family was lost.
pub(crate) fn restart(family: &str) {
    metrics::counter!("kinitro_family_restarts_total", "family" => family.to_owned()).increment(1);
}

/// How much memory the process of a family has; unknown when it is just ending.
pub(crate) fn memory(family: &str, bytes: Option<u64>) {
    if let Some(bytes) = bytes {
        metrics::gauge!("kinitro_family_memory_bytes", "family" => family.to_owned()).set(bytes as f64);
    }
}
