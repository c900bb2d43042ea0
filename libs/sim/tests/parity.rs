//! Every task against rollouts of the Python Meta-World 3.1.1 on the same libmujoco: three scenes of 100 steps each.
//!
//! Tolerance 1e-9 on observations and rewards, success exactly. The physics is the same to the bit; what differs is the last bit of
//! norms, quaternions and exponentials, where NumPy sums and approximates in another order (about 1e-15). Rewards that the
//! Python side computes in single precision are computed in single precision here too.

#![allow(clippy::unwrap_used)]

mod reference;

use kinitro_sim::{EpisodeOptions, Simulator};
use reference::Reference;

const TOLERANCE: f64 = 1e-9;

/// The largest difference, or the place where a difference is no number.
fn difference(ours: &[f64], theirs: &[f64], place: &str) -> f64 {
    assert_eq!(ours.len(), theirs.len());
    ours.iter().zip(theirs).enumerate().fold(0.0, |largest: f64, (i, (a, b))| {
        let difference = (a - b).abs();
        assert!(difference <= TOLERANCE, "{place}, component {i}: {a:e} here, {b:e} there, {difference:e} apart");
        largest.max(difference)
    })
}

fn hold(task: &str) {
    let simulator = Simulator::new(None).unwrap();
    let env_id = format!("metaworld/{task}").parse().unwrap();
    let (mut observations, mut rewards) = (0.0_f64, 0.0_f64);
    for (number, rollout) in Reference::read(task).rollouts.iter().enumerate() {
        let options = EpisodeOptions::default();
        let mut episode = simulator.start_with_random_vector(&env_id, &rollout.random, options).unwrap();
        let place = format!("{task}, rollout {number}, reset");
        observations = observations.max(difference(&episode.native_observation(true), &rollout.start, &place));
        for (index, step) in rollout.steps.iter().enumerate() {
            let place = format!("{task}, rollout {number}, step {index}");
            let outcome = episode.step_native(step.action).unwrap();
            observations = observations.max(difference(&episode.native_observation(true), &step.observation, &place));
            rewards = rewards.max(difference(&[outcome.reward], &[step.reward], &format!("{place}, reward")));
            assert_eq!(outcome.success, step.success, "{place}: success");
        }
        let hidden = episode.native_observation(false);
        assert_eq!(hidden[..36], episode.native_observation(true)[..36]);
        assert_eq!(hidden[36..], [0.0; 3]);
    }
    println!("{task}: observations within {observations:e}, rewards within {rewards:e}");
}

#[test]
fn reach_is_that_of_meta_world() {
    hold("reach-v3");
}

#[test]
fn push_is_that_of_meta_world() {
    hold("push-v3");
}

#[test]
fn drawer_close_is_that_of_meta_world() {
    hold("drawer-close-v3");
}

#[test]
fn every_environment_has_recorded_rollouts_in_which_something_succeeds() {
    for info in Simulator::new(None).unwrap().environments() {
        let reference = Reference::read(info.env_id.name());
        assert!(reference.rollouts.len() >= 3, "{}", info.env_id);
        assert!(reference.rollouts.iter().all(|rollout| rollout.steps.len() >= 100), "{}", info.env_id);
        assert!(reference.rollouts.iter().flat_map(|r| &r.steps).any(|step| step.success), "{}", info.env_id);
    }
}
