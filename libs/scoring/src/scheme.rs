//! Schemes: named, versioned rules. A cycle records which one scored it, with its parameters.

use kinitro_domain::MinerUid;
use serde::{Deserialize, Serialize};

use crate::{Error, Guarded1, Published1, Tallies, weights::scale};

/// A rule with its parameters, as it is stored with a cycle:
/// `{"scheme":"published-1","weight_scheme":"linear","pareto_temperature":1.0}`. A name stands for one rule for ever; a
/// rule that gives other bits gets another name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "scheme")]
#[non_exhaustive]
pub enum Scheme {
    /// The rule as published.
    #[serde(rename = "published-1")]
    Published1(Published1),
    /// The rule with floors, paired gaps and a burn uid.
    #[serde(rename = "guarded-1")]
    Guarded1(Guarded1),
}

impl Scheme {
    /// The name, e.g. `published-1`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Published1(_) => "published-1",
            Self::Guarded1(_) => "guarded-1",
        }
    }

    /// Checks the parameters.
    pub fn validate(&self) -> Result<(), Error> {
        match self {
            Self::Published1(rule) => rule.validate(),
            Self::Guarded1(rule) => rule.validate(),
        }
    }

    /// Scores a cycle.
    pub fn score(&self, tallies: &Tallies) -> Result<Scores, Error> {
        match self {
            Self::Published1(rule) => rule.score(tallies),
            Self::Guarded1(rule) => rule.score(tallies),
        }
    }
}

/// What a scheme makes of a cycle.
#[derive(Debug, Clone, PartialEq)]
pub struct Scores {
    /// Every miner of the cycle, ascending by uid.
    pub miners: Vec<MinerScore>,
    /// The miners that nobody ε-dominates, ascending by uid.
    pub pareto_frontier: Vec<MinerUid>,
    /// Who gets the whole weight because nobody earned any, under a scheme that burns. It need not be a miner.
    pub burn: Option<MinerUid>,
}

/// One miner's share.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MinerScore {
    /// The miner.
    pub uid: MinerUid,
    /// Points of the scheme: exact, unless they have a standard error.
    pub points: u128,
    /// Of the points, where they are an estimate because counting them would have exceeded the work allowed; `None`
    /// where they are exact.
    pub standard_error: Option<f64>,
    /// The weight: finite, not negative. All weights of a cycle sum to 1, with that of the burn uid.
    pub weight: f64,
}

impl Scores {
    /// The weights of all miners, and of the burn uid where there is one; ascending by uid.
    pub fn weights(&self) -> Vec<(MinerUid, f64)> {
        let mut weights: Vec<_> = self.miners.iter().map(|miner| (miner.uid, miner.weight)).collect();
        if let Some(burn) = self.burn
            && let Err(place) = weights.binary_search_by_key(&burn, |(uid, _)| *uid)
        {
            weights.insert(place, (burn, 1.0));
        }
        weights
    }

    /// The weights as the chain takes them: scaled so that the largest is 65535, rounded half up, zeros left out,
    /// ascending by uid.
    pub fn weights_u16(&self) -> Vec<(MinerUid, u16)> {
        let (uids, weights): (Vec<_>, Vec<_>) = self.weights().into_iter().unzip();
        uids.into_iter().zip(scale(&weights)).filter(|(_, value)| *value > 0).collect()
    }
}
