//! Counting the subsets of the environments that a miner wins, without asking about each of them.
//!
//! A set of environments is a mask. What a miner wins are the non-empty subsets inside one mask A and inside none of
//! some masks B. All subsets of E environments are 2^E bits, and a family of subsets is such a bit table. "Inside one
//! of these masks" is the downward closure of the masks: set their bits, then, one environment at a time, give every
//! subset's bit to the subset without that environment. On words of 64 bits this takes E · 2^E / 64 operations whatever
//! the number of masks, so the bound of 20 environments is 128 KiB a table and some 330,000 operations a miner, for
//! every instance.

use serde::{Deserialize, Serialize};

/// Most environments for which tables are made.
pub(crate) const MAX_TABLE_ENVIRONMENTS: usize = 20;

/// Bits of a word whose index does not contain environment 0, 1, … 5.
const WITHOUT: [u64; 6] = [
    0x5555_5555_5555_5555,
    0x3333_3333_3333_3333,
    0x0f0f_0f0f_0f0f_0f0f,
    0x00ff_00ff_00ff_00ff,
    0x0000_ffff_0000_ffff,
    0x0000_0000_ffff_ffff,
];

/// Bits of a word whose index has 0, 1, … 6 bits set.
const OF_SIZE: [u64; 7] = {
    let mut masks = [0; 7];
    let mut index = 0_u32;
    while index < 64 {
        masks[index.count_ones() as usize] |= 1 << index;
        index += 1;
    }
    masks
};

/// What a subset of the environments is worth to its winner.
///
/// Points are `u128`. Over 64 environments all subsets together are worth 64 · 2^63 = 2^69 (linear), (3^64 − 1) / 2 <
/// 2^101 (exponential) and 2^64 − 1 (equal): the first two do not fit into 64 bits, and all of them fit into 128.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SubsetPoints {
    /// |S|
    #[default]
    Linear,
    /// 2^(|S| − 1)
    Exponential,
    /// 1
    Equal,
}

impl SubsetPoints {
    /// Points for a subset of so many environments, from 1 to 64.
    pub fn of(self, size: u32) -> u128 {
        match self {
            Self::Linear => u128::from(size),
            Self::Exponential => 1 << size.saturating_sub(1),
            Self::Equal => 1,
        }
    }
}

/// A family of subsets of at most [`MAX_TABLE_ENVIRONMENTS`] environments: bit S says whether the subset with mask S is
/// in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Family {
    environments: usize,
    words: Vec<u64>,
}

impl Family {
    /// The family without members.
    pub(crate) fn empty(environments: usize) -> Self {
        debug_assert!(environments <= MAX_TABLE_ENVIRONMENTS, "the scheme checks its bound first");
        Self { environments, words: vec![0; 1 << environments.saturating_sub(6)] }
    }

    /// Everything inside one of the masks, the empty set included.
    fn inside_any(environments: usize, masks: &[u64]) -> Self {
        let mut family = Self::empty(environments);
        for mask in masks {
            family.words[(mask >> 6) as usize] |= 1 << (mask & 63);
        }
        for environment in 0..environments {
            match WITHOUT.get(environment) {
                Some(without) => {
                    family.words.iter_mut().for_each(|word| *word |= (*word >> (1 << environment)) & without);
                }
                None => {
                    let stride = 1 << (environment - 6);
                    for pair in family.words.chunks_exact_mut(2 * stride) {
                        let (without, with) = pair.split_at_mut(stride);
                        without.iter_mut().zip(with).for_each(|(without, with)| *without |= *with);
                    }
                }
            }
        }
        family
    }

    /// The non-empty subsets inside `within` and inside none of `outside`.
    pub(crate) fn inside_but_outside(environments: usize, within: u64, outside: &[u64]) -> Self {
        if within == 0 || outside.iter().any(|mask| within & !mask == 0) {
            return Self::empty(environments);
        }
        let mut family = Self::inside_any(environments, &[within]);
        family.remove(&Self::inside_any(environments, outside));
        family.words[0] &= !1;
        family
    }

    /// Adds the members of another family.
    pub(crate) fn insert(&mut self, other: &Self) {
        self.words.iter_mut().zip(&other.words).for_each(|(word, other)| *word |= other);
    }

    /// Takes the members of another family away.
    pub(crate) fn remove(&mut self, other: &Self) {
        self.words.iter_mut().zip(&other.words).for_each(|(word, other)| *word &= !other);
    }

    /// The points of all members.
    pub(crate) fn points(&self, worth: SubsetPoints) -> u128 {
        let mut of_size = [0_u64; MAX_TABLE_ENVIRONMENTS + 1];
        for (index, word) in self.words.iter().enumerate().filter(|(_, word)| **word != 0) {
            for (size, mask) in OF_SIZE.iter().enumerate() {
                let members = u64::from((word & mask).count_ones());
                if members > 0 {
                    of_size[index.count_ones() as usize + size] += members;
                }
            }
        }
        (0..).zip(of_size).map(|(size, members)| u128::from(members) * worth.of(size)).sum()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_family_holds_exactly_the_subsets_that_the_definition_names(
            environments in 1_usize..=10,
            within in any::<u64>(),
            outside in prop::collection::vec(any::<u64>(), 0..6),
        ) {
            let all = (1 << environments) - 1;
            let within = within & all;
            let outside: Vec<u64> = outside.into_iter().map(|mask| mask & all).collect();
            let family = Family::inside_but_outside(environments, within, &outside);
            for worth in [SubsetPoints::Linear, SubsetPoints::Exponential, SubsetPoints::Equal] {
                let listed: u128 = (1..=all)
                    .filter(|subset| subset & !within == 0 && outside.iter().all(|mask| subset & !mask != 0))
                    .map(|subset| worth.of(subset.count_ones()))
                    .sum();
                prop_assert_eq!(family.points(worth), listed);
            }
        }
    }

    #[test]
    fn the_largest_table_has_the_closed_forms() {
        let environments = MAX_TABLE_ENVIRONMENTS;
        let family = Family::inside_but_outside(environments, (1 << environments) - 1, &[]);
        assert_eq!(family.points(SubsetPoints::Linear), 20 << 19);
        assert_eq!(family.points(SubsetPoints::Exponential), (3_u128.pow(20) - 1) / 2);
        assert_eq!(family.points(SubsetPoints::Equal), (1 << 20) - 1);
    }

    #[test]
    fn the_points_of_64_environments_fit_the_type() {
        assert_eq!(SubsetPoints::Exponential.of(64), 1 << 63);
        assert!(3_u128.checked_pow(64).is_some_and(|total| (total - 1) / 2 < 1 << 101));
    }
}
