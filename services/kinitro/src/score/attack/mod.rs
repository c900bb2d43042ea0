//! `kinitro score attack`: how much weight attackers take under a scheme, by simulation.
//!
//! Every line is a population of honest miners and one attacker ([`population`]), played a number of times ([`model`]),
//! scored with the attacker and without ([`trial`]). Three figures are printed, each with its 95 % interval (Wilson):
//!
//! - **share**: the attacker's mean weight, all its uids together;
//! - **crown**: how often the crown, more weight than anybody else, is false: it is not with the honest miner that has
//!   it when the attacker is away. (So a crown that nobody gets counts too.) For the improver: how often it has the
//!   crown, which it deserves;
//! - **any points** (in the JSON): how often the attacker wins at least one subset.
//!
//! All schemes score the same simulated cycles. The numbers depend on the seed and not on the number of cores.

mod args;
mod exact;
mod model;
mod population;
mod report;
mod trial;

use std::{
    io::IsTerminal as _,
    sync::{
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
};

use anyhow::{Context as _, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};
use kinitro_domain::EnvId;
use kinitro_pareto::Scheme;
use tokio_util::sync::CancellationToken;

pub use args::AttackArgs;

use self::{
    model::Seeds,
    population::{Attack, population},
    report::{Judged, Row},
    trial::{Line, Tallied},
};

/// Trials that one worker takes at a time. Sums are added chunk by chunk, so it is part of the numbers' last bits.
const CHUNK: u32 = 50;

/// Simulates and prints.
pub fn run(args: &AttackArgs, interrupted: &CancellationToken) -> Result<()> {
    let schemes = args.schemes()?;
    let env_ids = args.env_ids();
    let mut lines = Vec::new();
    for seeds in Seeds::ALL {
        for attack in Attack::all(args.environments) {
            for &episodes in &args.episodes {
                lines.push(Line::new(attack, seeds, episodes, population(args, attack), args.difficulty));
            }
        }
    }
    let played = played(args, &schemes, &env_ids, &lines, interrupted)?;
    let mut rows = Vec::new();
    for (line, tallied) in lines.iter().zip(played) {
        let judged = schemes.iter().zip(tallied).map(|(scheme, tallied)| {
            let exact = exact(args, scheme, &env_ids, line)?;
            Ok(Judged { tallied, exact })
        });
        rows.push(Row {
            attack: line.attack.name(),
            seeds: line.seeds,
            episodes: line.episodes,
            deserving: line.attack.deserving(),
            by_scheme: judged.collect::<Result<_>>()?,
        });
    }
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report::json(args, &schemes, &rows))?);
    } else {
        println!("{}", report::tables(args, &schemes, &rows));
    }
    Ok(())
}

/// The probability of a false crown, where it is known.
fn exact(args: &AttackArgs, scheme: &Scheme, env_ids: &[EnvId], line: &Line) -> Result<Option<f64>> {
    match (scheme, line.attack, line.seeds, env_ids) {
        (Scheme::Published1(_), Attack::Clones(clones), Seeds::Unpaired, [env_id]) if args.honest == 1 => {
            exact::false_crown(scheme, env_id, line.episodes, args.rate, clones).map(Some)
        }
        _ => Ok(None),
    }
}

/// What every scheme made of every line. All cores take the next chunk that nobody plays.
fn played(
    args: &AttackArgs,
    schemes: &[Scheme],
    env_ids: &[EnvId],
    lines: &[Line],
    interrupted: &CancellationToken,
) -> Result<Vec<Vec<Tallied>>> {
    let chunks = args.trials.div_ceil(CHUNK);
    let work = lines.len() * chunks as usize;
    let next = AtomicUsize::new(0);
    // One worker's failure stops the others.
    let stopping = interrupted.child_token();
    let (sender, receiver) = mpsc::channel();
    let mut done: Vec<Option<Vec<Tallied>>> = vec![None; work];
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from).min(work) {
            let (sender, next, stopping) = (sender.clone(), &next, &stopping);
            scope.spawn(move || {
                loop {
                    let item = next.fetch_add(1, Ordering::Relaxed);
                    if item >= work || stopping.is_cancelled() {
                        return;
                    }
                    let (line, chunk) = (&lines[item / chunks as usize], (item % chunks as usize) as u32);
                    let trials = chunk * CHUNK..args.trials.min((chunk + 1) * CHUNK);
                    let tallied = line.play(env_ids, schemes, args.seed, trials);
                    if tallied.is_err() {
                        stopping.cancel();
                    }
                    // Who waits for this waits until every worker is gone.
                    sender.send((item, tallied)).ok();
                }
            });
        }
        drop(sender);
        let progress = Progress::new(work);
        for (item, tallied) in receiver {
            done[item] = Some(tallied?);
            progress.advance();
        }
        anyhow::Ok(())
    })?;
    if done.iter().any(Option::is_none) {
        bail!("interrupted after {} of {work} parts", done.iter().flatten().count());
    }
    done.chunks(chunks as usize)
        .map(|of_line| {
            let mut sums = vec![Tallied::default(); schemes.len()];
            for tallied in of_line {
                let tallied = tallied.as_ref().context("a part is missing")?;
                sums.iter_mut().zip(tallied).for_each(|(sum, tallied)| sum.add(*tallied));
            }
            Ok(sums)
        })
        .collect()
}

/// What is shown on stderr meanwhile: a bar in a terminal, else a line at every tenth.
struct Progress {
    bar: Option<ProgressBar>,
    done: AtomicUsize,
    work: usize,
}

impl Progress {
    fn new(work: usize) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{wide_bar} {percent} %, {eta} left");
            ProgressBar::new(work as u64).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        });
        Self { bar, done: AtomicUsize::new(0), work }
    }

    fn advance(&self) {
        let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        match &self.bar {
            Some(bar) => bar.inc(1),
            None if 10 * done / self.work > 10 * (done - 1) / self.work => {
                eprintln!("{} % simulated", 100 * done / self.work);
            }
            None => {}
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
