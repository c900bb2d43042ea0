//! The mathematics of a cycle: tallies in, scores and one weight vector out.
//!
//! Pure: no I/O, no clock, no outside randomness. The same [`Tallies`] give the same bits on every machine, in every build, and
//! in whatever order miners and tallies are handed in. Three things make that hold:
//!
//! - who beats whom is decided in integers, and points are exact integers (`u128`, see [`SubsetPoints`]); they become
//!   floating point at one place, in the softmax (what `guarded-1` takes from a distribution, the successes above a floor
//!   and the quantiles of its gaps, is found by additions, multiplications and divisions in a stated order);
//! - floating-point sums run over sorted terms, so their order is a function of the values alone;
//! - `sqrt` is exact by IEEE 754, and `exp` comes from the crate `libm`, which is plain arithmetic. The one in `std` is
//!   the platform's own and may differ in the last bit between two machines.
//!
//! The work is bounded, in counted operations and never by a clock. A cycle that exceeds the bound gets estimates for some
//! miners' points, with their standard errors ([`MinerScore::standard_error`]); the samples come from a generator that the
//! cycle itself seeds, so they too are the same bits everywhere.
//!
//! A rule is a [`Scheme`]: named, versioned, with its parameters as a value that can be stored and read back.
//! `published-1` is the rule of `design/scoring.md`, with its weaknesses; `guarded-1` mends the worst of them.

mod binomial;
mod contest;
mod error;
mod frontier;
mod guarded;
mod published;
mod ranks;
mod scheme;
mod statistics;
mod subsets;
mod tallies;
mod weights;

pub use error::Error;
pub use frontier::{dominance, dominates, pareto_frontier, tolerances};
pub use guarded::Guarded1;
pub use published::Published1;
pub use scheme::{MinerScore, Scheme, Scores};
pub use statistics::{Comparison, Interval, Paired, comparisons, upper_limit, wilson};
pub use subsets::SubsetPoints;
pub use tallies::{MAX_ENVIRONMENTS, MAX_EPISODES, MAX_MINERS, Miner, Tallies, Tally};
pub use weights::scale;
