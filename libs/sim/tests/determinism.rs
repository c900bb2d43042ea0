//! The seed alone decides an episode, its randomised physics included: not the thread, the order, the neighbours or the process.

#![allow(clippy::unwrap_used)]

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
};

use kinitro_domain::EnvId;
use kinitro_sim::{Action, Episode, EpisodeOptions, Randomisation, Simulator};

const STEPS: u32 = 60;

/// A fixed, lively sequence of actions that differs by seed: down, about, opening and closing.
fn action(seed: u64, step: u32) -> Action {
    let phase = f64::from(step) * 0.37 + seed as f64;
    Action::new([phase.sin(), 0.4 + 0.6 * (0.7 * phase).cos(), -0.5, 0.0, 0.0, 0.0], 0.5 + 0.5 * phase.cos()).unwrap()
}

fn start(simulator: &Simulator, env_id: &EnvId, seed: u64) -> Episode {
    let options = EpisodeOptions { max_timesteps: STEPS, images: None, randomisation: Randomisation::STANDARD };
    simulator.start(env_id, seed, options).unwrap()
}

fn advance(episode: &mut Episode, seed: u64) {
    if !episode.finished() {
        episode.step(&action(seed, episode.steps())).unwrap();
    }
}

fn play(simulator: &Simulator, env_id: &EnvId, seed: u64) -> String {
    let mut episode = start(simulator, env_id, seed);
    while !episode.finished() {
        advance(&mut episode, seed);
    }
    episode.trajectory_hash()
}

fn cases(simulator: &Simulator, seeds: u64) -> Vec<(EnvId, u64)> {
    let environments = simulator.environments();
    environments.iter().flat_map(|info| (0..seeds).map(|seed| (info.env_id.clone(), seed))).collect()
}

#[test]
fn the_same_seed_gives_the_same_hash_and_another_seed_another() {
    let simulator = Simulator::new(None).unwrap();
    for info in simulator.environments() {
        let play = |seed| play(&simulator, &info.env_id, seed);
        let hashes = [0, 1, 2].map(play);
        assert_eq!(hashes, [0, 1, 2].map(play), "{}", info.env_id);
        assert_eq!(hashes.iter().collect::<BTreeSet<_>>().len(), hashes.len(), "{}", info.env_id);
    }
}

#[test]
fn randomised_physics_is_another_physics_for_every_seed() {
    let simulator = Simulator::new(None).unwrap();
    let env_id: EnvId = "metaworld/push-v3".parse().unwrap();
    // Friction acts on the cylinder under the hand; the scene stays as the seed has it.
    let push = |randomisation| {
        let options = EpisodeOptions { max_timesteps: 100, images: None, randomisation };
        let mut episode = simulator.start(&env_id, 5, options).unwrap();
        let scene = episode.native_observation(true);
        let (down, across) =
            (Action::new([0.0, 0.0, -1.0, 0.0, 0.0, 0.0], 1.0), Action::new([0.4, 1.0, -0.2, 0.0, 0.0, 0.0], 1.0));
        for step in 0..60 {
            episode.step(if step < 10 { down.as_ref() } else { across.as_ref() }.unwrap()).unwrap();
        }
        (scene, episode.trajectory_hash())
    };
    let (scene, plain) = push(Randomisation::OFF);
    let (same_scene, standard) = push(Randomisation::STANDARD);
    assert_eq!(scene, same_scene);
    assert_ne!(plain, standard);
    assert_eq!(push(Randomisation::STANDARD).1, standard);
    let damping_alone = Randomisation { friction: [1.0; 2], ..Randomisation::STANDARD };
    assert!(![&plain, &standard].contains(&&push(damping_alone).1));
}

#[test]
fn another_thread_and_another_simulator_give_the_same_hash() {
    let simulator = Simulator::new(None).unwrap();
    let cases = cases(&simulator, 2);
    let alone: BTreeMap<_, _> = cases.iter().map(|case| (case, play(&simulator, &case.0, case.1))).collect();
    let fresh = Simulator::new(None).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (cases, alone, simulator) = (&cases, &alone, if thread % 2 == 0 { &simulator } else { &fresh });
            scope.spawn(move || {
                for i in 0..cases.len() {
                    let case = &cases[(i * 5 + thread * 3) % cases.len()];
                    assert_eq!(play(simulator, &case.0, case.1), alone[case], "{case:?} on thread {thread}");
                }
            });
        }
    });
}

#[test]
fn two_hundred_interleaved_episodes_of_all_environments_play_as_if_alone_and_leave_the_models_bit_identical() {
    let simulator = Simulator::new(None).unwrap();
    let models = || -> Vec<_> {
        let environments = simulator.environments();
        environments.iter().map(|info| simulator.model_fingerprint(&info.env_id).unwrap()).collect()
    };
    let untouched = models();
    let each = 200_usize.div_ceil(untouched.len());
    let cases = cases(&simulator, each as u64);
    let mut running: Vec<_> = cases.iter().map(|(env_id, seed)| start(&simulator, env_id, *seed)).collect();
    for _ in 0..STEPS {
        for (episode, (_, seed)) in running.iter_mut().zip(&cases) {
            advance(episode, *seed);
        }
    }
    assert_eq!(models(), untouched);
    for (episode, (env_id, seed)) in running.iter().zip(&cases) {
        assert_eq!(episode.trajectory_hash(), play(&simulator, env_id, *seed), "{env_id} {seed}");
    }
    assert_eq!(models(), untouched);
}

#[test]
fn an_episode_moves_between_threads_in_the_middle() {
    let simulator = Simulator::new(None).unwrap();
    for (env_id, seed) in cases(&simulator, 1) {
        let mut episode = start(&simulator, &env_id, seed);
        while !episode.finished() {
            episode = std::thread::spawn(move || {
                advance(&mut episode, seed);
                episode
            })
            .join()
            .unwrap();
        }
        assert_eq!(episode.trajectory_hash(), play(&simulator, &env_id, seed), "{env_id}");
    }
}

#[test]
fn two_hundred_episodes_of_one_environment_leave_no_trace_for_the_next() {
    let simulator = Simulator::new(None).unwrap();
    let env_id: EnvId = "metaworld/push-v3".parse().unwrap();
    let (model, first) = (simulator.model_fingerprint(&env_id).unwrap(), play(&simulator, &env_id, 0));
    for seed in 0..200 {
        let mut episode = start(&simulator, &env_id, seed);
        (0..5).for_each(|_| advance(&mut episode, seed));
    }
    assert_eq!(simulator.model_fingerprint(&env_id).unwrap(), model);
    assert_eq!(play(&simulator, &env_id, 0), first);
}

/// Runs itself in a child process, which writes its hashes where the variable says.
#[test]
fn another_process_plays_the_same_episodes() {
    const OUT: &str = "KINITRO_SIM_TEST_OUT";
    let simulator = Simulator::new(None).unwrap();
    let hashes: Vec<_> = cases(&simulator, 2).iter().map(|(env_id, seed)| play(&simulator, env_id, *seed)).collect();
    if let Some(path) = std::env::var_os(OUT) {
        std::fs::write(path, hashes.join("\n")).unwrap();
        return;
    }
    let out = std::env::temp_dir().join(format!("kinitro-sim-hashes-{}", std::process::id()));
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["another_process_plays_the_same_episodes", "--exact"])
        .env(OUT, &out)
        .output()
        .unwrap();
    assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stdout));
    let theirs = std::fs::read_to_string(&out).unwrap();
    std::fs::remove_file(&out).unwrap();
    assert_eq!(theirs.lines().collect::<Vec<_>>(), hashes);
}
