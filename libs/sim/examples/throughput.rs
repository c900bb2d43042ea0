//! Steps per second of processor time on one thread beside the bare `mj_step` loop, and what a start and an episode in flight cost:
//! `cargo run --release -p kinitro-sim --example throughput [env-id …]`.

use kinitro_domain::EnvId;
use kinitro_sim::{Action, Episode, EpisodeOptions, Randomisation, SimError, Simulator};

const STEPS: u64 = 4000;
const ROUNDS: usize = 5;
const EPISODES: u64 = 200;

/// Processor time of this thread in seconds, by Linux's account.
fn processor_seconds() -> f64 {
    let account = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    account.split(' ').next().and_then(|nanoseconds| nanoseconds.parse::<f64>().ok()).unwrap_or_default() / 1e9
}

/// What this process holds in memory, by Linux's account.
fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    status.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or_default() * 4096
}

fn action(step: u64) -> Result<Action, SimError> {
    let phase = step as f64 * 0.1;
    Action::new([phase.sin(), phase.cos(), 0.1, 0.0, 0.0, 0.0], 0.5)
}

/// Steps per second of processor time; starting episodes is not counted.
fn rate(
    start: impl Fn(u64) -> Result<Episode, SimError>,
    mut step: impl FnMut(&mut Episode, &Action) -> Result<(), SimError>,
) -> Result<f64, SimError> {
    let (mut episode, mut spent) = (start(1)?, 0.0);
    let mut began = processor_seconds();
    for done in 0..STEPS {
        if episode.finished() || done % 500 == 499 {
            spent += processor_seconds() - began;
            episode = start(done)?;
            began = processor_seconds();
        }
        step(&mut episode, &action(done)?)?;
    }
    Ok(STEPS as f64 / (spent + processor_seconds() - began))
}

fn measure(simulator: &Simulator, env_id: &EnvId) -> Result<(), SimError> {
    let options = EpisodeOptions { randomisation: Randomisation::STANDARD, ..EpisodeOptions::default() };
    let start = |seed| simulator.start(env_id, seed, options);
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let ours = rate(start, |episode, action| {
            episode.step(action)?;
            std::hint::black_box(episode.observe()?);
            Ok(())
        })?;
        let bare = rate(start, |episode, action| {
            episode.step_bare(action);
            Ok(())
        })?;
        rounds.push((ours / bare, ours, bare));
    }
    rounds.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (ratio, ours, bare) = rounds[ROUNDS / 2];
    let (before, began) = (resident_bytes(), processor_seconds());
    let mut held = (0..EPISODES).map(start).collect::<Result<Vec<_>, _>>()?;
    let milliseconds = (processor_seconds() - began) * 1e3 / EPISODES as f64;
    for episode in &mut held {
        for step in 0..20 {
            episode.step(&action(step)?)?;
        }
    }
    let kilobytes = resident_bytes().saturating_sub(before) / 1000 / EPISODES;
    println!(
        "{env_id}: {ours:.0} steps/s, bare loop {bare:.0}/s, ratio {ratio:.3}; start {milliseconds:.2} ms; in flight {kilobytes} kB"
    );
    Ok(())
}

fn main() -> Result<(), SimError> {
    let simulator = Simulator::new(None)?;
    let chosen: Vec<String> = std::env::args().skip(1).collect();
    let (before, began) = (resident_bytes(), processor_seconds());
    for info in simulator.environments() {
        simulator.start(&info.env_id, 0, EpisodeOptions::default())?;
    }
    let (megabytes, seconds) = ((resident_bytes() - before) / 1_000_000, processor_seconds() - began);
    println!("the models of all environments: {megabytes} MB, loaded in {seconds:.1} s");
    for info in simulator.environments() {
        if chosen.is_empty() || chosen.iter().any(|id| id == info.env_id.as_str()) {
            measure(&simulator, &info.env_id)?;
        }
    }
    Ok(())
}
