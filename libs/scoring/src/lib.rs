//! The mathematics of a cycle: tallies in, scores and one weight vector out.
//!
//! Pure: no I/O, no clock, no randomness. The same [`Tallies`] give the same bits on every machine, in every build, and
//! in whatever order miners and tallies are handed in. Three things make that hold:
//!
//! - who beats whom is decided in integers, and points are exact integers (`u128`, see [`SubsetPoints`]); they become
//!   floating point at one place, in the softmax;
//! - floating-point sums run over sorted terms, so their order is a function of the values alone;
//! - `sqrt` is exact by IEEE 754, and `exp` comes from the crate `libm`, which is plain arithmetic. The one in `std` is
//!   the platform's own and may differ in the last bit between two machines.
//!
//! A rule is a [`Scheme`]: named, versioned, with its parameters as a value that can be stored and read back.
//! `published-1` is the rule of `design/scoring.md`, with its weaknesses.

mod error;
mod frontier;
mod published;
mod scheme;
mod subsets;
mod tallies;
mod weights;

pub use error::Error;
pub use frontier::{dominates, pareto_frontier, tolerances};
pub use published::{MAX_COUNTED_ENVIRONMENTS, Published1};
pub use scheme::{MinerScore, Scheme, Scores};
pub use subsets::SubsetPoints;
pub use tallies::{MAX_ENVIRONMENTS, MAX_EPISODES, MAX_MINERS, Miner, Tallies, Tally};
