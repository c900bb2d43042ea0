//! Families of subsets of few environments as bit tables: bit S says whether the subset with mask S is a member.
//!
//! "Inside one of these masks" is the downward closure of the masks: set their bits, then, one environment at a time,
//! give every subset's bit to the subset without that environment. On words of 64 bits this takes E · 2^E / 64
//! operations whatever the number of masks.

use super::{Mass, SubsetPoints};

/// Most environments for which tables are made: 128 KiB each.
pub(super) const MAX_TABLE_ENVIRONMENTS: usize = 20;

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

/// A family of subsets of at most [`MAX_TABLE_ENVIRONMENTS`] environments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Family {
    words: Vec<u64>,
}

impl Family {
    /// The family without members.
    pub fn empty(environments: usize) -> Self {
        debug_assert!(environments <= MAX_TABLE_ENVIRONMENTS, "the caller checks the bound first");
        Self { words: vec![0; 1 << environments.saturating_sub(6)] }
    }

    /// Operations for a closure and a sum.
    pub fn work(environments: usize, masks: usize) -> u64 {
        ((environments as u64 + 32) << environments.saturating_sub(6)) + masks as u64
    }

    /// Makes it everything inside one of the masks, the empty set included.
    pub fn become_inside_any(&mut self, environments: usize, masks: impl IntoIterator<Item = u64>) {
        self.words.clear();
        self.words.resize(1 << environments.saturating_sub(6), 0);
        for mask in masks {
            self.words[(mask >> 6) as usize] |= 1 << (mask & 63);
        }
        for environment in 0..environments {
            match WITHOUT.get(environment) {
                Some(without) => {
                    self.words.iter_mut().for_each(|word| *word |= (*word >> (1 << environment)) & without);
                }
                None => {
                    let stride = 1 << (environment - 6);
                    for pair in self.words.chunks_exact_mut(2 * stride) {
                        let (without, with) = pair.split_at_mut(stride);
                        without.iter_mut().zip(with).for_each(|(without, with)| *without |= *with);
                    }
                }
            }
        }
    }

    /// The non-empty subsets inside `within` and inside none of `outside`.
    pub fn inside_but_outside(environments: usize, within: u64, outside: impl IntoIterator<Item = u64>) -> Self {
        let (mut family, mut beaten) = (Self::empty(environments), Self::empty(environments));
        family.become_inside_any(environments, [within]);
        beaten.become_inside_any(environments, outside);
        family.remove(&beaten);
        family.words[0] &= !1;
        family
    }

    /// Adds the members of another family.
    pub fn insert(&mut self, other: &Self) {
        self.words.iter_mut().zip(&other.words).for_each(|(word, other)| *word |= other);
    }

    /// Takes the members of another family away.
    pub fn remove(&mut self, other: &Self) {
        self.words.iter_mut().zip(&other.words).for_each(|(word, other)| *word &= !other);
    }

    /// What the members amount to.
    pub fn mass(&self, worth: SubsetPoints) -> Mass {
        let mut of_size = [0_u64; MAX_TABLE_ENVIRONMENTS + 1];
        for (index, word) in self.words.iter().enumerate().filter(|(_, word)| **word != 0) {
            let of_size = &mut of_size[index.count_ones() as usize..];
            for (members, mask) in of_size.iter_mut().zip(OF_SIZE) {
                *members += u64::from((word & mask).count_ones());
            }
        }
        let masses = (0..).zip(of_size).filter(|(_, members)| *members > 0);
        masses.fold(Mass::NOTHING, |sum, (size, members)| sum + Mass::whole(worth, size).times(members))
    }
}
