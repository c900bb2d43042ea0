//! Every scripted expert against Meta-World's: on each observation of the recorded rollouts, those included that noise led to, the
//! same answer to 1e-9; and on a few of our seeds, the same success in as many steps. `kinitro env check` plays 50 seeds.

#![allow(clippy::unwrap_used)]

mod reference;

use std::path::Path;

use kinitro_sim::{Action, EpisodeOptions, Oracle, Simulator};
use reference::{OBSERVATION, Reference};

const TOLERANCE: f64 = 1e-9;

#[test]
fn every_expert_answers_as_meta_worlds_does() {
    for info in Simulator::new(None).unwrap().environments() {
        let oracle = Oracle::for_env(&info.env_id).unwrap_or_else(|| panic!("{} has no expert", info.env_id));
        hold(info.env_id.name(), &oracle);
    }
}

fn hold(task: &str, oracle: &Oracle) {
    for (number, rollout) in Reference::read(task).rollouts.iter().enumerate() {
        let mut seen = &rollout.start;
        for (index, step) in rollout.steps.iter().enumerate() {
            let observation: &[f64; OBSERVATION] = seen.as_slice().try_into().unwrap();
            let (ours, theirs) = (oracle.native_action(observation), step.expert);
            let agree = ours.iter().zip(theirs).all(|(a, b)| (a - b).abs() <= TOLERANCE);
            assert!(agree, "{task}, rollout {number}, step {index}: {ours:?} here, {theirs:?} there");
            seen = &step.observation;
        }
    }
}

/// The scene is drawn, the actions are clipped and their effort is mapped as for any policy, so this holds that way too.
#[test]
fn an_expert_ends_when_the_python_expert_does() {
    const SEEDS: usize = 2;
    let recorded = include_str!("../record/experts_steps.txt");
    let simulator = Simulator::new(None).unwrap();
    for info in simulator.environments() {
        let mut lines = recorded.lines().filter_map(|line| line.split_once(' '));
        let (_, steps) = lines.find(|(task, _)| *task == info.env_id.name()).unwrap();
        let oracle = Oracle::for_env(&info.env_id).unwrap();
        for (seed, theirs) in (0_u64..).zip(steps.split(' ').take(SEEDS)) {
            let mut episode = simulator.start(&info.env_id, seed, EpisodeOptions::default()).unwrap();
            while !episode.finished() {
                episode.step(&oracle.act(&episode)).unwrap();
            }
            let ours = if episode.success() { episode.steps().to_string() } else { "-".to_owned() };
            assert_eq!(ours, theirs, "{}, seed {seed}", info.env_id);
        }
    }
}

#[test]
fn what_plays_for_a_policy_knows_no_expert() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut folders = vec![root.join("services/execution/src"), root.join("libs/policy/src")];
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            let privileged = ["Oracle", "native_observation", "start_with_random_vector"];
            assert!(!privileged.iter().any(|word| text.contains(word)), "{}", path.display());
            files += 1;
        }
    }
    assert!(files > 10, "{files}");
}

#[test]
fn an_expert_acts_by_the_actions_of_a_policy() {
    let simulator = Simulator::new(None).unwrap();
    let env_id = "metaworld/drawer-close-v3".parse().unwrap();
    let oracle = Oracle::for_env(&env_id).unwrap();
    let mut episode = simulator.start(&env_id, 0, EpisodeOptions::default()).unwrap();
    while !episode.finished() {
        let action = oracle.act(&episode);
        assert_eq!(Action::new(action.ee_twist(), action.gripper()).unwrap(), action);
        assert_eq!(action.ee_twist()[3..], [0.0; 3]);
        episode.step(&action).unwrap();
    }
    assert!(episode.success());
}

#[test]
fn what_is_no_environment_of_ours_has_no_expert() {
    for env_id in ["metaworld/juggle-v3", "genesis/push-v3"] {
        assert!(Oracle::for_env(&env_id.parse().unwrap()).is_none(), "{env_id}");
    }
}
