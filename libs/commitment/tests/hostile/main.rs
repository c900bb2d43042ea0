//! No bytes in a commitment make the parser or the opening of either sealed form panic, hang, accept what cannot be written back,
//! or say in a reason what is secret.
//!
//! A fuzz target on the stable compiler: inputs of every kind from a seed, where each input has a seed of its own that a failure
//! names. A few thousand always; for longer
//!
//! ```text
//! KINITRO_FUZZ_SECONDS=600 cargo test --release -p kinitro-commitment --test hostile -- --nocapture
//! ```
//!
//! plays inputs from other seeds (`KINITRO_FUZZ_SEED`, 1 if absent) and prints what came of them. Nothing is asserted about time:
//! an input that hangs is seen as a test that does not end, and the longest is printed.
#![allow(clippy::unwrap_used)]

mod checks;
mod inputs;

use std::{
    collections::BTreeMap,
    env,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    time::{Duration, Instant},
};

use checks::{Verdict, check};
use inputs::{Random, World};

#[derive(Debug, Default)]
struct Seen {
    inputs: u64,
    /// By what came of them; refusals by the form of their sentence.
    verdicts: BTreeMap<String, u64>,
    longest: (Duration, u64),
}

impl Seen {
    fn of(&self, prefix: &str) -> u64 {
        self.verdicts.iter().filter(|(verdict, _)| verdict.starts_with(prefix)).map(|(_, count)| count).sum()
    }
}

fn play(seed: u64, world: &World, seen: &mut Seen) {
    let input = inputs::input(&mut Random(seed), world);
    let begun = Instant::now();
    let verdict = catch_unwind(AssertUnwindSafe(|| check(&input, world))).unwrap_or_else(|panic| {
        eprintln!("seed {seed}, input {}: {:?}", hex::encode(&input), String::from_utf8_lossy(&input));
        resume_unwind(panic)
    });
    let taken = begun.elapsed();
    seen.inputs += 1;
    if taken > seen.longest.0 {
        seen.longest = (taken, seed);
    }
    let verdict = match verdict {
        Verdict::Plain => "accepted: plain".to_owned(),
        Verdict::Opened { bound: false } => "accepted: sealed".to_owned(),
        Verdict::Opened { bound: true } => "accepted: bound".to_owned(),
        Verdict::Refused(kind) => format!("refused: {kind}"),
    };
    *seen.verdicts.entry(verdict).or_default() += 1;
}

#[test]
fn no_commitment_makes_the_parser_panic_hang_or_give_a_secret_away() {
    let world = World::new();
    let mut seen = Seen::default();
    let wanted = |name: &str| env::var(name).ok().map(|value| value.parse::<u64>().unwrap());
    match wanted("KINITRO_FUZZ_SECONDS") {
        None => (0..6_000).for_each(|seed| play(seed, &world, &mut seen)),
        Some(seconds) => {
            let mut seed = wanted("KINITRO_FUZZ_SEED").unwrap_or(1) << 40;
            println!("from seed {seed}");
            let start = Instant::now();
            while start.elapsed().as_secs() < seconds {
                play(seed, &world, &mut seen);
                seed += 1;
            }
            println!("{seen:#?}");
        }
    }
    // The inputs are worth something: each way through the parser was gone.
    for way in ["accepted: plain", "accepted: sealed", "accepted: bound", "refused: NotOpened", "refused: BadEndpoint"]
    {
        assert!(seen.of(way) > 20, "{way}: {seen:#?}");
    }
    for way in
        ["NotText", "BadJson", "TooLong", "TwoEndpoints", "PublishedKey", "BadRepo", "BadRevision", "UnknownForm"]
    {
        assert!(seen.of(&format!("refused: {way}")) > 0, "{way}: {seen:#?}");
    }
}
