//! The simulator alone, on one thread, by processor time: a machine that others use too gives the same figures.

use std::{collections::BTreeMap, hint::black_box};

use anyhow::{Context as _, Result, ensure};
use kinitro_sim::{Action, Episode, EpisodeOptions, ImageQuality, Randomisation, Simulator};
use nix::time::{ClockId, clock_gettime};

use crate::{
    figure::{Figure, Rounds},
    python::Python,
};

const STEPS: [(&str, &str); 4] = [
    ("sim.steps.reach", "reach-v3"),
    ("sim.steps.pick-place", "pick-place-v3"),
    ("sim.steps.door-open", "door-open-v3"),
    ("sim.steps.peg-insert-side", "peg-insert-side-v3"),
];
const IMAGES: [(&str, ImageQuality, &str); 6] = [
    ("sim.image_steps.fast.reach", ImageQuality::Fast, "reach-v3"),
    ("sim.image_steps.fast.pick-place", ImageQuality::Fast, "pick-place-v3"),
    ("sim.image_steps.fast.door-open", ImageQuality::Fast, "door-open-v3"),
    ("sim.image_steps.fast.peg-insert-side", ImageQuality::Fast, "peg-insert-side-v3"),
    ("sim.image_steps.reference.reach", ImageQuality::Reference, "reach-v3"),
    ("sim.image_steps.reference.pick-place", ImageQuality::Reference, "pick-place-v3"),
];
const ROUNDS: usize = 5;
/// Steps in a round without images, and with them by quality.
const BARE_STEPS: u32 = 4500;
const FAST_STEPS: u32 = 400;
const REFERENCE_STEPS: u32 = 12;
/// Python's rounds with images are slow; three give a median.
const PYTHON_ROUNDS: &str = "3";
const UNIT: &str = "env-steps/CPU-s";

/// The names of the figures without images.
pub fn names() -> Vec<&'static str> {
    STEPS.iter().map(|(name, _)| *name).collect()
}

/// The names of the figures with images.
pub fn image_names() -> Vec<&'static str> {
    IMAGES.iter().map(|(name, ..)| *name).collect()
}

/// Ours with observation, reward, randomised physics and trajectory hash; the reference is the faster of Meta-World in Python and EnvPool in
/// C++; the limit is the bare loop of `mj_step` under the same actions.
pub async fn measure(wanted: Vec<&'static str>) -> Result<Vec<Figure>> {
    let python = Python::ready().await?;
    let chosen: Vec<_> = STEPS.into_iter().filter(|(name, _)| wanted.contains(name)).collect();
    let simulator = Simulator::new(None)?;
    let (mut ours, mut bare) = (vec![Rounds::default(); chosen.len()], vec![Rounds::default(); chosen.len()]);
    for round in 0..ROUNDS {
        eprintln!("sim.steps: round {} of {ROUNDS}", round + 1);
        for (index, (_, task)) in chosen.iter().enumerate() {
            ours[index].push(steps_per_second(&simulator, task, |episode, action| {
                episode.step(action)?;
                black_box(episode.observe()?);
                Ok(())
            })?);
            bare[index].push(steps_per_second(&simulator, task, |episode, action| {
                episode.step_bare(action);
                Ok(())
            })?);
        }
    }
    let mut arguments = vec!["metaworld", "5"];
    arguments.extend(chosen.iter().map(|(_, task)| *task));
    eprintln!("sim.steps: Meta-World in Python");
    let metaworld: BTreeMap<String, Vec<f64>> = python.answer("steps.py", &arguments).await?;
    arguments[0] = "envpool";
    eprintln!("sim.steps: EnvPool");
    let envpool: BTreeMap<String, Vec<f64>> = python.answer("steps.py", &arguments).await?;
    chosen
        .into_iter()
        .enumerate()
        .map(|(index, (name, task))| {
            let (metaworld, envpool) = (rounds(&metaworld, task)?, rounds(&envpool, task)?);
            let note = format!(
                "{}; Python {:.0} ({}), EnvPool {:.0} ({}); one thread's processor time, starts of episodes not counted",
                ours[index].spread(0),
                metaworld.median(),
                metaworld.spread(0),
                envpool.median(),
                envpool.spread(0)
            );
            Ok(Figure {
                name,
                unit: UNIT,
                ours: ours[index].median(),
                reference: Some(metaworld.median().max(envpool.median())),
                limit: Some(bare[index].median()),
                note: Some(note),
            })
        })
        .collect()
}

fn rounds(all: &BTreeMap<String, Vec<f64>>, task: &str) -> Result<Rounds> {
    let mut rounds = Rounds::default();
    all.get(task).with_context(|| format!("no figures of {task}"))?.iter().for_each(|rate| rounds.push(*rate));
    Ok(rounds)
}

/// Both cameras at each step, against Python's renderer at its default quality (`reference`) or without shadows, multisampling and
/// reflections (`fast`), on the same OpenGL. The limit is the same steps without images.
pub async fn measure_images(wanted: Vec<&'static str>) -> Result<Vec<Figure>> {
    let python = Python::ready().await?;
    let simulator = Simulator::new(None)?;
    let mut figures = Vec::new();
    for (name, quality, task) in IMAGES.into_iter().filter(|(name, ..)| wanted.contains(name)) {
        eprintln!("{name}");
        let (steps, theirs, their_steps) = match quality {
            ImageQuality::Fast => (FAST_STEPS, "reduced", "40"),
            ImageQuality::Reference => (REFERENCE_STEPS, "default", "6"),
        };
        let mut ours = Rounds::default();
        for _ in 0..ROUNDS {
            ours.push(image_steps_per_second(&simulator, task, quality, steps)?);
        }
        let mut reference = Rounds::default();
        let rates: Vec<f64> = python.answer("images.py", &[theirs, PYTHON_ROUNDS, their_steps, task]).await?;
        rates.into_iter().for_each(|rate| reference.push(rate));
        let bare = steps_per_second(&simulator, task, |episode, action| Ok(episode.step(action).map(drop)?))?;
        let note = format!(
            "corner and corner2, 84×84, all threads' processor time; {}; Python with {theirs} quality: {}",
            ours.spread(1),
            reference.spread(1)
        );
        figures.push(Figure {
            name,
            unit: UNIT,
            ours: ours.median(),
            reference: Some(reference.median()),
            limit: Some(bare),
            note: Some(note),
        });
    }
    Ok(figures)
}

fn start(simulator: &Simulator, task: &str, seed: u64, images: Option<ImageQuality>) -> Result<Episode> {
    let options = EpisodeOptions { images, randomisation: Randomisation::STANDARD, ..EpisodeOptions::default() };
    Ok(simulator.start(&format!("metaworld/{task}").parse()?, seed, options)?)
}

/// Actions that differ from step to step, over the whole table.
fn action(step: u32) -> Result<Action> {
    let phase = f64::from(step) * 0.1;
    Ok(Action::new([phase.sin(), (0.7 * phase).cos(), (0.3 * phase).sin(), 0.0, 0.0, 0.0], 0.5 + 0.5 * phase.cos())?)
}

fn steps_per_second(
    simulator: &Simulator,
    task: &str,
    mut step: impl FnMut(&mut Episode, &Action) -> Result<()>,
) -> Result<f64> {
    let actions = (0..500).map(action).collect::<Result<Vec<_>>>()?;
    let (mut spent, mut done, mut seed) = (0.0, 0, 0);
    while done < BARE_STEPS {
        seed += 1;
        let mut episode = start(simulator, task, seed, None)?;
        let began = seconds(ClockId::CLOCK_THREAD_CPUTIME_ID)?;
        for action in &actions {
            if episode.finished() {
                break;
            }
            step(&mut episode, action)?;
            done += 1;
        }
        spent += seconds(ClockId::CLOCK_THREAD_CPUTIME_ID)? - began;
    }
    Ok(f64::from(done) / spent)
}

fn image_steps_per_second(simulator: &Simulator, task: &str, quality: ImageQuality, steps: u32) -> Result<f64> {
    let (mut spent, mut done, mut seed) = (0.0, 0, 0);
    while done < steps {
        seed += 1;
        let mut episode = start(simulator, task, seed, Some(quality))?;
        // The first picture of a task loads its meshes.
        ensure!(episode.observe()?.images.is_some(), "no pictures in the observation");
        let began = seconds(ClockId::CLOCK_PROCESS_CPUTIME_ID)?;
        while !episode.finished() && done < steps {
            episode.step(&action(done)?)?;
            black_box(episode.observe()?);
            done += 1;
        }
        spent += seconds(ClockId::CLOCK_PROCESS_CPUTIME_ID)? - began;
    }
    Ok(f64::from(done) / spent)
}

fn seconds(clock: ClockId) -> Result<f64> {
    let now = clock_gettime(clock)?;
    Ok(now.tv_sec() as f64 + now.tv_nsec() as f64 / 1e9)
}
