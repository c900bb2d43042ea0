//! `score.*`: scoring a cycle under `published-1`, against the rule in plain Python as it reads.
//!
//! Random fields have rates without any order. In a staircase every miner is a little better than the one before it, by less
//! than the gap, so that nobody beats its predecessor and an enumeration looks at every pair for every set. The adversarial field
//! makes our own counter work hardest: the first committer is beaten by everybody, by each on all environments but six of its
//! own choice, and sets that have something of all 255 sixes cannot be counted within the bound, so they are estimated.
//!
//! Where there are few enough environments for an enumeration, Python is timed on the same field and must find the same points.

use std::{fs, hint::black_box, path::Path, process::Stdio, time::Duration};

use anyhow::{Context as _, Result, ensure};
use kinitro_domain::{BlockNumber, EnvId, MinerUid, Outcome};
use kinitro_pareto::{Miner, Published1, Scores, SubsetPoints, Tallies, Tally};
use nix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};
use tokio::{io::AsyncWriteExt as _, process::Command};

use crate::figure::{Figure, Rounds};

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Random,
    Staircase,
    Adversarial,
}

/// Name, miners, environments, and what they are like.
const FIGURES: [(&str, usize, usize, Kind); 7] = [
    ("score.256x9.random", 256, 9, Kind::Random),
    ("score.256x9.staircase", 256, 9, Kind::Staircase),
    ("score.64x12.staircase", 64, 12, Kind::Staircase),
    ("score.256x50.random", 256, 50, Kind::Random),
    ("score.256x50.staircase", 256, 50, Kind::Staircase),
    ("score.256x50.adversarial", 256, 50, Kind::Adversarial),
    ("score.1024x64.random", 1024, 64, Kind::Random),
];
const ROUNDS: usize = 7;
/// An enumeration of more environments takes hours.
const MOST_ENUMERATED: usize = 12;

/// A field of miners: `successes[miner][environment]` of `episodes`; the first commitments are in the order of the miners.
#[derive(Serialize)]
struct Field {
    episodes: u32,
    successes: Vec<Vec<u32>>,
}

/// What the Python side found.
#[derive(Deserialize)]
struct Enumerated {
    seconds: f64,
    points: Vec<u64>,
}

/// The names of the figures.
pub fn names() -> Vec<&'static str> {
    FIGURES.iter().map(|(name, ..)| *name).collect()
}

/// Seconds of one thread's processor time from tallies to weights and frontier.
pub async fn measure(wanted: Vec<&'static str>) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for (name, miners, environments, kind) in FIGURES.into_iter().filter(|(name, ..)| wanted.contains(name)) {
        eprintln!("{name}");
        let field = Field::new(miners, environments, kind);
        let tallies = field.tallies()?;
        let rule = Published1::new(SubsetPoints::Linear, 1.0);
        let (scores, operations) = rule.measured_score(&tallies)?;
        check(name, kind, &scores)?;

        let mut ours = Rounds::default();
        let before = resident("VmRSS")?;
        forget_the_peak()?;
        for _ in 0..ROUNDS {
            let start = spent()?;
            black_box(rule.score(&tallies)?);
            ours.push((spent()? - start).as_secs_f64());
        }
        let peak = resident("VmHWM")?.saturating_sub(before);

        let mut reference = None;
        if environments <= MOST_ENUMERATED {
            let python = field.enumerated().await?;
            let points = python.points.iter().map(|points| u128::from(*points));
            ensure!(
                points.eq(scores.miners.iter().map(|miner| miner.points)),
                "{name}: the Python side finds other points"
            );
            reference = Some(python.seconds);
        }
        let estimated = scores.miners.iter().filter(|miner| miner.standard_error.is_some()).count();
        figures.push(Figure {
            name,
            unit: "s",
            ours: ours.median(),
            reference,
            limit: None,
            note: Some(format!(
                "{}; processor time; {:.1} MiB at the peak; {:.1} million operations; {}",
                ours.spread(5),
                peak as f64 / 1024.0,
                operations as f64 / 1e6,
                match estimated {
                    0 => "exact".to_owned(),
                    some => format!("{some} of {miners} miners' points are estimated"),
                }
            )),
        });
    }
    Ok(figures)
}

/// What must be so whatever the speed.
fn check(name: &str, kind: Kind, scores: &Scores) -> Result<()> {
    let sum: f64 = scores.miners.iter().map(|miner| miner.weight).sum();
    ensure!((sum - 1.0).abs() < 1e-9, "{name}: the weights sum to {sum}");
    let anybody = scores.miners.iter().any(|miner| miner.points > 0);
    ensure!(anybody != (kind == Kind::Staircase), "{name}: on a staircase nobody wins, elsewhere somebody does");
    Ok(())
}

impl Field {
    fn new(miners: usize, environments: usize, kind: Kind) -> Self {
        let mut random = Random(miners as u64 * 1000 + environments as u64);
        let (episodes, successes) = match kind {
            Kind::Random => (50, table(miners, environments, |_, _| random.below(51))),
            // The gap is 200 of 10,000; a step is 30 with up to 25 more, so everybody is better than the one before.
            Kind::Staircase => {
                (10_000, table(miners, environments, |miner, _| 1000 + 30 * miner as u32 + random.below(25)))
            }
            Kind::Adversarial => {
                let mut successes =
                    table(miners, environments, |miner, _| if miner == 0 { 50 } else { 62 + random.below(38) });
                for row in &mut successes[1..] {
                    for _ in 0..6 {
                        row[random.below(environments as u32) as usize] = 0;
                    }
                }
                (100, successes)
            }
        };
        Self { episodes, successes }
    }

    fn tallies(&self) -> Result<Tallies> {
        let env_id = |environment: usize| -> Result<EnvId> { Ok(format!("test/env-{environment:02}").parse()?) };
        let environments: Vec<EnvId> = (0..self.successes[0].len()).map(env_id).collect::<Result<_>>()?;
        let miners = (0..self.successes.len() as u16)
            .map(|uid| Miner { uid: MinerUid(uid), first_commit_block: BlockNumber(u64::from(uid)) });
        let tally = |uid: u16, environment: &EnvId, successes: u32| Tally {
            uid: MinerUid(uid),
            env_id: environment.clone(),
            outcomes: (0..self.episodes)
                .map(|episode| if episode < successes { Outcome::Success } else { Outcome::Failure })
                .collect(),
            mean_reward: f64::from(successes),
        };
        let tallies: Vec<Tally> = (0..)
            .zip(&self.successes)
            .flat_map(|(uid, row)| {
                row.iter().zip(&environments).map(move |(successes, env_id)| (uid, env_id, *successes))
            })
            .map(|(uid, env_id, successes)| tally(uid, env_id, successes))
            .collect();
        Ok(Tallies::new(miners.collect(), environments, tallies)?)
    }

    /// The same by Python, which needs no packages for it.
    async fn enumerated(&self) -> Result<Enumerated> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/mesh/python/score.py");
        let mut python = Command::new("python3");
        let mut python = python.arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true).spawn()?;
        let mut input = python.stdin.take().context("no pipe to the Python side")?;
        input.write_all(&serde_json::to_vec(self)?).await?;
        drop(input);
        let output = python.wait_with_output().await?;
        ensure!(output.status.success(), "the Python side ended with {}", output.status);
        Ok(serde_json::from_slice(&output.stdout)?)
    }
}

fn table(miners: usize, environments: usize, mut successes: impl FnMut(usize, usize) -> u32) -> Vec<Vec<u32>> {
    (0..miners).map(|miner| (0..environments).map(|environment| successes(miner, environment)).collect()).collect()
}

/// The same fields in every run (a linear congruential generator with Knuth's constants).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u32) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (((self.0 >> 32) * u64::from(bound)) >> 32) as u32
    }
}

/// Processor time of this thread: a machine that others use too gives the same figures.
fn spent() -> Result<Duration> {
    Ok(clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)?.into())
}

/// A line of this process's status, in KiB.
fn resident(line: &str) -> Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let value = status.lines().find_map(|found| found.strip_prefix(line)?.strip_prefix(':'));
    let value = value.and_then(|value| value.trim().strip_suffix(" kB"));
    Ok(value.with_context(|| format!("no {line} in /proc/self/status"))?.parse()?)
}

/// Lets the kernel count the peak of resident memory anew.
fn forget_the_peak() -> Result<()> {
    fs::write("/proc/self/clear_refs", "5").context("the peak of memory cannot be reset")
}
