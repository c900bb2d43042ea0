//! Dividing the sets among all miners, within a bound on the work.
//!
//! A **group** are the miners of one block, in their order; most groups have one. Of what its claim names, a miner gets
//! what no earlier one of its group claims too. For claims C and earlier ones D₁, D₂, … this is C less C ∩ D₁ less what is
//! left of … : f(C; D₁, rest) = f(C; rest) − f(C ∩ D₁; rest). Two claims meet in a claim (the A's are intersected, the
//! edges joined), so every term is counted alike. Where C lies inside a D all is taken, and where they do not meet D does
//! not matter; what remains takes up to 2^(earlier miners) terms.
//!
//! **The bound.** An eighth of the work for counting ([`counting_work`]) is offered to the claims, narrow ones first, to each an equal part of what is
//! then left; the claims that this was not enough for share the rest in the same way. What is still not counted is
//!
//! - over at most 20 environments counted with bit tables, whose work has a bound, so that the result is always exact;
//! - else estimated from samples, with [`SAMPLING_WORK`] for all groups together. A group is estimated as one, and those
//!   of its miners that were counted keep their exact points.

use super::{
    Claim, Counted, Mass, SubsetPoints,
    sample::{estimate, most_sampling},
    table::{Family, MAX_TABLE_ENVIRONMENTS},
    transversals::Transversals,
    work::{Exhausted, Work},
};

/// Operations for counting exactly: so many in any cycle, and more where there is more to count, so that most fields of 1,024 miners
/// without any order among them are exact over 64 environments.
const COUNTING_WORK: u64 = 200_000_000;
const COUNTING_WORK_PER_PAIR: u64 = 10_000;
/// Operations for samples, in a cycle; more only to draw the fewest sets that an estimate has.
const SAMPLING_WORK: u64 = 40_000_000;

/// Most earlier miners of a group that can have a part in one claim: it bounds the depth and the memory, and so many can
/// seldom be counted anyway.
const MAX_MET: usize = 64;

/// Most operations of [`divide`]: what is allowed for counting, then tables for every miner, or samples.
pub(crate) fn most_work(miners: usize, environments: usize) -> u64 {
    let rest = tables(miners, environments).unwrap_or_else(|| most_sampling(miners, SAMPLING_WORK));
    counting_work(miners, environments) + rest
}

/// Where tables can do it, not more than they take.
fn counting_work(miners: usize, environments: usize) -> u64 {
    let allowed = COUNTING_WORK.max(COUNTING_WORK_PER_PAIR * (miners * environments) as u64);
    allowed.min(tables(miners, environments).unwrap_or(u64::MAX))
}

/// Operations for tables for every miner, where there are few enough environments.
fn tables(miners: usize, environments: usize) -> Option<u64> {
    (environments <= MAX_TABLE_ENVIRONMENTS).then(|| 2 * miners as u64 * Family::work(environments, miners))
}

/// The points of every claim of every group; a miner without a claim has none. The second answer is the operations used.
pub(crate) fn divide(
    environments: usize,
    worth: SubsetPoints,
    groups: &[Vec<Option<Claim>>],
) -> (Vec<Vec<Counted>>, u64) {
    let counting = counting_work(groups.iter().map(Vec::len).sum(), environments);
    divide_within(environments, worth, groups, counting, SAMPLING_WORK)
}

fn divide_within(
    environments: usize,
    worth: SubsetPoints,
    groups: &[Vec<Option<Claim>>],
    counting: u64,
    sampling: u64,
) -> (Vec<Vec<Counted>>, u64) {
    let mut points: Vec<Vec<Option<Counted>>> = groups
        .iter()
        .map(|group| group.iter().map(|claim| claim.is_none().then_some(Counted::exact(0))).collect())
        .collect();
    let mut counter = Transversals::new(worth);
    let mut done = 0;
    for left in [counting / 8, counting] {
        let mut open: Vec<(usize, usize)> = (0..groups.len())
            .flat_map(|group| (0..groups[group].len()).map(move |place| (group, place)))
            .filter(|(group, place)| points[*group][*place].is_none())
            .collect();
        // Narrow claims take less; what they leave goes to the wide ones.
        open.sort_by_key(|(group, place)| groups[*group][*place].as_ref().map(|claim| claim.within.count_ones()));
        for (index, (group, place)) in open.iter().enumerate() {
            let earlier = groups[*group][..*place].iter().flatten().collect();
            let Some(claim) = &groups[*group][*place] else { continue };
            let mut work = Work::allow(left.saturating_sub(done) / (open.len() - index) as u64);
            let mass = untaken(&mut counter, claim, earlier, &mut work);
            done += work.done();
            points[*group][*place] = mass.ok().map(|mass| Counted::exact(mass.points(worth)));
        }
    }

    let uncounted = points.iter().filter(|group| group.contains(&None)).count() as u64;
    let divide = |(group, points): (&Vec<Option<Claim>>, Vec<Option<Counted>>)| {
        if !points.contains(&None) {
            return points.into_iter().flatten().collect();
        }
        let (others, operations) = if environments <= MAX_TABLE_ENVIRONMENTS {
            tabulate(environments, worth, group)
        } else {
            sampled(worth, group, sampling / uncounted)
        };
        done += operations;
        points.into_iter().zip(others).map(|(counted, other)| counted.unwrap_or(other)).collect()
    };
    let points = groups.iter().zip(points).map(divide).collect();
    (points, done)
}

/// What a claim amounts to without what the earlier ones of its group claim too.
fn untaken(
    counter: &mut Transversals,
    claim: &Claim,
    earlier: Vec<&Claim>,
    work: &mut Work,
) -> Result<Mass, Exhausted> {
    let mut met = Vec::new();
    for other in earlier {
        work.charge(claim.meeting(other))?;
        match claim.meet(other) {
            Some(common) if common == *claim => return Ok(Mass::NOTHING),
            Some(common) => met.push((other, common)),
            None => {}
        }
    }
    if met.len() > MAX_MET {
        return Err(Exhausted);
    }
    // The smallest intersection first: fewest of the others meet it.
    met.sort_by_key(|(_, common)| (common.within.count_ones(), common.within));
    let mut rest: Vec<&Claim> = met.iter().map(|(other, _)| *other).collect();
    let mut mass = counter.count(claim.within, &claim.edges, work)?;
    if claim.edges.is_empty() {
        mass = mass - Mass::EMPTY_SET;
    }
    // f(C; D₁, D₂, …) = |C| − f(C ∩ D₁; D₂, …) − f(C ∩ D₂; D₃, …) − …
    for (_, common) in &met {
        rest.remove(0);
        mass = mass - untaken(counter, common, rest.clone(), work)?;
    }
    Ok(mass)
}

/// The points of a whole group by bit tables.
fn tabulate(environments: usize, worth: SubsetPoints, group: &[Option<Claim>]) -> (Vec<Counted>, u64) {
    let mut taken = Family::empty(environments);
    let mut operations = 0;
    let mut tabulate = |claim: &Option<Claim>| {
        let Some(Claim { within, edges }) = claim else { return Counted::exact(0) };
        operations += 2 * Family::work(environments, edges.len());
        let mut won = Family::inside_but_outside(environments, *within, edges.iter().map(|edge| within & !edge));
        won.remove(&taken);
        taken.insert(&won);
        Counted::exact(won.mass(worth).points(worth))
    };
    let points = group.iter().map(&mut tabulate).collect();
    (points, operations)
}

/// The points of a whole group by samples.
fn sampled(worth: SubsetPoints, group: &[Option<Claim>], operations: u64) -> (Vec<Counted>, u64) {
    let claims: Vec<Claim> = group.iter().flatten().cloned().collect();
    let (estimates, operations) = estimate(worth, &claims, operations);
    let mut estimates = estimates.into_iter();
    let points = group.iter().map(|claim| match claim {
        Some(_) => estimates.next().unwrap_or(Counted::exact(0)),
        None => Counted::exact(0),
    });
    (points.collect(), operations)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WORTHS: [SubsetPoints; 3] = [SubsetPoints::Linear, SubsetPoints::Exponential, SubsetPoints::Equal];

    /// Groups of claims over so many environments.
    fn groups(environments: usize) -> impl Strategy<Value = Vec<Vec<Option<Claim>>>> {
        let all = u64::MAX >> (64 - environments);
        let mask = (any::<u64>(), any::<u64>(), any::<u64>(), 0..3).prop_map(move |(a, b, c, kind)| match kind {
            0 => a & all,
            1 => (a | b) & all,
            _ => (a | b | c) & all,
        });
        let claim = (mask.clone(), prop::collection::vec(mask, 0..10))
            .prop_map(|(within, outside)| Claim::new(within, outside.into_iter()));
        prop::collection::vec(prop::collection::vec(claim, 1..6), 1..4)
    }

    proptest! {
        #[test]
        fn tables_and_counting_give_the_same_points(groups in groups(9), worth in prop::sample::select(&WORTHS)) {
            let (counted, operations) = divide_within(9, worth, &groups, COUNTING_WORK, SAMPLING_WORK);
            prop_assert!(operations <= COUNTING_WORK);
            for allowed in [0, 100, 1000] {
                prop_assert_eq!(&divide_within(9, worth, &groups, allowed, 0).0, &counted);
            }
        }

        #[test]
        fn estimates_are_within_seven_standard_errors(groups in groups(22), worth in prop::sample::select(&WORTHS)) {
            let (counted, _) = divide_within(22, worth, &groups, u64::MAX / 2, 0);
            let (estimated, _) = divide_within(22, worth, &groups, 0, 4_000_000);
            for (counted, estimated) in counted.iter().flatten().zip(estimated.iter().flatten()) {
                prop_assert_eq!(counted.standard_error, None);
                let error = counted.points as f64 - estimated.points as f64;
                // Points are whole.
                let bound = 1.0 + 7.0 * estimated.standard_error.unwrap_or(0.0);
                prop_assert!(error.abs() <= bound, "{counted:?} {estimated:?}");
            }
        }
    }

    /// Recorded once: what was stored years ago must come out again, on whatever machine and build.
    #[test]
    fn estimates_give_the_recorded_points() {
        let estimate = |worth| {
            let claim = Claim::new(0xff_ffff, (0..12).map(|place| !(0x1113 << place)));
            let counted = divide_within(24, worth, &[vec![claim]], 0, 1_000_000).0[0][0];
            (counted.points, counted.standard_error.map(f64::to_bits))
        };
        let recorded = [
            (156_902_371, Some(4_687_906_363_162_305_280)),
            (135_070_905_067, Some(4_725_613_304_290_753_735)),
            (12_376_504, Some(4_671_857_806_416_902_912)),
        ];
        assert_eq!(WORTHS.map(estimate), recorded);
    }

    /// Over many seeds the mean of the estimates is the count within the error of a mean, and the stated standard error
    /// is their deviation.
    #[test]
    fn estimates_are_unbiased_and_their_errors_are_as_stated() {
        for worth in WORTHS {
            let edge = |turn: u64| [0, 5, 7, 11].iter().fold(0_u64, |edge, place| edge | 1 << ((turn + place) % 24));
            let first = |turn: u64| Claim::new(0xff_ffff, (turn..turn + 12).map(|turn| !edge(turn)));
            // Turning the edges changes the seed and not the count.
            let estimates: Vec<Counted> = (0..24)
                .flat_map(|turn| (0..12).map(move |other| (turn, other)))
                .filter_map(|(turn, other)| {
                    let group = vec![vec![first(turn), Claim::new(0xf << other, std::iter::empty())]];
                    divide_within(24, worth, &group, 0, 1).0[0].first().copied()
                })
                .collect();
            let exact = divide_within(24, worth, &[vec![first(0)]], u64::MAX / 2, 0).0[0][0].points as f64;
            let errors: Vec<f64> = estimates.iter().map(|estimate| estimate.points as f64 - exact).collect();
            let count = errors.len() as f64;
            let stated = estimates.iter().filter_map(|estimate| estimate.standard_error).sum::<f64>() / count;
            let mean = errors.iter().sum::<f64>() / count;
            let deviation = (errors.iter().map(|error| error * error).sum::<f64>() / count).sqrt();
            assert!(mean.abs() < 4.0 * stated / count.sqrt(), "{worth:?}: {mean} of {stated}");
            assert!((0.85..1.15).contains(&(deviation / stated)), "{worth:?}: {deviation} of {stated}");
        }
    }
}
