//! Episodes as execution plays them: through checked actions, seeing only what a policy sees.

#![allow(clippy::unwrap_used)]

use kinitro_domain::EnvId;
use kinitro_sim::{Action, Episode, EpisodeOptions, SimError, Simulator};

fn env_id(name: &str) -> EnvId {
    format!("metaworld/{name}").parse().unwrap()
}

/// One step towards a point, by the hand's position alone.
fn towards(episode: &mut Episode, goal: [f64; 3], gripper: f64) -> (f64, bool) {
    let hand = episode.observe().unwrap().ee_pos;
    let [x, y, z] = std::array::from_fn(|axis| 10.0 * (goal[axis] - hand[axis]));
    let outcome = episode.step(&Action::new([x, y, z, 0.0, 0.0, 0.0], gripper).unwrap()).unwrap();
    (outcome.reward, outcome.success)
}

#[test]
fn a_scripted_push_closes_a_drawer() {
    let simulator = Simulator::new(None).unwrap();
    let options = EpisodeOptions::default();
    let mut episode =
        simulator.start_with_random_vector(&env_id("drawer-close-v3"), &[0.05, 0.9, 0.0], options).unwrap();
    // Back, down in front of the handle, then forward until it is shut.
    for goal in [[0.05, 0.45, 0.25], [0.05, 0.45, 0.12]] {
        for _ in 0..40 {
            assert!(!towards(&mut episode, goal, 1.0).1, "nothing has pushed yet");
        }
    }
    while !episode.finished() {
        towards(&mut episode, [0.05, 0.8, 0.12], 1.0);
    }
    assert!(episode.success(), "reward {} after {} steps", episode.total_reward(), episode.steps());
    assert!(episode.steps() < 200, "{} steps", episode.steps());
}

#[test]
fn an_idle_policy_closes_no_drawer() {
    let simulator = Simulator::new(None).unwrap();
    let options = EpisodeOptions { max_timesteps: 50, ..EpisodeOptions::default() };
    let mut episode = simulator.start(&env_id("drawer-close-v3"), 1, options).unwrap();
    let idle = Action::new([0.0; 6], 0.0).unwrap();
    while !episode.finished() {
        episode.step(&idle).unwrap();
    }
    assert_eq!((episode.success(), episode.steps()), (false, 50));
}

#[test]
fn moving_towards_the_goal_raises_the_reach_reward_until_it_is_reached() {
    let simulator = Simulator::new(None).unwrap();
    let goal = [-0.05, 0.85, 0.15];
    let random = [0.0, 0.65, 0.02, goal[0], goal[1], goal[2]];
    let mut episode =
        simulator.start_with_random_vector(&env_id("reach-v3"), &random, EpisodeOptions::default()).unwrap();
    // The goal is for the fingertips, which are some centimetres below the hand.
    let aim = [goal[0], goal[1], goal[2] + 0.045];
    let mut rewards = Vec::new();
    while !episode.finished() {
        rewards.push(towards(&mut episode, aim, 0.0).0);
    }
    assert!(episode.success(), "{rewards:?}");
    assert_eq!(rewards.last(), Some(&10.0));
    let rising = rewards.windows(2).filter(|pair| pair[1] > pair[0]).count();
    assert!(rising >= rewards.len() - 4, "{rewards:?}");
}

#[test]
fn moving_away_from_the_goal_lowers_the_reach_reward() {
    let simulator = Simulator::new(None).unwrap();
    let random = [0.0, 0.65, 0.02, 0.0, 0.85, 0.2];
    let mut episode =
        simulator.start_with_random_vector(&env_id("reach-v3"), &random, EpisodeOptions::default()).unwrap();
    let rewards: Vec<_> = (0..30).map(|_| towards(&mut episode, [0.0, 0.42, 0.2], 0.0).0).collect();
    assert!(rewards[29] < rewards[5], "{rewards:?}");
}

#[test]
fn a_gripper_of_one_closes_and_of_zero_opens() {
    let simulator = Simulator::new(None).unwrap();
    let mut episode = simulator.start(&env_id("reach-v3"), 3, EpisodeOptions::default()).unwrap();
    let mut after = |gripper| {
        let action = Action::new([0.0; 6], gripper).unwrap();
        for _ in 0..60 {
            episode.step(&action).unwrap();
        }
        episode.observe().unwrap().gripper
    };
    let (closed, open) = (after(1.0), after(0.0));
    assert!(closed > 0.95, "closed: {closed}");
    assert!(open < 0.05, "open: {open}");
}

#[test]
fn the_translation_moves_the_hand_a_centimetre_a_step() {
    let simulator = Simulator::new(None).unwrap();
    for (axis, direction) in [1.0, -1.0, 1.0].into_iter().enumerate() {
        let mut episode = simulator.start(&env_id("reach-v3"), 5, EpisodeOptions::default()).unwrap();
        let mut twist = [0.0; 6];
        twist[axis] = direction;
        let before = episode.observe().unwrap();
        // Ten steps of motion, then forty for the hand to come to rest where it was sent.
        for (steps, share) in [(10, 1.0), (40, 0.0)] {
            let action = Action::new(twist.map(|value| value * share), 0.0).unwrap();
            for _ in 0..steps {
                episode.step(&action).unwrap();
            }
        }
        let after = episode.observe().unwrap();
        for other in 0..3 {
            let expected = if other == axis { 0.1 * direction } else { 0.0 };
            let moved = after.ee_pos[other] - before.ee_pos[other];
            assert!((moved - expected).abs() < 0.01, "sent along {axis}, moved {moved} along {other}");
        }
    }
}

#[test]
fn the_rotation_has_no_effect() {
    let simulator = Simulator::new(None).unwrap();
    let hash = |rotation: f64| {
        let options = EpisodeOptions { max_timesteps: 30, ..EpisodeOptions::default() };
        let mut episode = simulator.start(&env_id("push-v3"), 5, options).unwrap();
        let action = Action::new([0.5, 0.2, -1.0, rotation, -rotation, rotation], 0.7).unwrap();
        while !episode.finished() {
            episode.step(&action).unwrap();
        }
        episode.trajectory_hash()
    };
    assert_eq!(hash(0.0), hash(1.0));
}

#[test]
fn an_episode_ends_at_its_limit_and_takes_no_step_after_that() {
    let simulator = Simulator::new(None).unwrap();
    let idle = Action::new([0.0; 6], 0.0).unwrap();
    for (asked, limit) in [(0, 1), (7, 7), (u32::MAX, 500)] {
        let options = EpisodeOptions { max_timesteps: asked, ..EpisodeOptions::default() };
        let mut episode = simulator.start(&env_id("push-v3"), 1, options).unwrap();
        assert_eq!(episode.max_timesteps(), limit);
        let finished = (0..limit).map(|_| episode.step(&idle).unwrap().finished).collect::<Vec<_>>();
        assert_eq!(finished.iter().position(|finished| *finished), Some(limit as usize - 1));
        let hash = episode.trajectory_hash();
        assert!(matches!(episode.step(&idle), Err(SimError::Finished)));
        assert_eq!((episode.steps(), episode.trajectory_hash()), (limit, hash));
    }
}

#[test]
fn scenes_of_a_seed_are_in_the_tasks_range_with_the_goal_away_from_the_object() {
    let simulator = Simulator::new(None).unwrap();
    for seed in 0..100 {
        let episode = simulator.start(&env_id("push-v3"), seed, EpisodeOptions::default()).unwrap();
        let seen = episode.native_observation(true);
        let (object, goal) = (&seen[4..7], &seen[36..39]);
        assert!(object[0].abs() <= 0.1 && (0.6..=0.7).contains(&object[1]), "{object:?}");
        assert!(goal[0].abs() <= 0.1 && (0.8..=0.9).contains(&goal[1]), "{goal:?}");
        assert!(f64::hypot(object[0] - goal[0], object[1] - goal[1]) >= 0.15, "{object:?} {goal:?}");
    }
}

#[test]
fn an_unknown_environment_is_refused_with_the_known_ones() {
    let simulator = Simulator::new(None).unwrap();
    let unknown = "metaworld/juggle-v3".parse().unwrap();
    let refused = simulator.start(&unknown, 1, EpisodeOptions::default()).err().unwrap().to_string();
    assert!(refused.contains("metaworld/juggle-v3") && refused.contains("metaworld/push-v3"), "{refused}");
}

#[test]
fn a_random_vector_of_the_wrong_shape_is_refused() {
    let simulator = Simulator::new(None).unwrap();
    for random in [&[0.0, 0.9][..], &[0.0, f64::NAN, 0.0]] {
        let refused = simulator.start_with_random_vector(&env_id("drawer-close-v3"), random, EpisodeOptions::default());
        assert!(matches!(refused.err(), Some(SimError::RandomVector { expected: 3, .. })));
    }
}

#[test]
fn the_simulator_plays_what_the_catalogue_lists() {
    let simulator = Simulator::new(None).unwrap();
    let ours: Vec<_> = simulator.environments().into_iter().map(|info| info.env_id).collect();
    assert_eq!(ours, kinitro_domain::family_environments(&["metaworld".to_owned()]));
    assert!(simulator.environments().iter().all(|info| info.family == "metaworld" && info.max_timesteps == 500));
}
