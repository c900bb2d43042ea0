//! Estimating what a group of miners wins, where counting it would take too much work.
//!
//! Sets are drawn with a probability proportional to their worth, with replacement, from those inside the union of the
//! miners' A's. The share of them that a miner wins, times the worth of all of them, T, is an unbiased estimate of its
//! points. With the share h/n its standard error is T·√(p(1−p)/n), for which p is taken as (h+1)/(n+2): a share of 0 or 1
//! among the drawn does not make the error 0. So the error is at most T/2√n whatever the instance. Relative to points that
//! are few among T it can be large. (Karp and Luby's estimate, over the union of the B's, is better only when the B's are
//! worth less than T together, hence when a set is almost never beaten; then both are precise.)
//!
//! 64 sets are drawn at once: one word for each environment, with one bit for each set. The generator is SplitMix64, and
//! its seed a function of the claims, so that the same instance gives the same estimate everywhere.

use super::{Claim, Counted, Mass, SubsetPoints};

/// At most so many times 64 sets are drawn.
const MAX_BLOCKS: u64 = 1 << 14;
/// At least so many, whatever is left of the work: 1,024 sets, an error of at most 1.6 % of T.
const MIN_BLOCKS: u64 = 16;

/// The points of every claim, given in the order in which they take a set. `operations` bounds the work (see
/// [`MIN_BLOCKS`]); the answer has what was used.
pub(super) fn estimate(worth: SubsetPoints, claims: &[Claim], operations: u64) -> (Vec<Counted>, u64) {
    let universe = claims.iter().fold(0, |universe, claim| universe | claim.within);
    let members: Vec<u64> = environments(universe).collect();
    let block_work = 64 + 16 * members.len() as u64 + claims.iter().map(lookups).sum::<u64>();
    let blocks = (operations / block_work).clamp(MIN_BLOCKS, MAX_BLOCKS);
    let mut random = SplitMix64::seeded(worth, claims);
    let mut wins = vec![0_u64; claims.len()];
    let mut drawn = [0_u64; 64];
    for _ in 0..blocks {
        draw(worth, &members, &mut random, &mut drawn);
        let mut unclaimed = members.iter().fold(0, |some, member| some | drawn[*member as usize]);
        for (claim, wins) in claims.iter().zip(&mut wins) {
            if unclaimed == 0 {
                break;
            }
            let outside = environments(universe & !claim.within).fold(0, |any, member| any | drawn[member as usize]);
            let mut won = unclaimed & !outside;
            for edge in &claim.edges {
                if won == 0 {
                    break;
                }
                won &= environments(*edge).fold(0, |any, member| any | drawn[member as usize]);
            }
            unclaimed &= !won;
            *wins += u64::from(won.count_ones());
        }
    }
    let total = Mass::all(worth, universe.count_ones());
    let counted = wins.into_iter().map(|wins| {
        let sets = 64 * blocks;
        let share = (wins as f64 + 1.0) / (sets as f64 + 2.0);
        let deviation = (share * (1.0 - share) / sets as f64).sqrt();
        Counted {
            points: (total.times(wins).points(worth) + u128::from(sets / 2)) / u128::from(sets),
            standard_error: Some(total.points(worth) as f64 * deviation),
        }
    });
    (counted.collect(), blocks * block_work)
}

/// Most operations for so many claims, in one group or in several, with so many operations to share.
pub(super) fn most_sampling(claims: usize, operations: u64) -> u64 {
    let claims = claims as u64;
    let block_of_all = claims * (64 + 16 * 64) + claims * (64 + 65 * claims);
    operations.max(MIN_BLOCKS * block_of_all) + MIN_BLOCKS * block_of_all
}

/// Operations for one claim in one block, at most.
fn lookups(claim: &Claim) -> u64 {
    64 + claim.edges.iter().map(|edge| 1 + u64::from(edge.count_ones())).sum::<u64>()
}

/// The places of the bits.
fn environments(mut mask: u64) -> impl Iterator<Item = u64> {
    std::iter::from_fn(move || {
        let lowest = (mask != 0).then(|| u64::from(mask.trailing_zeros()))?;
        mask &= mask - 1;
        Some(lowest)
    })
}

/// Draws 64 sets with probabilities proportional to their worth.
fn draw(worth: SubsetPoints, members: &[u64], random: &mut SplitMix64, drawn: &mut [u64; 64]) {
    for member in members {
        drawn[*member as usize] = match worth {
            SubsetPoints::Exponential => random.two_thirds(),
            SubsetPoints::Linear | SubsetPoints::Equal => random.word(),
        };
    }
    if worth == SubsetPoints::Linear {
        // |S| counts the pairs of a set and one of its environments: draw such a pair.
        for set in 0..64 {
            drawn[members[random.below(members.len() as u64) as usize] as usize] |= 1 << set;
        }
    }
}

/// Steele, Lea and Flood, "Fast splittable pseudorandom number generators" (2014).
struct SplitMix64(u64);

impl SplitMix64 {
    fn seeded(worth: SubsetPoints, claims: &[Claim]) -> Self {
        let mut random = Self(worth.of(2) as u64);
        for word in claims
            .iter()
            .flat_map(|claim| [claim.within, claim.edges.len() as u64].into_iter().chain(claim.edges.iter().copied()))
        {
            random.0 ^= word;
            random.0 = random.word();
        }
        random
    }

    fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Evenly below a bound (Lemire 2019).
    fn below(&mut self, bound: u64) -> u64 {
        loop {
            let product = u128::from(self.word()) * u128::from(bound);
            if product as u64 >= bound.wrapping_neg() % bound {
                return (product >> 64) as u64;
            }
        }
    }

    /// Each bit is set with probability 2/3: a random number is compared with 0.101010… digit by digit, until they differ
    /// for every bit.
    fn two_thirds(&mut self) -> u64 {
        let (mut below, mut equal, mut digit) = (0, u64::MAX, u64::MAX);
        while equal != 0 {
            let random = self.word();
            below |= equal & digit & !random;
            equal &= !(random ^ digit);
            digit = !digit;
        }
        below
    }
}
