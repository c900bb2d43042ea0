//! A result as an executor reports it, checked. Nothing that is not finite, unbounded or contradictory gets past here.

use kinitro_domain::{Cause, Verdict};
use kinitro_proto::scheduling::v1::TaskResult;
use uuid::Uuid;

use super::python;

/// Longer error texts are cut.
const MAX_ERROR_BYTES: usize = 4 << 10;
/// Longer texts for the public are cut; in characters.
const MAX_MESSAGE_CHARS: usize = 200;
const HASH_DIGITS: usize = 64;

/// A checked result.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Report {
    pub(super) id: Uuid,
    /// 0 when the executor does not know it.
    pub(super) attempt: i32,
    pub(super) verdict: Verdict,
    pub(super) cause: Cause,
    pub(super) error: Option<String>,
    /// What of a policy's fault may be read in public.
    pub(super) fault_message: Option<String>,
    pub(super) score: f64,
    pub(super) total_reward: f64,
    pub(super) timesteps: i32,
    pub(super) trajectory_hash: Option<String>,
    pub(super) duration_seconds: f64,
    pub(super) policy_seconds: f64,
    pub(super) simulation_seconds: Option<f64>,
    pub(super) render_seconds: Option<f64>,
    pub(super) queue_seconds: Option<f64>,
    pub(super) policy_p50_seconds: Option<f64>,
    pub(super) policy_p99_seconds: Option<f64>,
    pub(super) policy_max_seconds: Option<f64>,
    pub(super) verification_passed: Option<bool>,
    pub(super) verification_score: Option<f64>,
    /// Whether the policy may have seen an observation.
    pub(super) shown: bool,
    /// Whether the executor says that it has.
    pub(super) observed: bool,
    /// Whether the executor reached its beacon when the policy was not reached.
    pub(super) beacon_reached: Option<bool>,
}

impl Report {
    /// The result, or what is wrong with it. With `hashed` from an executor that gives every trajectory its hash.
    pub(super) fn check(result: TaskResult, hashed: bool) -> Result<Self, String> {
        let id = Uuid::parse_str(&result.task_uuid).map_err(|_| "task_uuid is no UUID".to_owned())?;
        let error = result.error.as_deref().map(bounded).filter(|error| !error.is_empty());
        let (verdict, cause) = decide(&result, error.as_deref())?;
        if !(0.0..=1.0).contains(&result.score) {
            return Err("score must be a number in [0, 1]".to_owned());
        }
        consistent(&result, verdict, hashed)?;
        let finite = [
            ("total_reward", result.total_reward, false),
            ("duration_seconds", result.duration_seconds, true),
            ("policy_seconds", result.policy_seconds, true),
            ("simulation_seconds", result.simulation_seconds.unwrap_or(0.0), true),
            ("render_seconds", result.render_seconds.unwrap_or(0.0), true),
            ("queue_seconds", result.queue_seconds.unwrap_or(0.0), true),
            ("policy_p50_seconds", result.policy_p50_seconds.unwrap_or(0.0), true),
            ("policy_p99_seconds", result.policy_p99_seconds.unwrap_or(0.0), true),
            ("policy_max_seconds", result.policy_max_seconds.unwrap_or(0.0), true),
            ("verification_score", result.verification_score.unwrap_or(0.0), false),
        ];
        for (field, value, positive) in finite {
            if !value.is_finite() || (positive && value < 0.0) {
                return Err(format!("{field} must be a finite number{}", if positive { ", 0 or more" } else { "" }));
            }
        }
        let hash = result.trajectory_hash;
        let is_hash = hash.len() == HASH_DIGITS && hash.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if !hash.is_empty() && !is_hash {
            return Err(format!("trajectory_hash must be {HASH_DIGITS} lower-case hex digits or empty"));
        }
        Ok(Self {
            id,
            attempt: i32::try_from(result.attempt).map_err(|_| "attempt is too large".to_owned())?,
            verdict,
            cause,
            error,
            fault_message: Some(result.fault_message.as_deref().map(printable).unwrap_or_default())
                .filter(|message| verdict == Verdict::PolicyFault && !message.is_empty()),
            score: result.score,
            total_reward: result.total_reward,
            timesteps: i32::try_from(result.timesteps).map_err(|_| "timesteps is too large".to_owned())?,
            trajectory_hash: Some(hash).filter(|hash| !hash.is_empty()),
            duration_seconds: result.duration_seconds,
            policy_seconds: result.policy_seconds,
            simulation_seconds: result.simulation_seconds,
            render_seconds: result.render_seconds,
            queue_seconds: result.queue_seconds,
            policy_p50_seconds: result.policy_p50_seconds,
            policy_p99_seconds: result.policy_p99_seconds,
            policy_max_seconds: result.policy_max_seconds,
            verification_passed: result.verification_passed,
            verification_score: result.verification_score,
            shown: result.observation_shown.unwrap_or(cause != Cause::PolicyUnreachable),
            observed: result.observation_shown == Some(true),
            beacon_reached: result.beacon_reached,
        })
    }
}

impl Report {
    /// Whether it says that the policy was not reached.
    pub(super) fn is_unreachable(&self) -> bool {
        self.cause == Cause::PolicyUnreachable
    }
}

fn decide(result: &TaskResult, error: Option<&str>) -> Result<(Verdict, Cause), String> {
    if result.verdict.is_empty() {
        if !result.cause.is_empty() {
            return Err("a cause needs its verdict".to_owned());
        }
        let cause = match (error.map(python::cause_of), result.success) {
            (Some(None), _) => Cause::Executor,
            (Some(Some(_)), true) => {
                return Err("success is true, but the error says that the policy failed".to_owned());
            }
            (Some(Some(cause)), false) => cause,
            (None, true) => Cause::Environment,
            (None, false) => Cause::StepLimit,
        };
        return Ok((cause.verdict(), cause));
    }
    let verdict: Verdict = result.verdict.parse().map_err(|error| format!("verdict: {error}"))?;
    let cause = match (result.cause.as_str(), verdict) {
        ("", Verdict::Success) => Cause::Environment,
        ("", Verdict::Failure) => Cause::StepLimit,
        ("", Verdict::InfrastructureFault) => Cause::Executor,
        ("", Verdict::PolicyFault) => return Err("a policy_fault needs its cause".to_owned()),
        (cause, _) => cause.parse().map_err(|_| "cause is unknown".to_owned())?,
    };
    if cause.verdict() != verdict {
        return Err(format!("cause {cause} belongs to {}, not to {verdict}", cause.verdict()));
    }
    if result.success != (verdict == Verdict::Success) {
        return Err(format!("success is {}, but the verdict is {verdict}", result.success));
    }
    Ok((verdict, cause))
}

/// What a verdict demands of the other members: an executor that contradicts itself is believed in nothing.
fn consistent(result: &TaskResult, verdict: Verdict, hashed: bool) -> Result<(), String> {
    let TaskResult { score, timesteps, .. } = *result;
    if verdict == Verdict::Success && timesteps == 0 {
        return Err("timesteps is 0, but the verdict is success: nothing is solved without a step".to_owned());
    }
    if verdict == Verdict::Success && score <= 0.0 {
        return Err("score is 0, but the verdict is success".to_owned());
    }
    if verdict != Verdict::Success && score >= 1.0 {
        return Err(format!("score is 1, but the verdict is {verdict}"));
    }
    if hashed && verdict.counts() && timesteps > 0 && result.trajectory_hash.is_empty() {
        return Err("trajectory_hash is missing, and the request says that its results have one".to_owned());
    }
    Ok(())
}

/// At most [`MAX_ERROR_BYTES`], and without the zero characters that Postgres cannot store.
fn bounded(error: &str) -> String {
    error[..error.floor_char_boundary(MAX_ERROR_BYTES)].replace('\0', "\u{fffd}").trim().to_owned()
}

/// One line of at most [`MAX_MESSAGE_CHARS`], without control characters.
fn printable(message: &str) -> String {
    let shown = message.trim().chars().take(MAX_MESSAGE_CHARS);
    shown.map(|character| if character.is_control() { '\u{fffd}' } else { character }).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(result: TaskResult) -> Result<Report, String> {
        Report::check(result, false)
    }

    fn result() -> TaskResult {
        TaskResult { task_uuid: Uuid::from_u128(7).to_string(), ..TaskResult::default() }
    }

    #[test]
    fn a_result_without_a_verdict_is_what_success_and_error_say() {
        let decided = |success, error: Option<&str>| {
            let (score, timesteps) = if success { (1.0, 7) } else { (0.0, 0) };
            let given = TaskResult { success, score, timesteps, error: error.map(str::to_owned), ..result() };
            let report = check(given).expect("valid");
            (report.verdict, report.cause)
        };
        assert_eq!(decided(true, None), (Verdict::Success, Cause::Environment));
        assert_eq!(decided(false, None), (Verdict::Failure, Cause::StepLimit));
        assert_eq!(decided(false, Some("")), (Verdict::Failure, Cause::StepLimit));
        assert_eq!(decided(false, Some("boom")), (Verdict::InfrastructureFault, Cause::Executor));
        let timeout = Some("Miner action timeout at step 4");
        assert_eq!(decided(false, timeout), (Verdict::PolicyFault, Cause::ActionTimeout));
    }

    #[test]
    fn a_result_that_contradicts_itself_is_refused() {
        let refused = |verdict: &str, cause: &str, score: f64, timesteps: u32| {
            let (verdict, cause, success) = (verdict.to_owned(), cause.to_owned(), verdict == "success");
            check(TaskResult { verdict, cause, success, score, timesteps, ..result() }).err()
        };
        let no_step = "timesteps is 0, but the verdict is success: nothing is solved without a step";
        assert_eq!(refused("success", "", 1.0, 0).as_deref(), Some(no_step));
        assert_eq!(refused("success", "", 0.0, 7).as_deref(), Some("score is 0, but the verdict is success"));
        assert_eq!(refused("failure", "", 1.0, 7).as_deref(), Some("score is 1, but the verdict is failure"));
        let policy = refused("policy_fault", "action_timeout", 1.0, 7);
        assert_eq!(policy.as_deref(), Some("score is 1, but the verdict is policy_fault"));
        let ours = refused("infrastructure_fault", "", 1.0, 7);
        assert_eq!(ours.as_deref(), Some("score is 1, but the verdict is infrastructure_fault"));
        assert_eq!(refused("success", "", 0.5, 7), None, "an environment may grade");
        assert_eq!(refused("failure", "", 0.5, 7), None);
        assert_eq!(refused("failure", "", 0.0, 0), None, "the python executor does not always tell its steps");
        // The same without a verdict.
        let bare = |success, score, timesteps| check(TaskResult { success, score, timesteps, ..result() }).err();
        assert_eq!(bare(true, 1.0, 0).as_deref(), Some(no_step));
        assert_eq!(bare(true, 0.0, 7).as_deref(), Some("score is 0, but the verdict is success"));
        assert_eq!(bare(false, 1.0, 7).as_deref(), Some("score is 1, but the verdict is failure"));
        let told = TaskResult { success: true, score: 1.0, timesteps: 7, ..result() };
        let told = TaskResult { error: Some("Miner action timeout at step 4".to_owned()), ..told };
        let contradiction = "success is true, but the error says that the policy failed".to_owned();
        assert_eq!(check(told).err(), Some(contradiction));
    }

    #[test]
    fn a_trajectory_without_its_hash_is_refused_of_an_executor_that_announces_one() {
        let missing = Some("trajectory_hash is missing, and the request says that its results have one".to_owned());
        let played = TaskResult { timesteps: 7, ..result() };
        assert_eq!(Report::check(played.clone(), true).err(), missing);
        assert_eq!(Report::check(played.clone(), false).err(), None);
        let hashed = TaskResult { trajectory_hash: "0f".repeat(32), ..played.clone() };
        assert_eq!(Report::check(hashed, true).err(), None);
        // Nothing was stepped, or what was stepped is gone with the simulation: there is no trajectory.
        assert_eq!(Report::check(result(), true).err(), None);
        let lost = TaskResult { error: Some("the simulation is gone".to_owned()), ..played };
        assert_eq!(Report::check(lost, true).err(), None);
    }

    #[test]
    fn an_observation_may_have_been_shown_unless_the_executor_says_otherwise() {
        let shown = |cause: &str, observation_shown| {
            let verdict = "infrastructure_fault".to_owned();
            check(TaskResult { verdict, cause: cause.to_owned(), observation_shown, ..result() }).expect("valid").shown
        };
        assert!(shown("executor", None) && shown("simulator", Some(true)) && !shown("simulator", Some(false)));
        assert!(!shown("policy_unreachable", None));
    }

    #[test]
    fn a_message_for_the_public_is_short_printable_and_of_a_policys_fault_only() {
        let kept = |verdict: &str, cause: &str, message: &str| {
            let (verdict, cause) = (verdict.to_owned(), cause.to_owned());
            let fault_message = Some(message.to_owned());
            check(TaskResult { verdict, cause, fault_message, ..result() }).expect("valid").fault_message
        };
        let fault = |message: &str| kept("policy_fault", "http_status", message);
        assert_eq!(fault(" 422\n\0\u{1b}[2J ").as_deref(), Some("422\u{fffd}\u{fffd}\u{fffd}[2J"));
        assert_eq!(fault(&"é".repeat(500)).map(|message| message.chars().count()), Some(MAX_MESSAGE_CHARS));
        assert_eq!(fault(" "), None);
        assert_eq!(kept("infrastructure_fault", "executor", "422"), None);
        assert_eq!(kept("failure", "step_limit", "422"), None);
    }

    #[test]
    fn contradictions_are_refused() {
        let refused = |verdict: &str, cause: &str, success| {
            check(TaskResult { verdict: verdict.to_owned(), cause: cause.to_owned(), success, ..result() })
                .expect_err("contradictory")
        };
        assert_eq!(refused("success", "", false), "success is false, but the verdict is success");
        assert_eq!(refused("failure", "environment", false), "cause environment belongs to success, not to failure");
        assert_eq!(refused("policy_fault", "", false), "a policy_fault needs its cause");
        assert_eq!(refused("", "step_limit", false), "a cause needs its verdict");
        assert!(refused("won", "", true).starts_with("verdict: unknown verdict"));
        assert_eq!(refused("failure", "bad_luck", false), "cause is unknown");
    }

    #[test]
    fn numbers_must_be_finite_and_in_range() {
        for score in [f64::NAN, -0.1, 1.1, f64::INFINITY] {
            assert!(check(TaskResult { score, ..result() }).is_err());
        }
        for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert!(check(TaskResult { total_reward: number, ..result() }).is_err());
            assert!(check(TaskResult { duration_seconds: number, ..result() }).is_err());
            assert!(check(TaskResult { policy_seconds: number, ..result() }).is_err());
            assert!(check(TaskResult { verification_score: Some(number), ..result() }).is_err());
        }
        assert!(check(TaskResult { duration_seconds: -1.0, ..result() }).is_err());
        type Field = fn(&mut TaskResult) -> &mut Option<f64>;
        let fields: [(&str, Field); 6] = [
            ("simulation_seconds", |result| &mut result.simulation_seconds),
            ("render_seconds", |result| &mut result.render_seconds),
            ("queue_seconds", |result| &mut result.queue_seconds),
            ("policy_p50_seconds", |result| &mut result.policy_p50_seconds),
            ("policy_p99_seconds", |result| &mut result.policy_p99_seconds),
            ("policy_max_seconds", |result| &mut result.policy_max_seconds),
        ];
        for (name, field) in fields {
            for number in [f64::NAN, f64::INFINITY, -1e-9] {
                let mut bad = result();
                *field(&mut bad) = Some(number);
                assert_eq!(check(bad), Err(format!("{name} must be a finite number, 0 or more")));
            }
        }
        assert!(check(TaskResult { timesteps: u32::MAX, ..result() }).is_err());
        assert!(check(TaskResult { attempt: u32::MAX, ..result() }).is_err());
        assert!(check(TaskResult { trajectory_hash: "xyz".to_owned(), ..result() }).is_err());
        assert!(check(TaskResult { trajectory_hash: "0f".repeat(32), ..result() }).is_ok());
        assert!(check(TaskResult { task_uuid: "7".to_owned(), ..result() }).is_err());
    }

    proptest! {
        #[test]
        fn any_error_text_is_bounded_and_storable(error in any::<String>(), times in 1_usize..400) {
            let report = check(TaskResult { error: Some(error.repeat(times)), ..result() }).expect("valid");
            let stored = report.error.unwrap_or_default();
            // A replaced zero takes three bytes.
            prop_assert!(stored.len() <= 3 * MAX_ERROR_BYTES && !stored.contains('\0'));
        }
    }
}
