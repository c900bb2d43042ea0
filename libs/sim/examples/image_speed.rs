//! Steps with both cameras' pictures in a second of this process's CPU time, for each task and quality:
//! `cargo run --release -p kinitro-sim --example image_speed -- [fast|reference] [task ...]`.

use std::time::Instant;

use kinitro_sim::{Action, EnvironmentInfo, EpisodeOptions, ImageQuality, SimError, Simulator};
use nix::time::{ClockId, clock_gettime};

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1).peekable();
    let qualities: &[ImageQuality] = match arguments.next_if(|word| word == "fast" || word == "reference").as_deref() {
        Some("fast") => &[ImageQuality::Fast],
        Some(_) => &[ImageQuality::Reference],
        None => &[ImageQuality::Fast, ImageQuality::Reference],
    };
    let wanted: Vec<String> = arguments.collect();
    let simulator = Simulator::new(None)?;
    for info in simulator.environments() {
        if wanted.is_empty() || wanted.iter().any(|name| name == info.env_id.name()) {
            for quality in qualities {
                measure(&simulator, &info, *quality)?;
            }
        }
    }
    Ok(())
}

fn measure(simulator: &Simulator, info: &EnvironmentInfo, quality: ImageQuality) -> Result<(), Failure> {
    let steps: u32 = if quality == ImageQuality::Fast { 2000 } else { 20 };
    let options = EpisodeOptions { images: Some(quality), ..EpisodeOptions::default() };
    let began = Instant::now();
    let mut episode = simulator.start(&info.env_id, 0, options)?;
    episode.observe()?;
    let first = began.elapsed().as_secs_f64() * 1e3;
    let (began, mut without) = (cpu_seconds()?, 0.0);
    for step in 0..steps {
        if episode.finished() {
            let start = cpu_seconds()?;
            episode = simulator.start(&info.env_id, u64::from(step), options)?;
            without += cpu_seconds()? - start;
        }
        play(&mut episode, f64::from(step) * 0.05)?;
        episode.observe()?;
    }
    let rate = f64::from(steps) / (cpu_seconds()? - began - without);
    println!(
        "{} {quality:?}: {rate:.0} steps with both cameras a CPU-second, {first:.0} ms to the first picture",
        info.env_id
    );
    Ok(())
}

fn play(episode: &mut kinitro_sim::Episode, phase: f64) -> Result<(), SimError> {
    let action = Action::new([phase.sin(), phase.cos(), 0.3 * (0.3 * phase).sin(), 0.0, 0.0, 0.0], 0.5)?;
    episode.step(&action).map(|_| ())
}

/// Of all threads of this process.
fn cpu_seconds() -> Result<f64, nix::Error> {
    let time = clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID)?;
    Ok(time.tv_sec() as f64 + time.tv_nsec() as f64 * 1e-9)
}
