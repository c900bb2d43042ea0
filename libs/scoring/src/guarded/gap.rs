//! By how much a challenger must be ahead.
//!
//! Of the episodes that count for both, let the challenger alone solve b and the holder alone c. The paired difference
//! of their rates is (b − c)/n, and its standard error, if the two are equally good, √(b + c)/n (McNemar, *Note on the
//! sampling error of the difference between correlated proportions*, Psychometrika 12, 1947). The challenger is ahead
//! when b − c − 1 > z·√(b + c), where the 1 is Edwards's correction for continuity (Psychometrika 13, 1948), and
//! (b − c)/n > 0.02, so that a copy with a finishing touch takes nothing however long a cycle is.
//!
//! If the two are equally good in every episode, b is binomial(b + c, ½) whatever the episodes' difficulty and whether
//! seeds are shared, and for the z that occur the corrected condition is never easier to meet than the exact test at the
//! same level (a test below compares them). So the level holds in small samples too.
//!
//! **Many challengers.** The j-th in the order of commitments is tested at level 1/(151·j). By Bonferroni's inequality,
//! which asks nothing of their dependence, all of them together are lucky in at most (1 + ½ + … + 1/1023)/151 = 4.97 %
//! of cycles; with 256 uids, 4.1 %. The level depends on who came before, not on who came after. z grows from 2.48 for
//! the first over 3.82 for the hundredth to 4.36 for the last.

/// The level of the first challenger is one of so many.
const FIRST_LEVEL: f64 = 151.0;
/// z² is a multiple of one of so many.
const UNIT: u64 = 1 << 16;
/// Above z² of the last of a million challengers, in units.
const LARGEST: u64 = 64 * UNIT;

/// z² of every challenger, in units of 2^-16 and rounded up: from there on everything is decided in integers.
pub(super) struct Levels(Vec<u64>);

impl Levels {
    /// For so many miners.
    pub(super) fn new(miners: usize) -> Self {
        Self((1..miners).map(|number| squared_quantile(1.0 / (FIRST_LEVEL * number as f64))).collect())
    }

    /// Of the challenger with this number, from 1.
    pub(super) fn squared_quantile(&self, number: usize) -> u64 {
        self.0[number - 1]
    }
}

/// The smallest z² whose upper tail under the normal distribution, erfc(√(z²/2))/2, is at most `level`. (`erfc` is that
/// of the crate `libm`: plain arithmetic, the same everywhere.)
fn squared_quantile(level: f64) -> u64 {
    let (mut too_small, mut enough) = (0, LARGEST);
    while enough - too_small > 1 {
        let middle = u64::midpoint(too_small, enough);
        let tail = libm::erfc((middle as f64 / UNIT as f64 / 2.0).sqrt()) / 2.0;
        if tail <= level { enough = middle } else { too_small = middle }
    }
    enough
}

/// Episodes of two miners.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Difference {
    /// That count for both.
    pub episodes: u64,
    /// Solved by the challenger alone.
    pub challenger: u64,
    /// Solved by the holder alone.
    pub holder: u64,
}

/// Whether the challenger is ahead by more than the gap.
pub(super) fn exceeded(Difference { episodes, challenger, holder }: Difference, squared_quantile: u64) -> bool {
    let Some(ahead) = challenger.checked_sub(holder + 1) else { return false };
    // At most 10,000 episodes: everything below 2^50.
    50 * (ahead + 1) > episodes && ahead * ahead * UNIT > squared_quantile * (challenger + holder)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::binomial::upper_tail;

    #[test]
    fn quantiles_are_those_of_the_tables() {
        for (level, z) in [(0.05, 1.644_853_6), (0.025, 1.959_964), (0.001, 3.090_232_3), (1e-6, 4.753_424_3)] {
            let found = (squared_quantile(level) as f64 / UNIT as f64).sqrt();
            assert!((found - z).abs() < 1e-5, "{level}: {found}");
        }
        let levels = Levels::new(1024);
        let z = [1, 100, 1023].map(|number| (levels.squared_quantile(number) as f64 / UNIT as f64).sqrt());
        assert_eq!(z.map(|z| format!("{z:.2}")), ["2.48", "3.82", "4.36"]);
        let together: f64 = (1..1024).map(|number| 1.0 / (FIRST_LEVEL * f64::from(number))).sum();
        assert!(together < 0.05);
    }

    #[test]
    fn the_gap_is_never_easier_to_exceed_than_the_exact_test() {
        let levels = Levels::new(1024);
        for discordant in (1..300).chain([500, 1000, 3000, 10_000]) {
            for number in [1, 2, 5, 20, 100, 255, 1023] {
                let exceeded = |challenger: &u64| {
                    let holder = discordant - challenger;
                    let difference = Difference { episodes: discordant, challenger: *challenger, holder };
                    exceeded(difference, levels.squared_quantile(number))
                };
                if let Some(first) = (0..=discordant).find(exceeded) {
                    let tail = upper_tail(discordant as u32, 0.5, first as u32);
                    let level = 1.0 / (FIRST_LEVEL * number as f64);
                    assert!(tail <= level, "{discordant} {number}: {first} has {tail}, the level is {level}");
                }
            }
        }
    }

    #[test]
    fn two_points_are_needed_however_many_episodes_there_are() {
        let exceeded = |episodes, challenger| {
            let difference = Difference { episodes, challenger, holder: 0 };
            exceeded(difference, squared_quantile(1.0 / FIRST_LEVEL))
        };
        assert!(!exceeded(10_000, 200));
        assert!(exceeded(10_000, 201));
        // (9 − 1)² = 64 is above 6.14 · 9, and (8 − 1)² = 49 is not above 6.14 · 8.
        assert_eq!([8, 9].map(|challenger| exceeded(50, challenger)), [false, true]);
        assert!(!exceeded(0, 0));
    }
}
