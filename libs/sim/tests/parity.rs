//! Every task against rollouts of the Python Meta-World 3.1.1 on the same libmujoco: three scenes of at least 100 steps each in which
//! its expert acts, and some more that take the branches of its reward (`tests/vectors/branches/coverage.txt` says which).
//!
//! Tolerance 1e-9 on observations and rewards, success exactly. The physics is the same to the bit; what differs is the last bit of
//! norms, quaternions and exponentials, where NumPy sums and approximates in another order (about 1e-15). Rewards that the
//! Python side computes in single precision are computed in single precision here too.
//!
//! `KINITRO_TEST_TASKS=door-open-v3,door-close-v3` plays those alone.

#![allow(clippy::unwrap_used)]

mod reference;

use std::{collections::BTreeSet, fs, path::Path};

use kinitro_sim::{EpisodeOptions, Simulator};
use reference::{Reference, Rollout};

const TOLERANCE: f64 = 1e-9;
/// Tasks that are further apart than `TOLERANCE`: name, largest difference (as tight as it was measured), and why.
const EXCEPTIONS: &[(&str, f64, &str)] = &[];

/// What is furthest apart in a task, and where something first was further apart than the task may be.
#[derive(Default)]
struct Apart {
    observations: f64,
    rewards: f64,
    first: Option<String>,
}

impl Apart {
    fn note(&mut self, place: &str, what: &str) {
        self.first.get_or_insert_with(|| format!("{place}: {what}"));
    }

    /// The largest difference; NaN counts as infinitely far.
    fn compare(&mut self, ours: &[f64], theirs: &[f64], tolerance: f64, place: &str, what: &str) -> f64 {
        assert_eq!(ours.len(), theirs.len(), "{place}: {what}");
        let mut largest = 0.0_f64;
        for (i, (a, b)) in ours.iter().zip(theirs).enumerate() {
            let difference = if a == b { 0.0 } else { (a - b).abs() };
            let difference = if difference.is_nan() { f64::INFINITY } else { difference };
            if difference > tolerance {
                self.note(place, &format!("{what}, component {i}: {a:?} here, {b:?} there, {difference:e} apart"));
            }
            largest = largest.max(difference);
        }
        largest
    }
}

fn play(simulator: &Simulator, task: &str, rollouts: &[Rollout], tolerance: f64) -> Apart {
    let env_id = format!("metaworld/{task}").parse().unwrap();
    let mut apart = Apart::default();
    for (number, rollout) in rollouts.iter().enumerate() {
        let place = format!("{task}, rollout {number}, reset");
        let started = simulator.start_with_random_vector(&env_id, &rollout.random, EpisodeOptions::default());
        let mut episode = started.unwrap_or_else(|error| panic!("{place}: {error}"));
        let seen = episode.native_observation(true);
        apart.observations =
            apart.observations.max(apart.compare(&seen, &rollout.start, tolerance, &place, "observation"));
        for (index, step) in rollout.steps.iter().enumerate() {
            let place = format!("{task}, rollout {number}, step {index}");
            let outcome = episode.step_native(step.action).unwrap_or_else(|error| panic!("{place}: {error}"));
            let seen = episode.native_observation(true);
            let difference = apart.compare(&seen, &step.observation, tolerance, &place, "observation");
            apart.observations = apart.observations.max(difference);
            let difference = apart.compare(&[outcome.reward], &[step.reward], tolerance, &place, "reward");
            apart.rewards = apart.rewards.max(difference);
            if outcome.success != step.success {
                apart.note(&place, &format!("success is {} here, {} there", outcome.success, step.success));
            }
            let hidden = episode.native_observation(false);
            assert_eq!((&hidden[..36], &hidden[36..]), (&seen[..36], &[0.0; 3][..]), "{place}: the goal hidden");
        }
    }
    apart
}

/// The tasks that are registered, in the order in which they are shown; of these, the ones that are asked for.
fn tasks(simulator: &Simulator) -> Vec<String> {
    let all: Vec<_> = simulator.environments().iter().map(|info| info.env_id.name().to_owned()).collect();
    let Ok(asked) = std::env::var("KINITRO_TEST_TASKS") else { return all };
    let asked: Vec<_> = asked.split(',').map(str::to_owned).collect();
    let unknown: Vec<_> = asked.iter().filter(|task| !all.contains(task)).collect();
    assert!(unknown.is_empty(), "KINITRO_TEST_TASKS names what is not registered: {unknown:?}");
    asked
}

#[test]
fn every_task_is_that_of_meta_world() {
    let simulator = Simulator::new(None).unwrap();
    let mut wrong = Vec::new();
    for task in tasks(&simulator) {
        let exception = EXCEPTIONS.iter().find(|(name, ..)| *name == task);
        let tolerance = exception.map_or(TOLERANCE, |(_, figure, _)| *figure);
        let mut rollouts = Reference::read(&task).rollouts;
        rollouts.extend(Reference::read_branches(&task).rollouts);
        let Apart { observations, rewards, first } = play(&simulator, &task, &rollouts, tolerance);
        println!("{task:28} observations within {observations:8.1e}, rewards within {rewards:8.1e}");
        wrong.extend(first);
        if exception.is_some() && observations.max(rewards) <= tolerance / 2.0 {
            wrong.push(format!("{task}: the exception of {tolerance:e} is not needed, or could be tighter"));
        }
    }
    assert!(wrong.is_empty(), "the first difference of each task:\n{}", wrong.join("\n"));
}

#[test]
fn every_task_has_recorded_rollouts_in_which_something_succeeds() {
    for task in tasks(&Simulator::new(None).unwrap()) {
        let rollouts = Reference::read(&task).rollouts;
        assert!(rollouts.len() >= 3, "{task}");
        assert!(rollouts.iter().all(|rollout| rollout.steps.len() >= 100), "{task}");
        assert!(rollouts.iter().flat_map(|rollout| &rollout.steps).any(|step| step.success), "{task}");
        for (i, rollout) in rollouts.iter().enumerate() {
            assert!(
                rollouts[..i].iter().all(|earlier| earlier.random != rollout.random),
                "{task}: rollout {i} is a scene again"
            );
        }
    }
}

#[test]
fn all_tasks_of_meta_world_are_recorded_and_registered() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    let recorded: BTreeSet<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter_map(|name| name.strip_suffix(".zz").map(str::to_owned))
        .collect();
    let registered: BTreeSet<_> =
        Simulator::new(None).unwrap().environments().iter().map(|info| info.env_id.name().to_owned()).collect();
    assert_eq!(recorded.len(), 50);
    assert_eq!(registered, recorded);
    for (task, figure, reason) in EXCEPTIONS {
        assert!(registered.contains(*task) && *figure > TOLERANCE && !reason.is_empty(), "an exception for {task}");
    }
}
