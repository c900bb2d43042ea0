//! `guarded-1`: subset winners of whom each stands above the floor, with gaps that a copy does not exceed by luck.
//!
//! The order, the subsets and their worth are those of `published-1`. Three things are different.
//!
//! - **Floors.** An environment has a declared floor, the success of somebody who does nothing useful. A miner stands
//!   above it when the one-sided 95 % lower confidence limit of its rate is above the floor (see [`floor`]). Who does
//!   not, wins no set that contains the environment, beats nobody in it, and is beaten in it by everybody who does,
//!   whatever the order and without a gap.
//! - **Gaps.** A later miner beats an earlier one in an environment when it is ahead on the episodes that count for both
//!   by more than 0.02 and by more than z standard errors of the paired difference (see [`gap`]); z grows with the
//!   challenger's number, so that all challengers of one miner together are lucky in fewer than 5 % of cycles.
//! - **Pay.** Weights are the softmax over those who earned points; the others get exactly 0. When nobody earned any,
//!   the whole weight goes to the burn uid.
//!
//! Miners that committed later than a challenger do not make its gap wider. Else an earlier miner could have a hundred
//! accounts commit after its strongest challenger, and so take the crown back.

mod floor;
mod gap;
mod paired;

use std::collections::BTreeMap;

use kinitro_domain::{EnvId, MinerUid};
use serde::{Deserialize, Serialize};

use self::{gap::Levels, paired::Paired};
use crate::{
    Error, MinerScore, Scores, SubsetPoints, Tallies, contest::contest, frontier::pareto_frontier, subsets::Counted,
    weights::softmax,
};

/// The parameters of `guarded-1`. What the rule fixes is no parameter: 95 % for the floor, less than 5 % for all
/// challengers of a miner together, a gap of at least 0.02.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Guarded1 {
    /// What a subset is worth to its winner.
    pub weight_scheme: SubsetPoints,
    /// Temperature of the softmax that turns points into weights; finite and greater than 0.
    pub pareto_temperature: f64,
    /// The floor of each environment, at least 0 and less than 1; 0 for one that is not listed. What the cycle does not
    /// have is ignored.
    pub floors: BTreeMap<EnvId, f64>,
    /// Who gets the whole weight when nobody earned any. It need not take part, but the chain refuses weights for a uid
    /// that the subnet does not have.
    pub burn_uid: MinerUid,
}

impl Guarded1 {
    /// Checks the parameters.
    pub fn validate(&self) -> Result<(), Error> {
        if !(self.pareto_temperature.is_finite() && self.pareto_temperature > 0.0) {
            return Err(Error::Temperature(self.pareto_temperature));
        }
        match self.floors.iter().find(|(_, floor)| !(0.0..1.0).contains(*floor)) {
            Some((env_id, floor)) => Err(Error::Floor { env_id: env_id.clone(), floor: *floor }),
            None => Ok(()),
        }
    }

    /// Scores a cycle.
    pub fn score(&self, tallies: &Tallies) -> Result<Scores, Error> {
        self.validate()?;
        let counted = self.points(tallies);
        let points: Vec<u128> = counted.iter().map(|counted| counted.points).collect();
        let burn = points.iter().all(|points| *points == 0).then_some(self.burn_uid);
        let weights = match burn {
            Some(burn) => tallies.miners().iter().map(|miner| f64::from(miner.uid == burn)).collect(),
            None => earners_softmax(&points, self.pareto_temperature),
        };
        let frontier = pareto_frontier(tallies);
        Ok(Scores {
            pareto_frontier: frontier.into_iter().map(|miner| tallies.miners()[miner].uid).collect(),
            miners: (tallies.miners().iter().zip(counted).zip(weights))
                .map(|((miner, counted), weight)| MinerScore {
                    uid: miner.uid,
                    points: counted.points,
                    standard_error: counted.standard_error,
                    weight,
                })
                .collect(),
            burn,
        })
    }

    fn points(&self, tallies: &Tallies) -> Vec<Counted> {
        let columns = tallies.columns();
        let floors: Vec<f64> =
            tallies.environments().iter().map(|env_id| self.floors.get(env_id).copied().unwrap_or(0.0)).collect();
        let above = floor::above(tallies, &floors);
        let paired = Paired::new(tallies);
        let levels = Levels::new(tallies.miners().len());
        let numbers = Numbers::new(tallies);
        let beats = |later: usize, earlier: usize| {
            let squared_quantile = levels.squared_quantile(numbers.of(later, earlier));
            let contested = above[later] & above[earlier];
            let ahead =
                (0..).zip(columns).filter(|(bit, _)| contested >> bit & 1 == 1).fold(0, |mask, (bit, column)| {
                    let difference = paired.difference(later, earlier, *column);
                    let ahead = difference.is_some_and(|difference| gap::exceeded(difference, squared_quantile));
                    mask | u64::from(ahead) << bit
                });
            (above[later] & !above[earlier]) | ahead
        };
        contest(tallies, self.weight_scheme, |miner| above[miner], beats)
    }
}

/// Softmax over those with points; exactly 0 for the others.
fn earners_softmax(points: &[u128], temperature: f64) -> Vec<f64> {
    let earned: Vec<u128> = points.iter().copied().filter(|points| *points > 0).collect();
    let mut weights = softmax(&earned, temperature).into_iter();
    points.iter().map(|points| if *points > 0 { weights.next().unwrap_or(0.0) } else { 0.0 }).collect()
}

/// Which challenger of an earlier miner somebody is: the first, the second, …
struct Numbers {
    /// Of every miner, the place in the order.
    place: Vec<usize>,
    /// Of every miner, the place of the first one with the same block.
    start: Vec<usize>,
}

impl Numbers {
    fn new(tallies: &Tallies) -> Self {
        let order = tallies.by_seniority();
        let miners = tallies.miners();
        let mut numbers = Self { place: vec![0; miners.len()], start: vec![0; miners.len()] };
        let mut start = 0;
        for (place, &miner) in order.iter().enumerate() {
            if miners[order[start]].first_commit_block != miners[miner].first_commit_block {
                start = place;
            }
            (numbers.place[miner], numbers.start[miner]) = (place, start);
        }
        numbers
    }

    /// From 1. The challengers of a miner are all who did not commit before it, in their order.
    fn of(&self, challenger: usize, holder: usize) -> usize {
        let since = self.place[challenger] - self.start[holder];
        if self.place[challenger] > self.place[holder] { since } else { since + 1 }
    }
}

#[cfg(test)]
mod tests {
    use kinitro_domain::BlockNumber;

    use super::*;
    use crate::Miner;

    #[test]
    fn challengers_are_numbered_in_the_order_of_their_commitments() {
        let miner = |(uid, block)| Miner { uid: MinerUid(uid), first_commit_block: BlockNumber(block) };
        let env_id: EnvId = "test/env".parse().expect("valid");
        // In order: 2, then 0 and 3 of one block, then 1.
        let miners = [(0, 7), (1, 9), (2, 5), (3, 7)].map(miner).to_vec();
        let numbers = Numbers::new(&Tallies::new(miners, vec![env_id], []).expect("valid"));
        assert_eq!([0, 3, 1].map(|challenger| numbers.of(challenger, 2)), [1, 2, 3]);
        assert_eq!([3, 1].map(|challenger| numbers.of(challenger, 0)), [1, 2]);
        assert_eq!([0, 1].map(|challenger| numbers.of(challenger, 3)), [1, 2]);
    }
}
