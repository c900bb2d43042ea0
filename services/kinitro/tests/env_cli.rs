//! `kinitro env`: what it lists, plays, films, checks and refuses.
#![allow(clippy::unwrap_used)]

mod support;

use std::{
    fs,
    path::Path,
    process::{Output, Stdio},
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;
use support::up::kinitro;

fn env(folder: &Path, arguments: &[&str]) -> Output {
    kinitro(folder, &[&["env"], arguments].concat()).output().unwrap()
}

fn document(output: &Output) -> Value {
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn every_environment_is_listed() {
    let list = document(&env(Path::new("/"), &["list", "--json"]));
    let list = list.as_array().unwrap();
    assert_eq!(list.len(), kinitro_domain::CATALOGUE.len());
    assert_eq!(list[0]["id"], "metaworld/reach-v3");
    assert_eq!(list[0]["title"], "Reach");
    assert_eq!(list[0]["family"], "metaworld");
    assert_eq!(list[0]["max_timesteps"], 500);
    let table = String::from_utf8(env(Path::new("/"), &["list"]).stdout).unwrap();
    assert!(list.iter().all(|entry| table.contains(entry["id"].as_str().unwrap())), "{table}");
}

#[test]
fn the_oracle_solves_what_idleness_does_not_and_a_seed_says_it_all() {
    let play = |policy: &str, more: &[&str]| {
        let arguments = [&["try", "drawer-close-v3", "--policy", policy, "--seed", "7", "--json"], more].concat();
        document(&env(Path::new("/"), &arguments))
    };
    let solved = play("oracle", &["--episodes", "2"]);
    assert_eq!(solved["env_id"], "metaworld/drawer-close-v3");
    let episodes = solved["episodes"].as_array().unwrap();
    assert_eq!(episodes.iter().map(|episode| episode["seed"].as_u64().unwrap()).collect::<Vec<_>>(), [7, 8]);
    assert!(episodes.iter().all(|episode| episode["success"] == true), "{solved}");
    assert_eq!(play("oracle", &["--episodes", "2"]), solved);

    let varied = play("oracle", &["--randomisation", "standard"]);
    assert_ne!(varied["episodes"][0]["trajectory_hash"], episodes[0]["trajectory_hash"]);

    let idle = play("idle", &[]);
    assert_eq!(idle["episodes"][0]["success"], false);
    assert_eq!(idle["episodes"][0]["steps"], 500);
    assert_ne!(play("random", &[])["episodes"][0]["trajectory_hash"], idle["episodes"][0]["trajectory_hash"]);
}

#[test]
fn without_json_each_episode_is_a_line() {
    let output = env(Path::new("/"), &["try", "metaworld/drawer-close-v3", "--episodes", "2"]);
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(text.lines().count(), 3, "{text}");
    assert_eq!(text.matches("success").count(), 2, "{text}");
}

#[test]
fn a_film_is_a_gif_or_numbered_pictures_of_both_cameras() {
    let folder = tempfile::tempdir().unwrap();
    let film = |target: &str| {
        let output = env(folder.path(), &["try", "drawer-close-v3", "--video", target]);
        assert!(output.status.success(), "{output:?}");
    };
    film("films/drawer.gif");
    let gif = fs::File::open(folder.path().join("films/drawer.gif")).unwrap();
    let mut decoder = gif::DecodeOptions::new().read_info(gif).unwrap();
    assert_eq!((decoder.width(), decoder.height()), (2 * 84 * 3, 84 * 3));
    let mut frames = 0;
    while let Some(frame) = decoder.read_next_frame().unwrap() {
        assert!(frame.buffer.iter().any(|pixel| *pixel != frame.buffer[0]), "picture {frames} is one colour");
        frames += 1;
    }
    assert!(frames > 5, "{frames}");

    film("films/drawer.png");
    for number in 1..=frames {
        let picture = fs::File::open(folder.path().join(format!("films/drawer-{number:05}.png"))).unwrap();
        let reader = png::Decoder::new(std::io::BufReader::new(picture)).read_info().unwrap();
        assert_eq!((reader.info().width, reader.info().height), (2 * 84 * 3, 84 * 3));
    }
    assert!(!folder.path().join(format!("films/drawer-{:05}.png", frames + 1)).exists());
}

#[test]
fn a_check_holds_the_oracle_against_the_python_expert() {
    let output = env(Path::new("/"), &["check", "drawer-close-v3", "metaworld/reach-v3", "--seeds", "3", "--json"]);
    let lines = document(&output);
    assert_eq!(lines.as_array().unwrap().len(), 2);
    for line in lines.as_array().unwrap() {
        assert_eq!((&line["solved"], &line["python_solved"]), (&3.into(), &3.into()), "{line}");
        assert_eq!(line["difference"], 0.0);
        assert!(line["mean_steps"].as_f64().unwrap() > 1.0);
    }
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("metaworld/reach-v3: 3 of 3"), "{stderr}");
}

#[test]
fn bad_usage_ends_with_2_and_names_what_is_near() {
    for (arguments, said) in [
        (&["try", "metaworld/pusch-v3"][..], "metaworld/push-v3"),
        (&["check", "drawer-clsoe-v3"], "metaworld/drawer-close-v3"),
        (&["try", "juggle"], "kinitro env list"),
        (&["try", "push-v3", "--policy", "genius"], "oracle"),
        (&["try", "push-v3", "--video", "film.mp4"], ".gif"),
        (&["try", "push-v3", "--images", "fast"], "--video"),
        (&["try", "push-v3", "--episodes", "0"], "--episodes"),
        (&["check", "--seeds", "51"], "--seeds"),
    ] {
        let output = env(Path::new("/"), arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {output:?}");
        assert!(output.stdout.is_empty());
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(stderr.contains(said), "{arguments:?}: {stderr}");
    }
}

#[test]
fn a_film_that_cannot_be_written_is_refused_before_anything_is_played() {
    let output = env(Path::new("/"), &["try", "push-v3", "--video", "/proc/film.gif"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stderr).unwrap().contains("/proc/film.gif"));
}

#[test]
fn an_interrupt_ends_it_between_two_steps() {
    let mut command = kinitro(Path::new("/"), &["env", "try", "push-v3", "--policy", "idle", "--episodes", "1000000"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // It plays once the first line is there.
    let mut first = [0; 1];
    std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut first).unwrap();
    #[expect(clippy::disallowed_methods, reason = "this test has no runtime to hold up")]
    std::thread::sleep(Duration::from_millis(300));
    kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGINT).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(String::from_utf8(output.stderr).unwrap().contains("interrupted"));
}
