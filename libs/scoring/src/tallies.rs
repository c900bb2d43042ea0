//! The input of every scheme: who took part, in what, and how each episode ended.

use std::collections::{BTreeMap, BTreeSet};

use kinitro_domain::{BlockNumber, EnvId, MinerUid, Outcome, Outcomes};
use ndarray::{Array2, ArrayView1, Axis};

use crate::Error;

/// The most miners that one cycle can have.
pub const MAX_MINERS: usize = 1024;
/// The most environments that one cycle can have: sets of environments are 64-bit masks.
pub const MAX_ENVIRONMENTS: usize = 64;
/// The most episodes that one miner can have in one environment.
pub const MAX_EPISODES: usize = 10_000;

/// A miner as the rules see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Miner {
    /// Its place on the subnet.
    pub uid: MinerUid,
    /// The block of the first commitment of its policy: the earlier one has to be beaten.
    pub first_commit_block: BlockNumber,
}

/// The episodes of one miner in one environment.
#[derive(Debug, Clone, PartialEq)]
pub struct Tally {
    /// The miner.
    pub uid: MinerUid,
    /// The environment.
    pub env_id: EnvId,
    /// The outcomes in the order of the cycle's seeds.
    pub outcomes: Outcomes,
    /// Mean of the episodes' total reward over those that count.
    pub mean_reward: f64,
}

/// All tallies of a cycle, checked. Miners are in ascending order of uid, environments in the order they were given;
/// rows are miners and columns environments.
///
/// A pair without a tally was not played at all: its outcomes are as many missing episodes as the others have in that
/// environment (rate 0, mean reward 0, nothing counts).
#[derive(Debug, Clone, PartialEq)]
pub struct Tallies {
    miners: Vec<Miner>,
    environments: Vec<EnvId>,
    outcomes: Array2<Outcomes>,
    mean_rewards: Array2<f64>,
    rates: Array2<f64>,
    /// Successes and episodes that count.
    results: Array2<(u32, u32)>,
    /// By the names of the environments.
    columns: Vec<usize>,
}

impl Tallies {
    /// Checks and arranges the input. The order of miners and tallies has no influence on the result.
    pub fn new(
        mut miners: Vec<Miner>,
        environments: Vec<EnvId>,
        tallies: impl IntoIterator<Item = Tally>,
    ) -> Result<Self, Error> {
        miners.sort_by_key(|miner| miner.uid);
        check_axes(&miners, &environments)?;
        let rows: BTreeMap<MinerUid, usize> = miners.iter().enumerate().map(|(row, miner)| (miner.uid, row)).collect();
        let columns: BTreeMap<&EnvId, usize> =
            environments.iter().enumerate().map(|(column, env_id)| (env_id, column)).collect();

        let shape = (miners.len(), environments.len());
        let mut given: Array2<Option<Outcomes>> = Array2::from_elem(shape, None);
        let mut mean_rewards = Array2::zeros(shape);
        let mut episodes: Vec<Option<usize>> = vec![None; environments.len()];
        for Tally { uid, env_id, outcomes, mean_reward } in tallies {
            let Some(&row) = rows.get(&uid) else { return Err(Error::UnknownMiner { uid, env_id }) };
            let Some(&column) = columns.get(&env_id) else { return Err(Error::UnknownEnvironment { uid, env_id }) };
            let count = outcomes.as_slice().len();
            if count > MAX_EPISODES {
                return Err(Error::TooManyEpisodes { uid, env_id, count, limit: MAX_EPISODES });
            }
            let expected = *episodes[column].get_or_insert(count);
            if count != expected {
                return Err(Error::UnequalEpisodes { uid, env_id, count, expected });
            }
            if !mean_reward.is_finite() {
                return Err(Error::NotFinite { uid, env_id, value: mean_reward });
            }
            if given[(row, column)].replace(outcomes).is_some() {
                return Err(Error::DuplicateTally { uid, env_id });
            }
            mean_rewards[(row, column)] = mean_reward;
        }

        let outcomes = Array2::from_shape_fn(shape, |(row, column)| {
            given[(row, column)]
                .take()
                .unwrap_or_else(|| std::iter::repeat_n(Outcome::Missing, episodes[column].unwrap_or(0)).collect())
        });
        Ok(Self {
            rates: outcomes.map(Outcomes::success_rate),
            columns: columns.into_values().collect(),
            results: outcomes.map(|outcomes| (outcomes.successes(), outcomes.counted())),
            miners,
            environments,
            outcomes,
            mean_rewards,
        })
    }

    /// The same cycle with some of its miners only, as if the others had not taken part.
    pub fn only(&self, keep: impl Fn(MinerUid) -> bool) -> Result<Self, Error> {
        let rows: Vec<usize> = (0..self.miners.len()).filter(|row| keep(self.miners[*row].uid)).collect();
        if rows.is_empty() {
            return Err(Error::NoMiners);
        }
        Ok(Self {
            miners: rows.iter().map(|row| self.miners[*row]).collect(),
            environments: self.environments.clone(),
            outcomes: self.outcomes.select(Axis(0), &rows),
            mean_rewards: self.mean_rewards.select(Axis(0), &rows),
            rates: self.rates.select(Axis(0), &rows),
            results: self.results.select(Axis(0), &rows),
            columns: self.columns.clone(),
        })
    }

    /// The miners, ascending by uid.
    pub fn miners(&self) -> &[Miner] {
        &self.miners
    }

    /// The environments.
    pub fn environments(&self) -> &[EnvId] {
        &self.environments
    }

    /// The outcomes of a miner in an environment, both by index.
    pub fn outcomes(&self, miner: usize, environment: usize) -> &Outcomes {
        &self.outcomes[(miner, environment)]
    }

    /// The mean reward of a miner in an environment, both by index.
    pub fn mean_reward(&self, miner: usize, environment: usize) -> f64 {
        self.mean_rewards[(miner, environment)]
    }

    /// The success rate of a miner in an environment, both by index: in [0, 1], 0 where nothing counts.
    pub fn rate(&self, miner: usize, environment: usize) -> f64 {
        self.rates[(miner, environment)]
    }

    /// How many episodes of a miner in an environment count, both by index.
    pub fn counted(&self, miner: usize, environment: usize) -> u32 {
        self.results[(miner, environment)].1
    }

    /// One miner's successes and episodes that count, over the environments.
    pub(crate) fn results_of(&self, miner: usize) -> ArrayView1<'_, (u32, u32)> {
        self.results.row(miner)
    }

    /// The columns by the names of their environments: bits of masks are in this order, so that nothing depends on the
    /// order in which environments were given.
    pub(crate) fn columns(&self) -> &[usize] {
        &self.columns
    }

    /// Indices of the miners by the block of their first commitment, then by uid.
    pub(crate) fn by_seniority(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.miners.len()).collect();
        order.sort_by_key(|&miner| (self.miners[miner].first_commit_block, self.miners[miner].uid));
        order
    }
}

fn check_axes(miners: &[Miner], environments: &[EnvId]) -> Result<(), Error> {
    if miners.is_empty() {
        return Err(Error::NoMiners);
    }
    if miners.len() > MAX_MINERS {
        return Err(Error::TooManyMiners { count: miners.len(), limit: MAX_MINERS });
    }
    if let Some(pair) = miners.windows(2).find(|pair| pair[0].uid == pair[1].uid) {
        return Err(Error::DuplicateMiner { uid: pair[0].uid });
    }
    if environments.is_empty() {
        return Err(Error::NoEnvironments);
    }
    if environments.len() > MAX_ENVIRONMENTS {
        return Err(Error::TooManyEnvironments { count: environments.len(), limit: MAX_ENVIRONMENTS });
    }
    let mut seen = BTreeSet::new();
    match environments.iter().find(|env_id| !seen.insert(*env_id)) {
        Some(env_id) => Err(Error::DuplicateEnvironment { env_id: env_id.clone() }),
        None => Ok(()),
    }
}
