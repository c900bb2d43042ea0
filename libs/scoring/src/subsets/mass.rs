//! What a family of sets amounts to: two numbers from which every worth follows, and their algebra.

use std::ops::{Add, Mul, Sub};

use super::SubsetPoints;

/// The sum of x^|S| and the sum of |S| · x^|S| over a family of sets, where x is 2 for exponential points and else 1.
///
/// Two families over disjoint environments, each set of one joined with each of the other, have the product. Arithmetic
/// wraps: differences may be below zero on the way, and every final value fits (see [`SubsetPoints`]; the second number
/// is at most 64 · 2 · 3^63 < 2^107).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mass {
    sets: u128,
    sizes: u128,
}

impl Mass {
    pub const NOTHING: Self = Self { sets: 0, sizes: 0 };
    /// The empty set alone.
    pub const EMPTY_SET: Self = Self { sets: 1, sizes: 0 };

    /// What exactly one environment, present, amounts to.
    fn one(worth: SubsetPoints) -> Self {
        let x = match worth {
            SubsetPoints::Exponential => 2,
            SubsetPoints::Linear | SubsetPoints::Equal => 1,
        };
        Self { sets: x, sizes: x }
    }

    /// All sets of so many environments.
    pub fn all(worth: SubsetPoints, environments: u32) -> Self {
        (0..environments).fold(Self::EMPTY_SET, |mass, _| mass * (Self::EMPTY_SET + Self::one(worth)))
    }

    /// The one set of exactly so many environments.
    pub fn whole(worth: SubsetPoints, environments: u32) -> Self {
        (0..environments).fold(Self::EMPTY_SET, |mass, _| mass * Self::one(worth))
    }

    /// So many times.
    pub fn times(self, count: u64) -> Self {
        Self { sets: self.sets.wrapping_mul(u128::from(count)), sizes: self.sizes.wrapping_mul(u128::from(count)) }
    }

    /// The points of a family without the empty set.
    pub fn points(self, worth: SubsetPoints) -> u128 {
        match worth {
            SubsetPoints::Linear => self.sizes,
            // Every term is even.
            SubsetPoints::Exponential => self.sets / 2,
            SubsetPoints::Equal => self.sets,
        }
    }
}

impl Add for Mass {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { sets: self.sets.wrapping_add(other.sets), sizes: self.sizes.wrapping_add(other.sizes) }
    }
}

impl Sub for Mass {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self { sets: self.sets.wrapping_sub(other.sets), sizes: self.sizes.wrapping_sub(other.sizes) }
    }
}

impl Mul for Mass {
    type Output = Self;

    fn mul(self, other: Self) -> Self {
        Self {
            sets: self.sets.wrapping_mul(other.sets),
            sizes: self.sizes.wrapping_mul(other.sets).wrapping_add(self.sets.wrapping_mul(other.sizes)),
        }
    }
}
