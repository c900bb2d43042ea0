//! Camera images: not merely something, but the scene.

#![allow(clippy::unwrap_used)]

mod reference;

use std::process::Command;

use kinitro_domain::EnvId;
use kinitro_sim::{Action, Episode, EpisodeOptions, Image, Simulator};
use reference::{BLOCKS, Reference};

const WITH_IMAGES: EpisodeOptions = EpisodeOptions { max_timesteps: 500, images: true };

fn images(episode: &mut Episode) -> Vec<(&'static str, Image)> {
    episode.observe().unwrap().images.unwrap()
}

fn start(simulator: &Simulator, name: &str, seed: u64) -> Episode {
    let env_id: EnvId = format!("metaworld/{name}").parse().unwrap();
    simulator.start(&env_id, seed, WITH_IMAGES).unwrap()
}

/// The means of 4×4 pixels.
fn blocks(image: &Image) -> Vec<f64> {
    let (side, size) = (image.width as usize, image.width as usize / BLOCKS);
    let mut means = vec![0.0; BLOCKS * BLOCKS * 3];
    for (i, byte) in image.rgb.iter().enumerate() {
        let (row, column, colour) = (i / 3 / side, i / 3 % side, i % 3);
        means[(row / size * BLOCKS + column / size) * 3 + colour] += f64::from(*byte) / (size * size) as f64;
    }
    means
}

/// How far the blocks are from golden ones: on average, and the farthest.
fn difference(image: &Image, golden: &[u8]) -> (f64, f64) {
    let means = blocks(image);
    assert_eq!(means.len(), golden.len());
    let differences: Vec<_> = means.iter().zip(golden).map(|(a, b)| (a - f64::from(*b)).abs()).collect();
    (differences.iter().sum::<f64>() / means.len() as f64, differences.into_iter().fold(0.0, f64::max))
}

/// On the Mesa that recorded them every pixel is the same, and 0.5 apart is the rounding of the recorded means. The tolerance is for
/// other drivers' edges; a goal's marker in the wrong place is 14 to 54 apart, a drawer 38 to 66.
#[test]
fn images_are_those_of_the_python_renderer() {
    let simulator = Simulator::new(None).unwrap();
    for info in simulator.environments() {
        let reference = Reference::read(info.env_id.name());
        let mut golden = Vec::new();
        let mut ours = Vec::new();
        for picture in &reference.pictures {
            let rollout = &reference.rollouts[picture.rollout];
            let mut episode = simulator.start_with_random_vector(&info.env_id, &rollout.random, WITH_IMAGES).unwrap();
            for step in &rollout.steps[..picture.steps] {
                episode.step_native(step.action).unwrap();
            }
            golden.extend(picture.blocks.iter().cloned());
            ours.extend(images(&mut episode));
        }
        for (i, (camera, image)) in ours.iter().enumerate() {
            let apart: Vec<_> = golden.iter().map(|golden| difference(image, golden)).collect();
            let (mean, farthest) = apart[i];
            assert!(mean < 1.0 && farthest < 12.0, "{} {camera} {i}: {apart:?}", info.env_id);
            let mut others = apart.iter().enumerate().filter(|(j, _)| *j != i);
            assert!(others.all(|(_, (other, _))| *other > 2.0), "{} {camera} {i}: {apart:?}", info.env_id);
        }
    }
}

#[test]
fn the_same_state_is_drawn_the_same_whatever_was_drawn_in_between() {
    let simulator = Simulator::new(None).unwrap();
    let mut push = start(&simulator, "push-v3", 1);
    let first = images(&mut push);
    assert_eq!(first.iter().map(|(camera, _)| *camera).collect::<Vec<_>>(), ["corner", "corner2"]);
    for (_, image) in &first {
        assert_eq!((image.width, image.height, image.rgb.len()), (84, 84, 84 * 84 * 3));
    }
    let others: Vec<_> = ["drawer-close-v3", "push-v3", "reach-v3", "drawer-close-v3"]
        .into_iter()
        .enumerate()
        .map(|(i, name)| images(&mut start(&simulator, name, 2 + i as u64)))
        .collect();
    assert!(images(&mut push) == first);
    assert!(first[0].1 != first[1].1, "the cameras see different things");
    for (i, other) in others.iter().enumerate() {
        assert!(*other != first, "scene {i} is another one");
        assert!(others[..i].iter().all(|earlier| earlier != other), "scene {i} is another one");
    }
}

#[test]
fn a_moving_hand_changes_both_pictures() {
    let simulator = Simulator::new(None).unwrap();
    let mut episode = start(&simulator, "reach-v3", 4);
    let before = images(&mut episode);
    let aside = Action::new([1.0, 0.0, 0.0, 0.0, 0.0, 0.0], 0.0).unwrap();
    for _ in 0..10 {
        episode.step(&aside).unwrap();
    }
    let after = images(&mut episode);
    for ((camera, before), (_, after)) in before.iter().zip(&after) {
        let changed = before.rgb.iter().zip(&after.rgb).filter(|(a, b)| a != b).count();
        assert!(changed > 200, "{camera}: {changed} bytes changed");
    }
}

#[test]
fn episodes_on_several_threads_are_each_drawn_their_own_scene() {
    let simulator = Simulator::new(None).unwrap();
    let names = ["reach-v3", "push-v3", "drawer-close-v3"];
    let alone: Vec<_> = names.map(|name| images(&mut start(&simulator, name, 9))).into();
    std::thread::scope(|scope| {
        for (name, alone) in names.iter().zip(&alone) {
            let simulator = &simulator;
            scope.spawn(move || {
                let mut episode = start(simulator, name, 9);
                (0..5).for_each(|_| assert!(images(&mut episode) == *alone, "{name}"));
            });
        }
    });
}

#[test]
fn images_neither_come_unasked_nor_change_the_trajectory() {
    let simulator = Simulator::new(None).unwrap();
    let env_id = "metaworld/push-v3".parse().unwrap();
    let action = Action::new([0.3, 0.5, -0.8, 0.0, 0.0, 0.0], 1.0).unwrap();
    let [with, without] = [true, false].map(|images| {
        let options = EpisodeOptions { max_timesteps: 10, images };
        let mut episode = simulator.start(&env_id, 6, options).unwrap();
        while !episode.finished() {
            assert_eq!(episode.observe().unwrap().images.is_some(), images);
            episode.step(&action).unwrap();
        }
        episode.trajectory_hash()
    });
    assert_eq!(with, without);
}

/// Runs itself in a child process that finds no OpenGL driver.
#[test]
fn without_opengl_the_error_names_the_packages_and_state_only_episodes_work() {
    const CHILD: &str = "KINITRO_SIM_TEST_WITHOUT_OPENGL";
    if std::env::var_os(CHILD).is_none() {
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["without_opengl_the_error_names_the_packages_and_state_only_episodes_work", "--exact"])
            .env(CHILD, "1")
            .env("__EGL_VENDOR_LIBRARY_DIRS", "/nonexistent")
            .env_remove("__EGL_VENDOR_LIBRARY_FILENAMES")
            .output()
            .unwrap();
        assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stdout));
        return;
    }
    let simulator = Simulator::new(None).unwrap();
    let refused = start(&simulator, "reach-v3", 1).observe().unwrap_err().to_string();
    assert!(refused.contains("libegl1 libegl-mesa0 libgl1-mesa-dri"), "{refused}");
    let env_id = "metaworld/reach-v3".parse().unwrap();
    let mut episode = simulator.start(&env_id, 1, EpisodeOptions::default()).unwrap();
    episode.step(&Action::new([0.0; 6], 0.0).unwrap()).unwrap();
    assert!(episode.observe().unwrap().images.is_none());
}
