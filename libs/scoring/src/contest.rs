//! Who wins which sets of environments, given who beats whom where: what the schemes have in common.
//!
//! The order is by the block of the first commitment, then by uid. A scheme says in which environments a later miner
//! beats an earlier one, as a mask L(later, earlier). The later one beats the earlier one on a set S when S ⊆ L, and
//! otherwise the earlier one holds S. The winner of a set beats everybody else on it. So a miner wins the non-empty
//! sets inside A, the intersection of its masks over all earlier miners, and inside none of the B's, the masks of all
//! later miners over it. Nobody needs to win a set: *a* can be beaten by *c* alone while *c* does not beat *b*.
//!
//! Miners of one block each count as the earlier one when they are tested, so several of them can pass: the first in
//! the order takes the set.

use crate::{
    SubsetPoints, Tallies,
    subsets::{Claim, Counted, divide, most_work},
};

/// The points of every miner, by index.
///
/// `may_win` is what a miner can win at all, for a scheme in which nobody wins some environments (all bits otherwise);
/// `exceeds(later, earlier)` is where the later miner beats the earlier one. Miners are given by their index. Bit *i*
/// of a mask stands for the column `tallies.columns()[i]`; bits beyond the environments are ignored. Neither is called
/// for what cannot matter any more.
pub(crate) fn contest(
    tallies: &Tallies,
    worth: SubsetPoints,
    may_win: impl Fn(usize) -> u64,
    exceeds: impl Fn(usize, usize) -> u64,
) -> Vec<Counted> {
    measured_contest(tallies, worth, may_win, exceeds).0
}

/// [`contest`], and the operations that it took.
pub(crate) fn measured_contest(
    tallies: &Tallies,
    worth: SubsetPoints,
    may_win: impl Fn(usize) -> u64,
    exceeds: impl Fn(usize, usize) -> u64,
) -> (Vec<Counted>, u64) {
    let environments = tallies.environments().len();
    let all = u64::MAX >> (64 - environments);
    let miners = tallies.miners();
    let order = tallies.by_seniority();
    let mut start = 0;
    let mut operations = 0;
    let mut groups = Vec::new();
    for group in order.chunk_by(|a, b| miners[*a].first_commit_block == miners[*b].first_commit_block) {
        let (earlier, not_earlier) = order.split_at(start);
        let claim = |&candidate: &usize| {
            let mut within = all & may_win(candidate);
            for &earlier in earlier {
                if within == 0 {
                    break;
                }
                within &= exceeds(candidate, earlier);
            }
            let others = not_earlier.iter().filter(|other| **other != candidate);
            Claim::new(within, others.map(|other| exceeds(*other, candidate)))
        };
        groups.push(group.iter().map(claim).collect::<Vec<_>>());
        // A mask for every pair, at most, and the reduction of the edges.
        let edges = not_earlier.len() as u64;
        let reduced = groups.last().into_iter().flatten().flatten().count() as u64;
        operations += group.len() as u64 * (order.len() * environments) as u64 + reduced * edges * edges / 8;
        start += group.len();
    }
    let (points, counting) = divide(environments, worth, &groups);
    let mut by_miner = vec![Counted::exact(0); miners.len()];
    for (miner, points) in order.into_iter().zip(points.into_iter().flatten()) {
        by_miner[miner] = points;
    }
    (by_miner, operations + counting)
}

/// Most operations of a contest: a mask for every pair, the reduction of every claim's edges, and [`most_work`].
pub(crate) fn most_operations(miners: usize, environments: usize) -> u64 {
    let (miners_64, environments_64) = (miners as u64, environments as u64);
    miners_64 * miners_64 * environments_64 + miners_64.pow(3) / 8 + most_work(miners, environments)
}
