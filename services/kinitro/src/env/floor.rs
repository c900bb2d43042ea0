//! `kinitro env floor`: what somebody has who does nothing useful.
//!
//! Two policies play that know nothing: one never moves, one moves at random. The floor of an environment is the higher
//! of their upper confidence limits (Clopper and Pearson, one-sided 95 %), and not of their rates: a floor that is too
//! low lets somebody win who can do nothing, one that is too high asks of everybody a little more than nothing.

use std::{
    collections::BTreeMap,
    io::IsTerminal as _,
    sync::{
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
};

use anyhow::{Result, bail};
use comfy_table::{CellAlignment, Table, presets};
use indicatif::{ProgressBar, ProgressStyle};
use kinitro_domain::EnvId;
use kinitro_pareto::upper_limit;
use kinitro_sim::{EpisodeOptions, Simulator};
use tokio_util::sync::CancellationToken;

use super::{
    args::{FloorArgs, Who},
    play::{Actor, play},
};

/// Who plays.
const PLAYERS: [Who; 2] = [Who::Idle, Who::Random];

/// One environment.
struct Floor {
    env_id: EnvId,
    /// Of each of the two.
    successes: [u32; PLAYERS.len()],
}

impl Floor {
    fn bound(&self, episodes: u32) -> f64 {
        self.successes.iter().map(|successes| upper_limit(*successes, episodes)).fold(0.0, f64::max)
    }
}

/// Plays and prints.
pub fn run(args: &FloorArgs, interrupted: &CancellationToken) -> Result<()> {
    let simulator = Simulator::new(None)?;
    let environments: Vec<EnvId> = if args.environments.is_empty() {
        simulator.environments().into_iter().map(|info| info.env_id).collect()
    } else {
        args.environments.clone()
    };
    let floors = measured(&simulator, args, &environments, interrupted)?;
    let table = table(&floors, args.episodes);
    if args.json {
        eprintln!("{table}");
        let bounds: BTreeMap<&str, f64> =
            floors.iter().map(|floor| (floor.env_id.as_str(), floor.bound(args.episodes))).collect();
        println!("{}", serde_json::to_string(&bounds)?);
    } else {
        println!("{table}");
    }
    Ok(())
}

/// All cores take the next episode that nobody plays.
fn measured(
    simulator: &Simulator,
    args: &FloorArgs,
    environments: &[EnvId],
    interrupted: &CancellationToken,
) -> Result<Vec<Floor>> {
    let per_environment = PLAYERS.len() * args.episodes as usize;
    let work = environments.len() * per_environment;
    let next = AtomicUsize::new(0);
    // One worker's failure stops the others.
    let stopping = interrupted.child_token();
    let (sender, receiver) = mpsc::channel();
    let mut floors: Vec<Floor> =
        environments.iter().map(|env_id| Floor { env_id: env_id.clone(), successes: [0; PLAYERS.len()] }).collect();
    let mut done = 0;
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from).min(work) {
            let (sender, next, stopping) = (sender.clone(), &next, &stopping);
            scope.spawn(move || {
                loop {
                    let item = next.fetch_add(1, Ordering::Relaxed);
                    if item >= work || stopping.is_cancelled() {
                        return;
                    }
                    let env_id = &environments[item / per_environment];
                    let player = item % per_environment / args.episodes as usize;
                    let seed = args.seed.wrapping_add((item % args.episodes as usize) as u64);
                    let outcome = one(simulator, args, env_id, PLAYERS[player], seed, stopping);
                    if outcome.is_err() {
                        stopping.cancel();
                    }
                    // Who waits for this waits until every worker is gone.
                    sender.send((item / per_environment, player, outcome)).ok();
                }
            });
        }
        drop(sender);
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{wide_bar} {pos}/{len} episodes, {eta} left");
            ProgressBar::new(work as u64).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        });
        let mut left = vec![per_environment; environments.len()];
        for (environment, player, outcome) in receiver {
            let Some(success) = outcome? else { continue };
            floors[environment].successes[player] += u32::from(success);
            left[environment] -= 1;
            done += 1;
            match &bar {
                Some(bar) => bar.inc(1),
                None if left[environment] == 0 => eprintln!("{}: done", environments[environment]),
                None => {}
            }
        }
        if let Some(bar) = bar {
            bar.finish_and_clear();
        }
        anyhow::Ok(())
    })?;
    if done < work {
        bail!("interrupted after {done} of {work} episodes");
    }
    Ok(floors)
}

/// Whether an episode succeeded; `None` when it was interrupted.
fn one(
    simulator: &Simulator,
    args: &FloorArgs,
    env_id: &EnvId,
    player: Who,
    seed: u64,
    stopping: &CancellationToken,
) -> Result<Option<bool>> {
    let options = EpisodeOptions { randomisation: args.randomisation.into(), ..EpisodeOptions::default() };
    let mut episode = simulator.start(env_id, seed, options)?;
    let finished = play(&mut episode, Actor::new(player, env_id, seed)?, stopping, |_| Ok(()))?;
    Ok(finished.then(|| episode.success()))
}

fn table(floors: &[Floor], episodes: u32) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY).set_header(["environment", "idle", "random", "floor"]);
    for floor in floors {
        let [idle, random] = floor.successes.map(|successes| format!("{successes}/{episodes}"));
        table.add_row([floor.env_id.to_string(), idle, random, format!("{:.4}", floor.bound(episodes))]);
    }
    for column in 1..=3 {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}
