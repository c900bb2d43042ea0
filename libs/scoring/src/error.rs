//! What is wrong with an input.

use kinitro_domain::{EnvId, MinerUid};

/// Why a cycle cannot be scored. Each variant names the miner and the environment at fault.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is nobody to score.
    #[error("there are no miners: a cycle needs at least one")]
    NoMiners,
    /// The field is larger than a subnet can be.
    #[error("{count} miners are more than the {limit} that can be scored")]
    TooManyMiners {
        /// How many there are.
        count: usize,
        /// How many there may be.
        limit: usize,
    },
    /// A uid is listed twice.
    #[error("miner {uid} is listed twice: list each miner once")]
    DuplicateMiner {
        /// The uid.
        uid: MinerUid,
    },
    /// There is nothing to compare on.
    #[error("there are no environments: a cycle needs at least one")]
    NoEnvironments,
    /// More environments than masks have bits.
    #[error("{count} environments are more than the {limit} that can be scored: evaluate fewer of them in a cycle")]
    TooManyEnvironments {
        /// How many there are.
        count: usize,
        /// How many there may be.
        limit: usize,
    },
    /// An environment is listed twice.
    #[error("environment {env_id} is listed twice: list each environment once")]
    DuplicateEnvironment {
        /// The environment.
        env_id: EnvId,
    },
    /// A tally belongs to nobody.
    #[error("there is a tally of miner {uid} in {env_id}, but no such miner in the cycle")]
    UnknownMiner {
        /// The uid of the tally.
        uid: MinerUid,
        /// The environment of the tally.
        env_id: EnvId,
    },
    /// A tally belongs to no environment.
    #[error("there is a tally of miner {uid} in {env_id}, but no such environment in the cycle")]
    UnknownEnvironment {
        /// The uid of the tally.
        uid: MinerUid,
        /// The environment of the tally.
        env_id: EnvId,
    },
    /// Two tallies for one miner in one environment.
    #[error("there are two tallies of miner {uid} in {env_id}: hand in one")]
    DuplicateTally {
        /// The miner.
        uid: MinerUid,
        /// The environment.
        env_id: EnvId,
    },
    /// A number is NaN or infinite.
    #[error("the mean reward of miner {uid} in {env_id} is not finite ({value})")]
    NotFinite {
        /// The miner.
        uid: MinerUid,
        /// The environment.
        env_id: EnvId,
        /// The number.
        value: f64,
    },
    /// A tally is longer than any cycle.
    #[error("miner {uid} has {count} episodes in {env_id}, more than the {limit} that can be scored")]
    TooManyEpisodes {
        /// The miner.
        uid: MinerUid,
        /// The environment.
        env_id: EnvId,
        /// How many there are.
        count: usize,
        /// How many there may be.
        limit: usize,
    },
    /// The tallies of one environment do not belong to the same seeds.
    #[error(
        "miner {uid} has {count} episodes in {env_id} where others have {expected}: outcomes follow the cycle's seeds, write \
         `-` for what was not played"
    )]
    UnequalEpisodes {
        /// The miner.
        uid: MinerUid,
        /// The environment.
        env_id: EnvId,
        /// How many this miner has.
        count: usize,
        /// How many the others have.
        expected: usize,
    },
    /// A parameter of the scheme is out of its range.
    #[error("pareto_temperature must be finite and greater than 0, not {0}")]
    Temperature(f64),
    /// A threshold is out of its range, or too fine to be compared exactly.
    #[error("{parameter} must be 0 to {most} with at most {decimals} decimals, not {value}")]
    Threshold {
        /// Which parameter.
        parameter: &'static str,
        /// What it is.
        value: f64,
        /// The most that it can be.
        most: f64,
        /// How many decimals count.
        decimals: u32,
    },
    /// The least gap is larger than the largest.
    #[error("threshold_min_gap is {least}, above threshold_max_gap, which is {most}: lower the one or raise the other")]
    Gaps {
        /// The least gap.
        least: f64,
        /// The largest gap.
        most: f64,
    },
    /// A floor is no success rate that somebody could be above.
    #[error("the floor of {env_id} must be at least 0 and less than 1, not {floor}")]
    Floor {
        /// The environment.
        env_id: EnvId,
        /// The floor.
        floor: f64,
    },
}
