//! What the outcomes say about the miners beyond their points: for people, without any influence on the weights.

use kinitro_domain::{MinerUid, Outcome, Outcomes};

use crate::{Scores, Tallies, binomial};

/// Two-sided 95 %.
const Z_INTERVAL: f64 = 1.959_963_984_540_054;
/// Power 80 %.
const Z_POWER: f64 = 0.841_621_233_572_914_4;

/// Where a rate lies, with 95 % confidence.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// At least 0.
    pub lower: f64,
    /// At most 1.
    pub upper: f64,
}

/// Wilson's interval of a rate (*Probable inference, the law of succession, and statistical inference*, JASA 22, 1927):
/// the rates p for which |p̂ − p| ≤ z·√(p(1 − p)/n). From 0 to 1 without trials. `successes` need not be whole: for the
/// sum of values between 0 and 1, whose variance is at most that of successes with the same mean, the interval of the
/// mean is a cautious one.
pub fn wilson(successes: f64, trials: f64) -> Interval {
    if trials <= 0.0 {
        return Interval { lower: 0.0, upper: 1.0 };
    }
    let (rate, z2) = (successes / trials, Z_INTERVAL * Z_INTERVAL);
    let centre = rate + z2 / (2.0 * trials);
    let half = Z_INTERVAL * (rate * (1.0 - rate) / trials + z2 / (4.0 * trials * trials)).sqrt();
    let scale = 1.0 + z2 / trials;
    // At the ends it is exactly 0 or 1, and rounding would miss it.
    let lower = if successes <= 0.0 { 0.0 } else { ((centre - half) / scale).max(0.0) };
    let upper = if successes >= trials { 1.0 } else { ((centre + half) / scale).min(1.0) };
    Interval { lower, upper }
}

/// The upper limit of a rate by Clopper and Pearson, one-sided with 95 % confidence: the largest rate at which so few
/// successes still have a probability of 5 %. 1 without trials.
pub fn upper_limit(successes: u32, trials: u32) -> f64 {
    if successes >= trials {
        return 1.0;
    }
    let (mut possible, mut impossible) = (f64::from(successes) / f64::from(trials), 1.0);
    // A double has no more digits.
    for _ in 0..52 {
        let middle = f64::midpoint(possible, impossible);
        if binomial::lower_tail(trials, middle, successes) > 0.05 { possible = middle } else { impossible = middle }
    }
    impossible
}

/// How two miners did in the episodes that count for both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Paired {
    /// How many there are.
    pub episodes: u32,
    /// Solved by the first alone.
    pub only_first: u32,
    /// Solved by the second alone.
    pub only_second: u32,
}

impl Paired {
    /// Compares outcomes of the same seeds; those on seeds drawn anew are left out.
    pub fn of(first: &Outcomes, second: &Outcomes) -> Self {
        let pairs = first.as_slice().iter().zip(second.as_slice());
        pairs.fold(Self::default(), |mut paired, (first, second)| {
            let both = first.is_shared() && second.is_shared();
            let (first, second) = (*first == Outcome::Success, *second == Outcome::Success);
            paired.episodes += u32::from(both);
            paired.only_first += u32::from(both && first && !second);
            paired.only_second += u32::from(both && second && !first);
            paired
        })
    }

    /// Both together.
    pub fn and(self, other: Self) -> Self {
        Self {
            episodes: self.episodes + other.episodes,
            only_first: self.only_first + other.only_first,
            only_second: self.only_second + other.only_second,
        }
    }

    /// The first one's rate less the second one's; 0 without episodes.
    pub fn difference(self) -> f64 {
        match self.episodes {
            0 => 0.0,
            episodes => (f64::from(self.only_first) - f64::from(self.only_second)) / f64::from(episodes),
        }
    }

    /// McNemar's exact test: the probability, if the two are equally good, of a split of the episodes that only one of
    /// them solved at least as uneven as this one, in either direction.
    pub fn p_value(self) -> f64 {
        let fewer = self.only_first.min(self.only_second);
        (2.0 * binomial::lower_tail(self.only_first + self.only_second, 0.5, fewer)).min(1.0)
    }

    /// How many further episodes would be needed to find a difference as large as this one: by McNemar's test at 5 %,
    /// two-sided, with a power of 80 %. `None` when there is no difference; 0 when there are enough already.
    ///
    /// With ψ the share of episodes that only one of the two solved and d the difference, (z₁√ψ + z₂√(ψ − d²))²/d²
    /// episodes are needed in all (Connor, *Sample size for testing differences in proportions for the paired-sample
    /// design*, Biometrics 43, 1987), z₁ = 1.96 and z₂ = 0.84; and so many that six of them are solved by one alone, because
    /// with five the exact test finds nothing at 5 %.
    pub fn more_episodes(self) -> Option<u64> {
        let difference = self.difference();
        if difference == 0.0 {
            return None;
        }
        let share = f64::from(self.only_first + self.only_second) / f64::from(self.episodes);
        let root = Z_INTERVAL * share.sqrt() + Z_POWER * (share - difference * difference).max(0.0).sqrt();
        let needed = (root * root / (difference * difference)).max(6.0 / share);
        // At most some 10⁹: ψ ≤ 1, and d is at least one of 64 · 10,000 episodes.
        Some((needed.ceil() as u64).saturating_sub(u64::from(self.episodes)))
    }
}

/// Two miners that stand next to each other.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// The one ahead in rank.
    pub ahead: MinerUid,
    /// The other one.
    pub behind: MinerUid,
    /// Nobody is between them in rank (points, then seniority).
    pub neighbours_in_rank: bool,
    /// Nobody is between them in the order of first commitments.
    pub neighbours_in_commit_order: bool,
    /// By environment, in the order of the tallies; the first is the one ahead.
    pub environments: Vec<Paired>,
}

impl Comparison {
    /// All environments together.
    pub fn overall(&self) -> Paired {
        self.environments.iter().copied().fold(Paired::default(), Paired::and)
    }
}

/// Compares neighbours: those in rank first, then those in the order of commitments that are not neighbours in rank.
/// The scores are those of the tallies.
pub fn comparisons(tallies: &Tallies, scores: &Scores) -> Vec<Comparison> {
    let seniority = tallies.by_seniority();
    let mut ranking = seniority.clone();
    // Stable: of equal points the senior one is ahead.
    ranking.sort_by_key(|&miner| std::cmp::Reverse(scores.miners[miner].points));
    let places = |order: &[usize]| {
        let mut places = vec![0; order.len()];
        order.iter().enumerate().for_each(|(place, &miner)| places[miner] = place);
        places
    };
    let (rank, place) = (places(&ranking), places(&seniority));
    let by_rank = ranking.windows(2).map(|pair| (pair[0], pair[1]));
    let by_commitment = seniority
        .windows(2)
        .map(|pair| if rank[pair[0]] < rank[pair[1]] { (pair[0], pair[1]) } else { (pair[1], pair[0]) });
    let by_commitment = by_commitment.filter(|(ahead, behind)| rank[*behind] - rank[*ahead] > 1);
    by_rank
        .chain(by_commitment)
        .map(|(ahead, behind)| Comparison {
            ahead: tallies.miners()[ahead].uid,
            behind: tallies.miners()[behind].uid,
            neighbours_in_rank: rank[behind] - rank[ahead] == 1,
            neighbours_in_commit_order: place[ahead].abs_diff(place[behind]) == 1,
            environments: (0..tallies.environments().len())
                .map(|column| Paired::of(tallies.outcomes(ahead, column), tallies.outcomes(behind, column)))
                .collect(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wilsons_interval_is_that_of_the_literature() {
        // Newcombe, Statistics in Medicine 17, 1998, table I, method 3.
        for (successes, trials, lower, upper) in
            [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)]
        {
            let found = wilson(f64::from(successes), f64::from(trials));
            assert!((found.lower - lower).abs() < 5e-5 && (found.upper - upper).abs() < 5e-5, "{found:?}");
        }
        assert_eq!(wilson(0.0, 0.0), Interval { lower: 0.0, upper: 1.0 });
        assert_eq!(wilson(7.0, 7.0).upper, 1.0);
    }

    #[test]
    fn the_upper_limit_without_successes_has_a_closed_form() {
        for trials in [1, 10, 50, 1000] {
            let by_hand = 1.0 - 0.05_f64.powf(1.0 / f64::from(trials));
            assert!((upper_limit(0, trials) - by_hand).abs() < 1e-12);
        }
        assert_eq!((upper_limit(5, 5), upper_limit(0, 0)), (1.0, 1.0));
        let limit = upper_limit(3, 50);
        assert!((binomial::lower_tail(50, limit, 3) - 0.05).abs() < 1e-9, "{limit}");
    }

    #[test]
    fn pairs_are_counted_where_both_were_played() {
        let outcomes = |text: &str| text.parse::<Outcomes>().expect("valid");
        let paired = Paired::of(&outcomes("1101-10sf1"), &outcomes("101001011s"));
        assert_eq!(paired, Paired { episodes: 6, only_first: 2, only_second: 1 });
        assert_eq!(paired.difference(), 1.0 / 6.0);
        assert_eq!(Paired::default().difference(), 0.0);
    }

    #[test]
    fn mcnemars_test_is_exact() {
        let p_value = |only_first, only_second| Paired { episodes: 100, only_first, only_second }.p_value();
        // 2 · (1 + 10) / 1024.
        assert!((p_value(9, 1) - 22.0 / 1024.0).abs() < 1e-15);
        assert_eq!(p_value(9, 1), p_value(1, 9));
        assert_eq!((p_value(0, 0), p_value(5, 5), p_value(6, 5)), (1.0, 1.0, 1.0));
        assert!((p_value(20, 0) - 2.0_f64.powi(-19)).abs() < 1e-18);
    }

    #[test]
    fn the_number_of_episodes_follows_connors_formula() {
        let paired = Paired { episodes: 50, only_first: 10, only_second: 5 };
        // ψ = 0.3 and d = 0.1: (1.96·0.5477 + 0.8416·0.5385)² / 0.01 = 233.2.
        assert_eq!(paired.more_episodes(), Some(234 - 50));
        assert_eq!(Paired { episodes: 50, only_first: 30, only_second: 0 }.more_episodes(), Some(0));
        assert_eq!(Paired { episodes: 4, only_first: 4, only_second: 0 }.more_episodes(), Some(2));
        assert_eq!(Paired { episodes: 50, only_first: 5, only_second: 5 }.more_episodes(), None);
        assert_eq!(Paired::default().more_episodes(), None);
    }
}
