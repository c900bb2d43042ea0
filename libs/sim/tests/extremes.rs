//! A policy decides every action of an episode. An episode whose physics became unstable under them is a failure, which an honest policy
//! should never meet. This plays the worst that a clipped action allows, against the objects of the scene, and finds no way there.
//!
//! `KINITRO_TEST_SCENES` plays so many scenes for each attack instead of one.

#![allow(clippy::unwrap_used)]

use std::sync::atomic::{AtomicUsize, Ordering};

use kinitro_domain::EnvId;
use kinitro_sim::{Action, Episode, EpisodeOptions, Randomisation, Simulator};

/// How to hurt: from the step, a random bit source and the vector from the hand to the object.
type Attack = fn(u32, &mut u64, [f64; 3]) -> ([f64; 3], f64);

const ATTACKS: &[(&str, Attack)] = &[
    ("every axis reversed at each step", |step, _, _| ([sign(step % 2 == 0); 3], f64::from(step % 2))),
    ("reversed every eight steps", |step, _, _| ([sign(step / 8 % 2 == 0); 3], f64::from(step / 8 % 2))),
    ("coins", |_, coins, _| {
        ([sign(toss(coins)), sign(toss(coins)), sign(toss(coins))], f64::from(u8::from(toss(coins))))
    }),
    ("into the table, shaking", |_, coins, _| {
        ([sign(toss(coins)), sign(toss(coins)), -1.0], f64::from(u8::from(toss(coins))))
    }),
    ("at the object, snapping", |step, _, to| (to.map(f64::signum), f64::from(step % 2))),
    ("grips the object, then beats it against the table", |step, coins, to| match step {
        0..40 => ([to[0], to[1], to[2] + 0.1].map(|v| (20.0 * v).clamp(-1.0, 1.0)), 0.0),
        40..60 => (to.map(|v| (20.0 * v).clamp(-1.0, 1.0)), 0.0),
        60..80 => ([0.0; 3], 1.0),
        _ => ([sign(toss(coins)), sign(toss(coins)), sign(step % 4 < 2)], 1.0),
    }),
    ("presses the object down and into the wall", |step, _, to| {
        ([to[0].signum(), if step < 60 { to[1].signum() } else { 1.0 }, if step < 30 { 0.0 } else { -1.0 }], 1.0)
    }),
];

fn sign(positive: bool) -> f64 {
    if positive { 1.0 } else { -1.0 }
}

fn toss(coins: &mut u64) -> bool {
    *coins ^= *coins << 13;
    *coins ^= *coins >> 7;
    *coins ^= *coins << 17;
    *coins & 1 == 0
}

/// Plays an attack to the end of the episode; answers the farthest that the hand or the object got from the origin, in metres.
fn play(mut episode: Episode, seed: u64, attack: Attack) -> f64 {
    let (mut coins, mut farthest) = (seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1, 0.0_f64);
    while !episode.finished() {
        let seen = episode.native_observation(false);
        let to_object = [seen[4] - seen[0], seen[5] - seen[1], seen[6] - seen[2]];
        let ([x, y, z], gripper) = attack(episode.steps(), &mut coins, to_object);
        // Larger than allowed: clipping is a part of what is tested.
        let action = Action::new([1e6 * x, 1e6 * y, 1e6 * z, 1e6, -1e6, 1e6], 1e6 * gripper - 0.5).unwrap();
        let outcome = episode.step(&action).unwrap_or_else(|error| panic!("{error}"));
        assert!(outcome.reward.is_finite());
        farthest = seen[..3].iter().chain(&seen[4..7]).fold(farthest, |most, value| most.max(value.abs()));
    }
    farthest
}

#[test]
fn no_clipped_action_makes_the_physics_unstable() {
    let simulator = Simulator::new(None).unwrap();
    let scenes: u64 = std::env::var("KINITRO_TEST_SCENES").map_or(1, |count| count.parse().unwrap());
    let environments: Vec<EnvId> = simulator.environments().into_iter().map(|info| info.env_id).collect();
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, |cores| cores.get()) {
            scope.spawn(|| {
                while let Some(env_id) = environments.get(next.fetch_add(1, Ordering::Relaxed)) {
                    ATTACKS.iter().for_each(|attack| withstands(&simulator, env_id, scenes, attack));
                }
            });
        }
    });
}

/// Plays one attack on some scenes of one environment.
fn withstands(simulator: &Simulator, env_id: &EnvId, scenes: u64, (name, attack): &(&str, Attack)) {
    let mut farthest = 0.0_f64;
    for seed in 0..scenes {
        let options = EpisodeOptions { randomisation: Randomisation::STANDARD, ..EpisodeOptions::default() };
        farthest = farthest.max(play(simulator.start(env_id, seed, options).unwrap(), seed, *attack));
    }
    println!("{env_id}: {name}: farthest {farthest:.3} m");
    // The arena is two metres wide: what flies off stays a thing of this world.
    assert!(farthest < 10.0, "{env_id}, {name}: {farthest} m");
}
