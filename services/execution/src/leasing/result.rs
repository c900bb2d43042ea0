//! A report as scheduling takes it.

use kinitro_domain::{Cause, Verdict};
use kinitro_proto::scheduling::v1::{Lease, TaskResult};

use crate::episode::Report;

pub(super) fn result(lease: &Lease, report: Report, beacon_reached: Option<bool>) -> TaskResult {
    let Report { cause, evidence, total_reward, timesteps, trajectory_hash, timing, shown, calls: _ } = report;
    let verdict = cause.verdict();
    let success = verdict == Verdict::Success;
    let fault_message = kinitro_policy::told(cause, &evidence);
    // Unstable physics is no fault, but what was seen of it explains the failure.
    let told =
        matches!(verdict, Verdict::PolicyFault | Verdict::InfrastructureFault) || cause == Cause::PhysicsUnstable;
    TaskResult {
        task_uuid: lease.task_uuid.clone(),
        attempt: lease.attempt,
        success,
        score: if success { 1.0 } else { 0.0 },
        total_reward,
        timesteps,
        error: told.then_some(evidence),
        verification_passed: None,
        verification_score: None,
        verdict: verdict.to_string(),
        cause: cause.to_string(),
        trajectory_hash,
        duration_seconds: timing.total,
        policy_seconds: timing.policy,
        simulation_seconds: Some(timing.simulation),
        render_seconds: Some(timing.render),
        queue_seconds: Some(timing.queue),
        policy_p50_seconds: Some(timing.policy_p50),
        policy_p99_seconds: Some(timing.policy_p99),
        policy_max_seconds: Some(timing.policy_max),
        observation_shown: Some(shown),
        beacon_reached,
        fault_message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_evidence_of_unstable_physics_is_told_and_the_steps_stay() {
        let report = Report {
            timesteps: 16,
            total_reward: 2.5,
            ..Report::fault(Cause::PhysicsUnstable, "at step 17".to_owned())
        };
        let result = result(&Lease::default(), report, None);
        assert_eq!((result.verdict.as_str(), result.success, result.score), ("failure", false, 0.0));
        assert_eq!((result.error.as_deref(), result.timesteps, result.total_reward), (Some("at step 17"), 16, 2.5));
    }
}
