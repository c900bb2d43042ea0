//! Counting the sets of environments that miners win, without asking about each of them.
//!
//! A set of environments is a mask. What a miner wins are the non-empty sets inside one mask A and inside none of some
//! masks B: a [`Claim`]. Over 50 environments there are 2^50 sets, so they are counted by structure (see
//! `transversals`), and [`divide`] bounds the work: an instance that exceeds it is estimated and says so ([`Counted`]).
//!
//! The worst case is exponential and stays so, as the problem is #P-complete. What bounds the harm is that the work is
//! counted in operations. Up to 20 environments the result is always exact.

mod claim;
mod division;
mod mass;
mod sample;
mod table;
mod transversals;
mod work;

use serde::{Deserialize, Serialize};

pub(crate) use claim::Claim;
pub(crate) use division::{divide, most_work};
use mass::Mass;

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

/// What somebody's subsets are worth together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Counted {
    /// Exact, unless there is a standard error.
    pub points: u128,
    /// Of an estimate.
    pub standard_error: Option<f64>,
}

impl Counted {
    /// Counted to the last one.
    pub(crate) fn exact(points: u128) -> Self {
        Self { points, standard_error: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_points_of_64_environments_fit_the_type() {
        assert_eq!(SubsetPoints::Exponential.of(64), 1 << 63);
        assert!(3_u128.checked_pow(64).is_some_and(|total| (total - 1) / 2 < 1 << 101));
    }
}
