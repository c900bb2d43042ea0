//! Steps per second of wall clock on one thread, and what a start and an episode in flight cost:
//! `cargo run --release -p kinitro-sim --example throughput`.

use std::time::Instant;

use kinitro_sim::{Action, EpisodeOptions, SimError, Simulator};

const EPISODES: u64 = 200;

/// What this process holds in memory, by Linux's account.
fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    status.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or_default() * 4096
}

fn main() {
    if let Err(error) = measure() {
        eprintln!("{error}");
        std::process::exit(1);
    }
}

fn measure() -> Result<(), SimError> {
    let simulator = Simulator::new(None)?;
    for info in simulator.environments() {
        for (images, steps) in [(false, 3000), (true, 100)] {
            let options = EpisodeOptions { images, ..EpisodeOptions::default() };
            let mut episode = simulator.start(&info.env_id, 1, options)?;
            episode.observe()?;
            let (mut done, mut starting, began) = (0, 0.0, Instant::now());
            while done < steps {
                if episode.finished() {
                    let start = Instant::now();
                    episode = simulator.start(&info.env_id, done, options)?;
                    starting += start.elapsed().as_secs_f64();
                }
                let phase = done as f64 * 0.1;
                episode.step(&Action::new([phase.sin(), phase.cos(), 0.1, 0.0, 0.0, 0.0], 0.5)?)?;
                episode.observe()?;
                done += 1;
            }
            let rate = done as f64 / (began.elapsed().as_secs_f64() - starting);
            println!("{} {}: {rate:.0} steps/s", info.env_id, if images { "with images" } else { "state only" });
        }
        let (before, began) = (resident_bytes(), Instant::now());
        let mut held = Vec::new();
        for seed in 0..EPISODES {
            held.push(simulator.start(&info.env_id, seed, EpisodeOptions::default())?);
        }
        let milliseconds = began.elapsed().as_secs_f64() * 1e3 / EPISODES as f64;
        for episode in &mut held {
            for _ in 0..20 {
                episode.step(&Action::new([0.0, 0.5, -1.0, 0.0, 0.0, 0.0], 1.0)?)?;
            }
        }
        let kilobytes = resident_bytes().saturating_sub(before) / 1000 / EPISODES;
        println!("{} start: {milliseconds:.2} ms; in flight: {kilobytes} kB each", info.env_id);
    }
    Ok(())
}
