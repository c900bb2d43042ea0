//! Counting the sets that contain something of every edge (the hitting sets, or transversals, of a hypergraph).
//!
//! This is the hard part: it is the counting of the solutions of a monotone formula in conjunctive normal form, which is
//! #P-complete, so no algorithm is known whose work does not grow exponentially in the worst case. The steps, in the
//! order in which they are tried on a family of edges:
//!
//! 1. An edge of one environment forces that environment into the set.
//! 2. Edges that share no environment, directly or through others, are counted apart and their masses multiplied.
//! 3. One edge has a closed form; few edges are counted by inclusion–exclusion over their unions, with 2^edges terms; few
//!    environments are counted with a bit table.
//! 4. A family that was met before has its mass in a memo of bounded size.
//! 5. Else an environment that lies in the most edges is chosen. With it in the set its edges are hit; without it they
//!    shrink, and may then lie within others, which fall away.
//!
//! The depth is at most the number of environments; memory is the memo and one family of edges for each level.

use std::collections::HashMap;

use super::{
    Mass, SubsetPoints,
    table::{Family, MAX_TABLE_ENVIRONMENTS},
    work::{Exhausted, Work},
};

/// Inclusion–exclusion is used for at most so many edges.
const FEW_EDGES: usize = 9;
/// A table is used when it takes at most so many operations.
const SMALL_TABLE: u64 = 4000;
/// The memo is emptied when its keys have so many words (8 MiB).
pub(super) const MEMO_WORDS: usize = 1 << 20;
/// Most edges of a family.
pub(super) const MAX_EDGES: usize = 4096;

/// Counts for one worth; keeps its memo from one family to the next.
pub(super) struct Transversals {
    worth: SubsetPoints,
    /// All sets of so many environments.
    all: [Mass; 65],
    /// The families being counted, one behind the other.
    stack: Vec<u64>,
    memo: HashMap<Box<[u64]>, Mass>,
    memo_words: usize,
    table: Family,
    few_edges: usize,
    small_table: u64,
}

impl Transversals {
    pub fn new(worth: SubsetPoints) -> Self {
        let mut environments = 0..;
        Self {
            worth,
            all: [(); 65].map(|()| Mass::all(worth, environments.next().unwrap_or(0))),
            stack: Vec::new(),
            memo: HashMap::new(),
            memo_words: 0,
            table: Family::empty(0),
            few_edges: FEW_EDGES,
            small_table: SMALL_TABLE,
        }
    }

    /// The sets inside `within` that hit all edges. The edges lie inside `within`, and none within another.
    pub fn count(&mut self, within: u64, edges: &[u64], work: &mut Work) -> Result<Mass, Exhausted> {
        if edges.len() > MAX_EDGES {
            return Err(Exhausted);
        }
        self.stack.clear();
        self.stack.extend_from_slice(edges);
        self.inside(within, 0, work)
    }

    /// The sets inside `within` that hit all edges from `start` on, which are taken off the stack.
    fn inside(&mut self, within: u64, start: usize, work: &mut Work) -> Result<Mass, Exhausted> {
        let edges = self.stack.len() - start;
        work.charge(edges as u64 + 4)?;
        let support = union(&self.stack[start..]);
        let mut mass = self.all[(within & !support).count_ones() as usize];

        // Step 1. No other edge contains the environment of such an edge.
        let mut kept = start;
        let mut forced = 0;
        for index in start..self.stack.len() {
            let edge = self.stack[index];
            if edge.is_power_of_two() {
                forced += 1;
            } else {
                self.stack[kept] = edge;
                kept += 1;
            }
        }
        self.stack.truncate(kept);
        if forced > 0 {
            mass = mass * Mass::whole(self.worth, forced);
        }

        // Step 2.
        while self.stack.len() > start {
            let part = self.part(start, work)?;
            mass = mass * self.connected(part, work)?;
        }
        Ok(mass)
    }

    /// Moves the edges connected with one of them to the end; says where they begin.
    fn part(&mut self, start: usize, work: &mut Work) -> Result<usize, Exhausted> {
        let edges = &mut self.stack[start..];
        let mut part = edges[0];
        loop {
            work.charge(edges.len() as u64)?;
            let grown = edges.iter().fold(part, |part, edge| if edge & part == 0 { part } else { part | edge });
            if grown == part {
                break;
            }
            part = grown;
        }
        let mut end = edges.len();
        let mut index = 0;
        while index < end {
            if edges[index] & part == 0 {
                index += 1;
            } else {
                end -= 1;
                edges.swap(index, end);
            }
        }
        Ok(start + end)
    }

    /// The sets inside the union of the edges from `start` on that hit all of them. They are taken off the stack.
    fn connected(&mut self, start: usize, work: &mut Work) -> Result<Mass, Exhausted> {
        let edges = self.stack.len() - start;
        let support = union(&self.stack[start..]);
        let environments = support.count_ones() as usize;

        // Step 3.
        let table = leaf_table(environments, edges);
        if edges <= self.few_edges || table <= self.small_table {
            let edges = &self.stack[start..];
            let mass = if edges.len() <= self.few_edges {
                by_unions(&self.all, edges, environments, work)?
            } else {
                work.charge(table)?;
                by_table(&mut self.table, self.worth, edges, support)
            };
            self.stack.truncate(start);
            return Ok(mass);
        }

        // Step 4.
        work.charge(4 * edges as u64 + 60)?;
        self.stack[start..].sort_unstable();
        if let Some(mass) = self.memo.get(&self.stack[start..]) {
            self.stack.truncate(start);
            return Ok(*mass);
        }
        let key: Box<[u64]> = self.stack[start..].into();

        // Step 5.
        let chosen = most_frequent(&key);
        let rest = support & !chosen;
        self.stack.truncate(start);
        self.stack.extend(key.iter().filter(|edge| *edge & chosen == 0));
        let with = self.inside(rest, start, work)? * Mass::whole(self.worth, 1);
        self.stack.extend(key.iter().filter(|edge| *edge & chosen != 0).map(|edge| edge & !chosen));
        let shrunk = self.stack.len();
        work.charge(((shrunk - start) * (start + edges - shrunk) / 4) as u64)?;
        for edge in key.iter().filter(|edge| *edge & chosen == 0) {
            if !self.stack[start..shrunk].iter().fold(false, |found, smaller| found | (smaller & !edge == 0)) {
                self.stack.push(*edge);
            }
        }
        let mass = with + self.inside(rest, start, work)?;

        if self.memo_words + key.len() > MEMO_WORDS {
            self.memo.clear();
            self.memo_words = 0;
        }
        // An entry has its mass, its pointer and its place besides the key.
        self.memo_words += key.len() + 8;
        self.memo.insert(key, mass);
        Ok(mass)
    }
}

fn union(edges: &[u64]) -> u64 {
    edges.iter().fold(0, |union, edge| union | edge)
}

/// Operations for [`by_table`].
fn leaf_table(environments: usize, edges: usize) -> u64 {
    if environments > MAX_TABLE_ENVIRONMENTS {
        return u64::MAX;
    }
    Family::work(environments, edges * environments / 2)
}

/// All sets less those that miss an edge, plus those that miss two, and so on: a term for each choice of edges, by the
/// size of their union. Charges for the choices that were looked at.
fn by_unions(all: &[Mass; 65], edges: &[u64], environments: usize, work: &mut Work) -> Result<Mass, Exhausted> {
    let mut terms = Unions { balance: [0; 65], visits: 0 };
    terms.visit(edges, 0, 1);
    work.charge(4 * terms.visits)?;
    let terms = terms.balance.iter().zip(all[..=environments].iter().rev());
    Ok(terms.fold(Mass::NOTHING, |sum, (balance, all)| {
        let part = all.times(balance.unsigned_abs());
        if *balance < 0 { sum - part } else { sum + part }
    }))
}

/// The terms of an inclusion–exclusion.
struct Unions {
    /// How many choices of an even number of edges have a union of so many environments, less those of an odd number.
    balance: [i64; 65],
    visits: u64,
}

impl Unions {
    /// All choices that go on from one with this union.
    fn visit(&mut self, edges: &[u64], union: u64, sign: i64) {
        self.visits += 1;
        for (index, edge) in edges.iter().enumerate() {
            if edge & !union == 0 {
                // With it and without it the union is the same: what is left cancels out.
                return;
            }
            self.visit(&edges[index + 1..], union | edge, -sign);
        }
        self.balance[union.count_ones() as usize] += sign;
    }
}

/// A set misses an edge when it lies inside the edge's complement.
fn by_table(table: &mut Family, worth: SubsetPoints, edges: &[u64], support: u64) -> Mass {
    let environments = support.count_ones();
    let complements = edges.iter().map(|edge| compress(support & !edge, support));
    table.become_inside_any(environments as usize, complements);
    Mass::all(worth, environments) - table.mass(worth)
}

/// The bits of `mask` at the places of `support`, moved together.
pub(super) fn compress(mask: u64, support: u64) -> u64 {
    let (mut left, mut packed) = (mask & support, 0);
    while left != 0 {
        let lowest = left & left.wrapping_neg();
        packed |= 1 << (support & (lowest - 1)).count_ones();
        left ^= lowest;
    }
    packed
}

/// The lowest of the environments that lie in the most edges: counted for all environments at once, the binary digits of
/// the counts in one word each.
fn most_frequent(edges: &[u64]) -> u64 {
    let mut digits = [0_u64; 13];
    for edge in edges {
        let mut carry = *edge;
        for digit in &mut digits {
            let overflow = *digit & carry;
            *digit ^= carry;
            carry = overflow;
            if carry == 0 {
                break;
            }
        }
    }
    let most = digits.iter().rev().fold(u64::MAX, |most, digit| if most & digit == 0 { most } else { most & digit });
    most & most.wrapping_neg()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::subsets::Claim;

    fn listed(within: u64, edges: &[u64], worth: SubsetPoints) -> Mass {
        // All submasks of `within`.
        let mut subset = within;
        let mut mass = Mass::NOTHING;
        loop {
            if edges.iter().all(|edge| subset & edge != 0) {
                mass = mass + Mass::whole(worth, subset.count_ones());
            }
            if subset == 0 {
                return mass;
            }
            subset = (subset - 1) & within;
        }
    }

    fn worth() -> impl Strategy<Value = SubsetPoints> {
        prop_oneof![Just(SubsetPoints::Linear), Just(SubsetPoints::Exponential), Just(SubsetPoints::Equal)]
    }

    /// A's, and B's that leave few or many of A's environments.
    fn claim() -> impl Strategy<Value = Option<Claim>> {
        let outside = (any::<u64>(), any::<u64>(), 0..3).prop_map(|(a, b, kind)| match kind {
            0 => a,
            1 => a | b,
            _ => a & b,
        });
        let outside = prop::collection::vec(outside, 0..40);
        (any::<u64>(), outside)
            .prop_map(|(within, outside)| Claim::new(within & 0x1_1111_0f33_0303, outside.into_iter()))
    }

    proptest! {
        #[test]
        fn every_way_of_counting_equals_listing(claim in claim(), worth in worth()) {
            let Some(Claim { within, edges }) = claim else { return Ok(()) };
            let expected = listed(within, &edges, worth);
            // The leaves that are used, then only inclusion-exclusion, only tables, and neither of them.
            for (few_edges, small_table) in [(FEW_EDGES, SMALL_TABLE), (12, 0), (0, u64::MAX - 1), (0, 0)] {
                let mut counter = Transversals { few_edges, small_table, ..Transversals::new(worth) };
                for _ in 0..2 {
                    let mut work = Work::allow(u64::MAX);
                    prop_assert_eq!(counter.count(within, &edges, &mut work), Ok(expected));
                }
            }
        }

        #[test]
        fn an_allowance_is_kept_and_the_counter_can_be_used_again(claim in claim(), limit in 0_u64..20_000) {
            let Some(Claim { within, edges }) = claim else { return Ok(()) };
            let mut counter = Transversals { few_edges: 0, small_table: 0, ..Transversals::new(SubsetPoints::Linear) };
            let mut work = Work::allow(limit);
            let first = counter.count(within, &edges, &mut work);
            prop_assert!(work.done() <= limit);
            let expected = listed(within, &edges, SubsetPoints::Linear);
            prop_assert!(first.is_err() || first == Ok(expected));
            prop_assert_eq!(counter.count(within, &edges, &mut Work::allow(u64::MAX)), Ok(expected));
        }
    }

    #[test]
    fn sixty_four_environments_have_the_closed_forms() {
        for worth in [SubsetPoints::Linear, SubsetPoints::Exponential, SubsetPoints::Equal] {
            let mut counter = Transversals::new(worth);
            let mut count = |edges: &[u64]| {
                counter.count(u64::MAX, edges, &mut Work::allow(u64::MAX)).map(|mass| mass.points(worth))
            };
            // All sets but the empty one; all 32 pairs are hit: 3 ways each; a ring of 64 is hit.
            let all = [64 << 63, (3_u128.pow(64) - 1) / 2, (1 << 64) - 1];
            let pairs: Vec<u64> = (0..32).map(|pair| 3 << (2 * pair)).collect();
            // Of a pair {a}, {b} and {a, b} are left, of sizes 1, 1, 2.
            let hit = [32 * 4 * 3_u128.pow(31), 8_u128.pow(32) / 2, 3_u128.pow(32)];
            // Vertex covers of a ring with 64 places: the Lucas number L(64) for equal points.
            let ring: Vec<u64> = (0..64).map(|place| 3_u64.rotate_left(place)).collect();
            let lucas = (2..=64).fold((2_u128, 1_u128), |(a, b), _| (b, a + b)).1;
            let index = worth as usize;
            assert_eq!(count(&[u64::MAX]), Ok(all[index]));
            assert_eq!(count(&pairs), Ok(hit[index]));
            if worth == SubsetPoints::Equal {
                assert_eq!(count(&ring), Ok(lucas));
            }
        }
    }
}
