//! `kinitro env check`: every environment's oracle through the ordinary action path, beside the Python expert.

use std::{
    io::IsTerminal as _,
    sync::{
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
};

use anyhow::{Context as _, Result, bail};
use comfy_table::{CellAlignment, Table, presets};
use indicatif::{ProgressBar, ProgressStyle};
use kinitro_domain::EnvId;
use kinitro_sim::{EpisodeOptions, Simulator};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::{
    args::{CheckArgs, Who},
    play::{Actor, play},
    python,
};

/// Points of success that an environment may be away from the Python expert's.
const APART: f64 = 5.0;

/// How one episode ended.
#[derive(Debug, Clone, Copy)]
struct Ended {
    success: bool,
    steps: u32,
}

/// One environment's line of the table.
struct Line {
    env_id: EnvId,
    /// By seed from 0.
    ours: Vec<Ended>,
    /// On the same seeds.
    python: Option<Vec<bool>>,
}

impl Line {
    fn solved(&self) -> usize {
        self.ours.iter().filter(|ended| ended.success).count()
    }

    fn python_solved(&self) -> Option<usize> {
        Some(self.python.as_ref()?.iter().filter(|solved| **solved).count())
    }

    /// Ours above the Python expert's, in points of 100.
    fn difference(&self) -> Option<f64> {
        let rate = |solved: usize| 100.0 * solved as f64 / self.ours.len() as f64;
        Some(rate(self.solved()) - rate(self.python_solved()?))
    }

    fn mean_steps(&self) -> f64 {
        self.ours.iter().map(|ended| f64::from(ended.steps)).sum::<f64>() / self.ours.len() as f64
    }

    /// The seeds that only one of the two solved.
    fn seeds_apart(&self) -> Vec<usize> {
        let python = self.python.as_deref().unwrap_or_default();
        let pairs = self.ours.iter().zip(python).enumerate();
        pairs.filter(|(_, (ours, python))| ours.success != **python).map(|(seed, _)| seed).collect()
    }

    fn json(&self) -> Value {
        let seeds = |solved: &mut dyn Iterator<Item = bool>| {
            solved.map(|solved| if solved { '1' } else { '0' }).collect::<String>()
        };
        json!({
            "env_id": self.env_id.as_str(),
            "seeds": self.ours.len(),
            "solved": self.solved(),
            "python_solved": self.python_solved(),
            "difference": self.difference(),
            "mean_steps": self.mean_steps(),
            "solved_by_seed": seeds(&mut self.ours.iter().map(|ended| ended.success)),
            "python_solved_by_seed": self.python.as_ref().map(|python| seeds(&mut python.iter().copied())),
        })
    }
}

/// Plays, prints the table, and fails when an environment is too far from the Python expert.
pub fn run(args: &CheckArgs, interrupted: &CancellationToken) -> Result<()> {
    let simulator = Simulator::new(None)?;
    let environments = if args.environments.is_empty() {
        simulator.environments().into_iter().map(|info| info.env_id).collect()
    } else {
        args.environments.clone()
    };
    let seeds = args.seeds as usize;
    let lines: Vec<Line> = played(&simulator, &environments, seeds, interrupted)?
        .into_iter()
        .zip(environments)
        .map(|(ours, env_id)| {
            let python = python::solved(&env_id).map(|solved| solved.into_iter().take(seeds).collect());
            Line { env_id, ours, python }
        })
        .collect();
    if args.json {
        println!("{}", serde_json::to_string_pretty(&lines.iter().map(Line::json).collect::<Vec<_>>())?);
    } else {
        println!("{}", table(&lines));
    }
    let apart = |line: &&Line| line.difference().is_some_and(|difference| difference.abs() > APART);
    let apart: Vec<_> = lines.iter().filter(apart).map(|line| line.env_id.as_str()).collect();
    if !apart.is_empty() {
        bail!("more than {APART} points from the Python expert: {}", apart.join(", "));
    }
    Ok(())
}

/// How every environment's episodes ended, by seed. All cores take the next episode that nobody plays.
fn played(
    simulator: &Simulator,
    environments: &[EnvId],
    seeds: usize,
    interrupted: &CancellationToken,
) -> Result<Vec<Vec<Ended>>> {
    let episodes = environments.len() * seeds;
    let next = AtomicUsize::new(0);
    // One worker's failure stops the others.
    let stopping = interrupted.child_token();
    let (sender, receiver) = mpsc::channel();
    let mut ended = vec![None; episodes];
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from).min(episodes) {
            let (sender, next, stopping) = (sender.clone(), &next, &stopping);
            scope.spawn(move || {
                loop {
                    let episode = next.fetch_add(1, Ordering::Relaxed);
                    if episode >= episodes || stopping.is_cancelled() {
                        return;
                    }
                    let outcome = one(simulator, &environments[episode / seeds], episode % seeds, stopping);
                    if outcome.is_err() {
                        stopping.cancel();
                    }
                    // Who waits for this waits until every worker is gone.
                    sender.send((episode, outcome)).ok();
                }
            });
        }
        drop(sender);
        let progress = Progress::new(environments, seeds);
        for (episode, outcome) in receiver {
            ended[episode] = outcome?;
            progress.advance(&ended, episode);
        }
        anyhow::Ok(())
    })?;
    let done = ended.iter().flatten().count();
    let ended: Option<Vec<Ended>> = ended.into_iter().collect();
    let ended = ended.with_context(|| format!("interrupted after {done} of {episodes} episodes"))?;
    Ok(ended.chunks(seeds).map(<[Ended]>::to_vec).collect())
}

/// `None` when it was interrupted.
fn one(simulator: &Simulator, env_id: &EnvId, seed: usize, stopping: &CancellationToken) -> Result<Option<Ended>> {
    let seed = seed as u64;
    let mut episode = simulator.start(env_id, seed, EpisodeOptions::default())?;
    let finished = play(&mut episode, Actor::new(Who::Oracle, env_id, seed)?, stopping, |_| Ok(()))?;
    Ok(finished.then(|| Ended { success: episode.success(), steps: episode.steps() }))
}

/// What is shown on stderr meanwhile: a bar in a terminal, else a line an environment.
struct Progress<'a> {
    bar: Option<ProgressBar>,
    environments: &'a [EnvId],
    seeds: usize,
}

impl<'a> Progress<'a> {
    fn new(environments: &'a [EnvId], seeds: usize) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{wide_bar} {pos}/{len} episodes, {eta} left");
            ProgressBar::new((environments.len() * seeds) as u64)
                .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        });
        Self { bar, environments, seeds }
    }

    fn advance(&self, ended: &[Option<Ended>], episode: usize) {
        if let Some(bar) = &self.bar {
            bar.inc(1);
            return;
        }
        let environment = episode / self.seeds;
        let its_own = &ended[environment * self.seeds..][..self.seeds];
        if its_own.iter().all(Option::is_some) {
            let solved = its_own.iter().flatten().filter(|ended| ended.success).count();
            eprintln!("{}: {solved} of {}", self.environments[environment], self.seeds);
        }
    }
}

impl Drop for Progress<'_> {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn table(lines: &[Line]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY).set_header([
        "environment",
        "solved",
        "Python",
        "points",
        "mean steps",
        "seeds apart",
    ]);
    for line in lines {
        let seeds = line.ours.len();
        let seeds_apart = line.seeds_apart().iter().map(usize::to_string).collect::<Vec<_>>().join(" ");
        table.add_row([
            line.env_id.to_string(),
            format!("{}/{seeds}", line.solved()),
            line.python_solved().map_or("-".to_owned(), |solved| format!("{solved}/{seeds}")),
            line.difference().map_or("-".to_owned(), |difference| format!("{difference:+.1}")),
            format!("{:.1}", line.mean_steps()),
            seeds_apart,
        ]);
    }
    for column in 1..=4 {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}
