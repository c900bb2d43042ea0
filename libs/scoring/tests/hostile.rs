//! No tallies and no parameters make scoring panic, hang or take more memory than it says.
//!
//! A fuzz target on the stable compiler: fields of every shape from a seed, with numbers that no honest cycle has. What
//! "hang" means is decided without a clock, by the operations that scoring counts, against their stated bound. A few
//! small fields always; for longer
//!
//! ```text
//! KINITRO_FUZZ_SECONDS=600 cargo test --release -p kinitro-pareto --test hostile -- --nocapture
//! ```
//!
//! plays fields of up to 1,024 miners and 64 environments from other seeds (`KINITRO_FUZZ_SEED`, 1 if absent), and prints
//! what they took.
#![allow(clippy::unwrap_used)]

mod support;

use std::{collections::BTreeMap, env, fs, time::Instant};

use kinitro_domain::{MinerUid, Outcome};
use kinitro_pareto::{Guarded1, Miner, Published1, Scheme, Scores, SubsetPoints, Tallies, Tally, dominance};
use support::{block, env_id};

/// What scoring may take besides the tallies, in KiB.
const MOST_MEMORY: u64 = 64 * 1024;

/// A generator of hostile numbers (SplitMix64).
struct Random(u64);

impl Random {
    fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.word() % bound as u64) as usize
    }

    /// From 1 to `most`, small ones as often as large ones.
    fn size(&mut self, most: usize) -> usize {
        let scale = 1 + self.below(most);
        1 + self.below(scale)
    }

    fn chance(&mut self, of: usize) -> bool {
        self.below(of) == 0
    }

    /// Any double: NaN, infinities and denormals as well.
    fn double(&mut self) -> f64 {
        match self.below(6) {
            0 => f64::from_bits(self.word()),
            1 => [f64::NAN, f64::INFINITY, -0.0, f64::MIN_POSITIVE, f64::MAX, -1.0][self.below(6)],
            _ => 1.0 + self.below(1000) as f64,
        }
    }
}

/// Labels, and how many of `episodes` each miner solves and does not play in each environment.
struct Field {
    miners: Vec<Miner>,
    episodes: usize,
    results: Vec<Vec<(usize, usize)>>,
}

fn field(random: &mut Random, most_miners: usize, most_environments: usize) -> Field {
    let (miners, environments) = (random.size(most_miners), random.size(most_environments));
    // At most some 16 MB of outcomes.
    let episodes = random.size((16_000_000 / (miners * environments)).clamp(2, 10_000));
    let blocks = [1, 3, 40, 1 << 20][random.below(4)];
    let kind = random.below(6);
    let dropped = 1 + random.below(environments);
    let missing = [0, 0, 1, episodes + 1][random.below(4)];
    let percent = |part: usize| episodes * part / 100;
    let rows = (0..miners).map(|miner| {
        let mut row: Vec<usize> = (0..environments)
            .map(|environment| match kind {
                // No order at all, few levels, all the same, a staircase, diagonals.
                0 => random.below(episodes + 1),
                1 => percent(25 * random.below(5)),
                2 => percent(50),
                3 => percent(100 * miner / miners),
                4 => percent(100 * ((miner + 7 * environment) % 11) / 10),
                // Everybody above the first, except in a few environments.
                _ if miner == 0 => percent(50),
                _ => percent(65 + random.below(35)),
            })
            .collect();
        if kind == 5 && miner > 0 {
            (0..dropped).for_each(|_| row[random.below(environments)] = 0);
        }
        row.into_iter().map(|successes| (successes, if missing == 0 { 0 } else { random.below(missing) })).collect()
    });
    let results = rows.collect();
    let miners = (0..miners).map(|uid| block(uid as u16, random.below(blocks) as u64)).collect();
    Field { miners, episodes, results }
}

/// The field as a cycle hands it in, now and then with something that must be refused.
fn tallies(field: &Field, random: &mut Random) -> Result<Tallies, kinitro_pareto::Error> {
    let environments = field.results[0].len();
    let mut tallies = Vec::new();
    for (miner, row) in field.miners.iter().zip(&field.results) {
        for (environment, (successes, missing)) in row.iter().enumerate() {
            if random.chance(500) {
                continue;
            }
            let outcome = |episode: usize| match episode {
                missed if missed < *missing => Outcome::Missing,
                solved if solved - missing < *successes => Outcome::Success,
                _ => Outcome::Failure,
            };
            let episodes = field.episodes + usize::from(random.chance(2_000_000));
            tallies.push(Tally {
                uid: if random.chance(2_000_000) { MinerUid(60_000) } else { miner.uid },
                env_id: env_id(environment),
                outcomes: (0..episodes).map(outcome).collect(),
                mean_reward: if random.chance(500_000) { random.double() } else { 1.0 },
            });
        }
    }
    Tallies::new(field.miners.clone(), (0..environments).map(env_id).collect(), tallies)
}

fn check(scores: &Scores, miners: usize) {
    assert_eq!(scores.miners.len(), miners);
    assert!(scores.miners.iter().all(|miner| miner.weight.is_finite() && miner.weight >= 0.0));
    assert!(
        scores.miners.iter().all(|miner| miner.standard_error.is_none_or(|error| error.is_finite() && error > 0.0))
    );
    let sum: f64 = scores.miners.iter().map(|miner| miner.weight).sum();
    assert!((sum - 1.0).abs() < 1e-9 || scores.burn.is_some(), "{sum}");
    assert_eq!(scores.weights_u16().iter().map(|(_, weight)| *weight).max(), Some(u16::MAX));
}

/// A line of this process's status, in KiB.
fn resident(line: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let value = status.lines().find_map(|found| found.strip_prefix(line)?.strip_prefix(':')).unwrap();
    value.trim().trim_end_matches(" kB").parse().unwrap()
}

/// What this thread has had of a processor.
fn processor_seconds() -> f64 {
    let spent = fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    spent.split(' ').next().unwrap().parse::<f64>().unwrap() / 1e9
}

#[derive(Debug, Default)]
struct Seen {
    fields: u64,
    refused: u64,
    scored: u64,
    estimated: u64,
    /// The most, and of what field.
    operations: (u64, String),
    kibibytes: (u64, String),
    processor_seconds: (f64, String),
}

fn play(seed: u64, most_miners: usize, most_environments: usize, seen: &mut Seen) {
    let random = &mut Random(seed);
    let field = field(random, most_miners, most_environments);
    let (miners, environments) = (field.miners.len(), field.results[0].len());
    let named = format!("{miners}x{environments}, seed {seed}");
    seen.fields += 1;
    let Ok(tallies) = tallies(&field, random) else {
        seen.refused += 1;
        return;
    };
    drop(field);
    let worth = [SubsetPoints::Linear, SubsetPoints::Exponential, SubsetPoints::Equal][random.below(3)];
    let rule = Published1::new(worth, random.double());

    // The kernel counts the peak of resident memory anew.
    fs::write("/proc/self/clear_refs", "5").unwrap();
    let (before, start) = (resident("VmRSS"), processor_seconds());
    let Ok((scores, operations)) = rule.measured_score(&tallies) else {
        assert!(rule.validate().is_err(), "{named}: {rule:?}");
        seen.refused += 1;
        return;
    };
    let (seconds, kibibytes) = (processor_seconds() - start, resident("VmHWM").saturating_sub(before));
    check(&scores, miners);
    let bound = Published1::most_operations(miners, environments);
    assert!(operations <= bound, "{named}: {operations} operations, and at most {bound} are stated");
    assert!(kibibytes <= MOST_MEMORY, "{named}: {kibibytes} KiB");
    assert!(environments > 20 || scores.miners.iter().all(|miner| miner.standard_error.is_none()), "{named}");
    seen.scored += 1;
    seen.estimated += u64::from(scores.miners.iter().any(|miner| miner.standard_error.is_some()));
    if operations > seen.operations.0 {
        seen.operations = (operations, named.clone());
    }
    if kibibytes > seen.kibibytes.0 {
        seen.kibibytes = (kibibytes, named.clone());
    }
    if seconds > seen.processor_seconds.0 {
        seen.processor_seconds = (seconds, named);
    }

    if miners <= 64 {
        let floors = BTreeMap::from([(env_id(0), 0.3)]);
        let (pareto_temperature, burn_uid) = (rule.pareto_temperature, MinerUid(random.below(65_536) as u16));
        let rule = Scheme::Guarded1(Guarded1 { weight_scheme: worth, pareto_temperature, floors, burn_uid });
        check(&rule.score(&tallies).unwrap(), miners);
        assert_eq!(dominance(&tallies).len(), miners);
    }
}

#[test]
fn no_field_makes_it_panic_hang_or_exceed_its_memory() {
    let mut seen = Seen::default();
    let wanted = |name: &str| env::var(name).ok().map(|value| value.parse::<u64>().unwrap());
    match wanted("KINITRO_FUZZ_SECONDS") {
        None => (0..80).for_each(|seed| play(seed, 24, 24, &mut seen)),
        Some(seconds) => {
            let start = Instant::now();
            let mut seed = wanted("KINITRO_FUZZ_SEED").unwrap_or(1) << 32;
            while start.elapsed().as_secs() < seconds {
                let most_miners = if seed % 8 == 0 { 1024 } else { 200 };
                play(seed, most_miners, 64, &mut seen);
                seed += 1;
            }
            println!("{seen:#?}");
        }
    }
    assert!(seen.scored > seen.refused, "{seen:?}");
}
