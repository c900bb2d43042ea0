//! Schemes: named, versioned rules. A cycle records which one scored it, with its parameters.

use kinitro_domain::MinerUid;
use serde::{Deserialize, Serialize};

use crate::{Error, Published1, Tallies, weights::scale};

/// A rule with its parameters, as it is stored with a cycle:
/// `{"scheme":"published-1","weight_scheme":"linear","pareto_temperature":1.0}`. A name stands for one rule for ever; a
/// rule that gives other bits gets another name.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "scheme")]
#[non_exhaustive]
pub enum Scheme {
    /// The rule as published.
    #[serde(rename = "published-1")]
    Published1(Published1),
}

impl Scheme {
    /// The name, e.g. `published-1`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Published1(_) => "published-1",
        }
    }

    /// Checks the parameters.
    pub fn validate(&self) -> Result<(), Error> {
        match self {
            Self::Published1(rule) => rule.validate(),
        }
    }

    /// Scores a cycle.
    pub fn score(&self, tallies: &Tallies) -> Result<Scores, Error> {
        match self {
            Self::Published1(rule) => rule.score(tallies),
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
}

/// One miner's share.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MinerScore {
    /// The miner.
    pub uid: MinerUid,
    /// Points of the scheme.
    pub points: u128,
    /// The weight: finite, not negative; all weights of a cycle sum to 1.
    pub weight: f64,
}

impl Scores {
    /// The weights as the chain takes them: scaled so that the largest is 65535, rounded half up, zeros left out,
    /// ascending by uid.
    pub fn weights_u16(&self) -> Vec<(MinerUid, u16)> {
        let weights: Vec<f64> = self.miners.iter().map(|miner| miner.weight).collect();
        let scaled = self.miners.iter().map(|miner| miner.uid).zip(scale(&weights));
        scaled.filter(|(_, value)| *value > 0).collect()
    }
}
