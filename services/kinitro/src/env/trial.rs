//! `kinitro env try`: a few episodes, one after the other.

use anyhow::{Result, bail};
use kinitro_sim::{Episode, EpisodeOptions, Simulator};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::{
    args::{self, TryArgs},
    play::{Actor, play},
    video::Video,
};

/// Plays and prints how each episode ended.
pub fn run(args: &TryArgs, interrupted: &CancellationToken) -> Result<()> {
    let simulator = Simulator::new(None)?;
    let options = EpisodeOptions {
        images: args.video.is_some().then(|| args.images.into()),
        randomisation: args.randomisation.into(),
        ..EpisodeOptions::default()
    };
    let mut video = args.video.as_ref().map(Video::create).transpose()?;
    let mut ended = Vec::new();
    if !args.json {
        println!("{:>20}  {:7}  {:>5}  {:>10}  trajectory", "seed", "verdict", "steps", "reward");
    }
    for index in 0..args.episodes {
        let seed = args.seed.wrapping_add(index.into());
        let mut episode = simulator.start(&args.environment, seed, options)?;
        let actor = Actor::new(args.policy, &args.environment, seed)?;
        let finished = play(&mut episode, actor, interrupted, |episode| match &mut video {
            Some(video) => film(video, episode),
            None => Ok(()),
        })?;
        if !finished {
            break;
        }
        let (success, steps, reward) = (episode.success(), episode.steps(), episode.total_reward());
        let hash = episode.trajectory_hash();
        if args.json {
            ended.push(json!({
                "seed": seed,
                "success": success,
                "steps": steps,
                "total_reward": reward,
                "trajectory_hash": hash,
            }));
        } else {
            let verdict = if success { "success" } else { "failure" };
            println!("{seed:>20}  {verdict}  {steps:>5}  {reward:>10.3}  {hash}");
        }
    }
    if let Some(video) = video {
        eprintln!("the video is {}", video.finish()?);
    }
    if args.json {
        let document = json!({
            "env_id": args.environment.as_str(),
            "policy": args::name(&args.policy),
            "randomisation": args::name(&args.randomisation),
            "episodes": ended,
        });
        println!("{}", serde_json::to_string_pretty(&document)?);
    }
    if interrupted.is_cancelled() {
        bail!("interrupted");
    }
    Ok(())
}

fn film(video: &mut Video, episode: &mut Episode) -> Result<()> {
    let last = episode.finished();
    if last || video.wants(episode.steps()) {
        let images = episode.observe()?.images.unwrap_or_default();
        video.add(&images, last)?;
    }
    Ok(())
}
